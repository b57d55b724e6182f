import ArgumentParser
import CountersignService
import FoundationEssentials
import Logging
import Notation
import OCI
import Quotation
import StrictJSON
import Verification

/// `countersign verify REF`
struct VerifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Verify the signatures of an image.",
        discussion: """
            EXAMPLES
              countersign verify registry.example.com/app:v1 --trust-policy trustpolicy.json --trust-store truststore
              countersign verify registry.example.com/app:v1 --config config.json --output json
              countersign verify example.com/app:v1 --oci-layout ./layout --trust-policy policy.json --trust-store truststore

            EXIT STATUS
              0 verified; 1 not verified; 2 wrong usage or configuration; 3 could not be determined
            """)

    @OptionGroup var image: ReferenceArgument
    @OptionGroup var store: StoreOptions

    @Option(
        name: [.customShort("c"), .long],
        help: ArgumentHelp(
            "Verify as serve does with this configuration: stores, verifiers, policy.", valueName: "file"))
    var config: String?

    @Option(help: ArgumentHelp("A Notary Project trust policy document.", valueName: "file"))
    var trustPolicy: String?

    @Option(
        help: ArgumentHelp(
            "Trusted certificates, laid out as notation's truststore: x509/ca/NAME/*.pem and so on.",
            valueName: "directory"))
    var trustStore: String?

    @Option(
        name: [.customShort("m"), .long],
        help: ArgumentHelp("Metadata that must have been signed; repeat for more.", valueName: "key=value"))
    var userMetadata: [String] = []

    @Option(help: ArgumentHelp("How many signatures are tried.", valueName: "count"))
    var maxSignatures = 100

    @Option(name: .shortAndLong, help: "text or json.")
    var output = OutputFormat.text

    func validate() throws {
        guard (1...10_000).contains(maxSignatures) else {
            throw ValidationError("--max-signatures is \(maxSignatures): expected 1 to 10000")
        }
        if config != nil {
            guard trustPolicy == nil, trustStore == nil, store.layout == nil, !store.plainHTTP,
                store.registryConfig == nil, userMetadata.isEmpty
            else {
                throw ValidationError(
                    "--config says all about stores and policies: give it alone, or use --trust-policy and --trust-store"
                )
            }
        } else if trustPolicy == nil || trustStore == nil {
            throw ValidationError("give --trust-policy and --trust-store, or --config")
        }
    }

    func run() async throws {
        let reference = try image.parse(over: store.transport)
        let result = try await config == nil ? verifyByTrustPolicy(reference) : verifyByConfiguration(reference)
        switch output {
        case .json: print(result.json.prettyText, terminator: "")
        case .text: print(result.text, terminator: "")
        }
        switch result.verdict {
        case .verified: return
        case .notVerified: throw ExitCode(ExitStatus.notVerified.rawValue)
        case .undetermined: throw ExitCode(ExitStatus.undetermined.rawValue)
        }
    }

    // MARK: As notation verifies

    private func verifyByTrustPolicy(_ reference: ImageReference) async throws -> VerificationResult {
        let policy: TrustPolicyDocument
        do {
            policy = try TrustPolicyDocument(json: try readFile(trustPolicy ?? "", "--trust-policy"))
        } catch let error as TrustPolicyError { throw CommandFailure(.usage, "\(trustPolicy ?? ""): \(error)") }
        let verifier = ImageVerifier(
            store: try store.open(), policy: policy,
            verifier: SignatureVerifier(
                trustStore: DirectoryTrustStore(directory: trustStore ?? ""),
                revocation: RevocationChecker(http: try store.http())),
            limits: ImageVerifier.Limits(maximumSignatures: maxSignatures))
        let outcome = await verifier.verify(
            reference, userMetadata: try keyValues(userMetadata, "--user-metadata"), now: Date(),
            deadline: store.deadline())
        return VerificationResult(outcome)
    }

    // MARK: As serve verifies

    private func verifyByConfiguration(_ reference: ImageReference) async throws -> VerificationResult {
        let metrics = MetricsRegistry()
        let logger = Logger(label: "countersign") { _ in SwiftLogNoOpLogHandler() }
        let builder = ConfigurationBuilder(metrics: metrics, logger: logger, followsStrangers: true, keepsDetails: true)
        let path = config ?? ""
        let built: BuiltConfiguration
        do {
            built = try builder.build(try readFile(path, "--config"), generation: 1)
        } catch let error as ConfigurationError { throw CommandFailure(.usage, "\(path): \(error)") }
        for warning in built.warnings { Terminal.complain("\(path): \(warning)") }
        _ = await built.trusted.refresh(within: .seconds(store.timeout))
        let result = await Pipeline(snapshot: built.snapshot, metrics: metrics)
            .run(reference, deadline: store.deadline())
        await builder.shutdown()
        return VerificationResult(reference, result)
    }
}

/// The content of a file that an option names.
func readFile(_ path: String, _ option: String) throws -> [UInt8] {
    do { return Array(try Data(contentsOf: URL(filePath: path))) } catch {
        throw CommandFailure(
            .usage, "\(option): \(path.quotedPath) cannot be read: check that the file is there and readable")
    }
}

/// `key=value` of an option that may be repeated; of pairs with the same key the last one stays.
func keyValues(_ pairs: [String], _ option: String) throws -> [String: String] {
    var values: [String: String] = [:]
    for pair in pairs {
        guard let equals = pair.firstIndex(of: "="), equals > pair.startIndex else {
            throw CommandFailure(.usage, "\(option) \"\(pair.quoted)\": expected KEY=VALUE")
        }
        values[String(pair[..<equals])] = String(pair[pair.index(after: equals)...])
    }
    return values
}
