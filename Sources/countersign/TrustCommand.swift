import ArgumentParser
import CountersignService
import Encoding
import Files
import FoundationEssentials
import HTTP
import PKI
import Quotation
import SigstoreTrust
import TUF

/// `countersign trust`: what Sigstore's signatures are verified with.
struct TrustCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trust", abstract: "Fetch what Sigstore's signatures are verified with: a trusted root.",
        subcommands: [Fetch.self])

    struct Fetch: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "fetch", abstract: "Write the trusted root of an instance of Sigstore to a file.",
            discussion: """
                Asks the instance's TUF repository. Trust begins with a root that is compiled in, or with yours; every step
                from there is checked. The file verifies signatures where there is no network.

                EXAMPLES
                  countersign trust fetch -o trusted_root.json
                  countersign trust fetch --instance github -o github.json --state /var/lib/countersign/tuf
                  countersign trust fetch --tuf-url https://tuf.example.com --tuf-root root.json -o trusted_root.json

                EXIT STATUS
                  0 written; 1 the repository is not to be trusted; 2 wrong usage, or a file that cannot be used;
                  3 could not be determined: ask again
                """)

        /// The instances whose roots are compiled in.
        enum Instance: String, ExpressibleByArgument, CaseIterable {
            case publicGood = "public-good"
            case github

            var shipped: ShippedRoot { self == .publicGood ? .publicGood : .github }
        }

        @Option(help: "The instance of Sigstore. (default: public-good)")
        var instance: Instance?

        @Option(
            name: .customLong("tuf-url"),
            help: ArgumentHelp(
                "Another TUF repository: an https URL. With --instance, a mirror of it.", valueName: "url"))
        var url: String?

        @Option(
            name: .customLong("tuf-root"),
            help: ArgumentHelp("Where trust in that repository begins: its root.json.", valueName: "file"))
        var root: String?

        @Option(
            help: ArgumentHelp(
                "Keep what was seen in this directory: no later run accepts anything older. (default: nothing is kept)",
                valueName: "directory"))
        var state: String?

        @Option(name: .shortAndLong, help: ArgumentHelp("Where to write the trusted root.", valueName: "file"))
        var output: String

        @Flag(name: .shortAndLong, help: "Tell on standard error what is asked of which host, and what came back.")
        var verbose = false

        @Option(help: ArgumentHelp("How long the whole command may take.", valueName: "seconds"))
        var timeout = 60

        func validate() throws {
            guard (1...3600).contains(timeout) else {
                throw ValidationError("--timeout is \(timeout): expected 1 to 3600")
            }
            guard root == nil || instance == nil else {
                throw ValidationError("give either --instance, whose root is compiled in, or --tuf-root")
            }
            guard root == nil || url != nil else { throw ValidationError("--tuf-root needs --tuf-url") }
            guard url == nil || root != nil || instance != nil else {
                throw ValidationError("--tuf-url needs --tuf-root, or --instance whose mirror it is")
            }
        }

        func run() async throws {
            let shipped = (instance ?? .publicGood).shipped
            let deadline = ContinuousClock.now + .seconds(timeout)
            let address = url ?? shipped.url
            let fetcher: HTTPRepositoryFetcher
            do {
                let client = try HTTPClient(configuration: HTTPClientConfiguration(userAgent: Release.agent))
                fetcher = try HTTPRepositoryFetcher(
                    address, http: verbose ? NarratedHTTP(client, tellsHeaders: false) : client)
            } catch { throw CommandFailure(.usage, "\(error)") }
            let repository = TrustedRootRepository(
                fetcher, root: try root.map { try readFile($0, "--tuf-root") } ?? shipped.bytes,
                store: state.map(DirectoryMetadataStore.init) ?? MemoryMetadataStore())
            let fetched: FetchedTrustedRoot
            do throws(TrustedRootFault) { fetched = try await repository.update(at: Date(), deadline: deadline) } catch
            {
                throw CommandFailure(Self.status(of: error), "\(address.quoted): \(error)")
            }
            for fault in await repository.storeFaults {
                Terminal.complain("\(fault); the next run may accept what is older")
            }
            do { try FileAccess.write(fetched.bytes, to: output) } catch { throw CommandFailure(.usage, "\(error)") }
            let versions = ["root", "timestamp", "snapshot", "targets"].compactMap { role in
                fetched.versions[role].map { "\(role) \($0)" }
            }
            print("wrote \(Terminal.plain(output)): \(TrustedRootRepository.target) of \(address)")
            print("versions: \(versions.joined(separator: ", "))")
            print("fetch again before: \(UTC.text(fetched.validUntil))")
        }

        private static func status(of fault: TrustedRootFault) -> ExitStatus {
            if fault.isTransient { return .undetermined }
            return fault.error.step == .loadTrustedRoot ? .usage : .notVerified
        }
    }
}
