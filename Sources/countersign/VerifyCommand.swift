import ArgumentParser
import ConfigurationModel
import CountersignService
import FoundationEssentials
import Logging
import Notation
import NotationOnline
import OCI
import Quotation
import ServiceMetrics
import StrictJSON
import Verification

/// `countersign verify REF`
struct VerifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Verify the signatures of an image.",
        discussion: """
            EXAMPLES
              countersign verify registry.example.com/app:v1
              countersign verify registry.example.com/app:v1 --trust-policy trustpolicy.json --trust-store truststore
              countersign verify registry.example.com/app:v1 --config config.json --output json
              countersign verify example.com/app:v1 --oci-layout ./layout --trust-policy policy.json --trust-store truststore
              countersign verify --key cosign.pub registry.example.com/app:v1
              countersign verify --certificate-identity=https://github.com/example/app/.github/workflows/release.yaml@refs/heads/main \
                --certificate-oidc-issuer=https://token.actions.githubusercontent.com registry.example.com/app:v1

            Options of cosign make it verify cosign's signatures and bundles, and
            nothing else. They mean what they mean to cosign but for expressions:
            these must match the whole text, where cosign's match any part of it.

            EXIT STATUS
              0 verified; 1 not verified; 2 wrong usage, or something configured cannot be used; 3 could not be determined
            """)

    @OptionGroup var image: ReferenceArgument
    @OptionGroup var store: StoreOptions
    @OptionGroup(title: "Options of cosign") var cosign: CosignOptions

    @Option(
        name: [.customShort("c"), .long],
        help: ArgumentHelp(
            "Verify as serve does with this configuration: stores, verifiers, policy.", valueName: "file"))
    var config: String?

    @Option(
        help: ArgumentHelp(
            "A Notary Project trust policy document. (default: trustpolicy.oci.json, or trustpolicy.json, of notation's folder: $NOTATION_CONFIG, or notation in $XDG_CONFIG_HOME or ~/.config)",
            valueName: "file"))
    var trustPolicy: String?

    @Option(
        help: ArgumentHelp(
            "Trusted certificates, laid out as notation's truststore: x509/ca/NAME/*.pem and so on. (default: truststore of notation's folder)",
            valueName: "directory"))
    var trustStore: String?

    @Option(
        name: [.customShort("m"), .long],
        help: ArgumentHelp("Metadata that must have been signed; repeat for more.", valueName: "key=value"))
    var userMetadata: [String] = []

    @Option(help: ArgumentHelp("How many signatures are tried.", valueName: "count"))
    var maxSignatures = 100

    @Option(
        help: ArgumentHelp(
            "As notation has it, with --oci-layout as a switch and REF as DIR:TAG or DIR@DIGEST: the repository that the trust policy speaks of.",
            valueName: "repository"))
    var scope: String?

    /// What `--oci-layout` becomes where it is a switch (``NotationFlags``).
    @Flag(help: .hidden)
    var ociLayoutInReference = false

    @Option(help: .hidden)
    var pluginConfig: [String] = []

    @Option(name: .shortAndLong, help: "text or json.")
    var output = OutputFormat.text

    func validate() throws {
        guard pluginConfig.isEmpty else { throw ValidationError("--plugin-config: \(NotationFlags.noPlugins)") }
        guard (scope != nil) == ociLayoutInReference else {
            throw ValidationError(
                "--scope belongs to --oci-layout: give REF as DIR:TAG or DIR@DIGEST with both, or --oci-layout DIR alone"
            )
        }
        guard (1...10_000).contains(maxSignatures) else {
            throw ValidationError("--max-signatures is \(maxSignatures): expected 1 to 10000")
        }
        if cosign.isGiven {
            let others = [
                ("--config", config != nil), ("--trust-policy", trustPolicy != nil),
                ("--trust-store", trustStore != nil), ("--user-metadata", !userMetadata.isEmpty),
                ("--scope", scope != nil),
            ]
            if let (other, _) = others.first(where: { $0.1 }) {
                throw ValidationError(
                    "\(other) beside options of cosign: each kind of signature is verified by itself, so verify twice, or give --config alone"
                )
            }
        }
        if config != nil {
            guard trustPolicy == nil, trustStore == nil, !store.isGiven, scope == nil, userMetadata.isEmpty else {
                throw ValidationError(
                    "--config says all about stores and policies: give it alone, or use --trust-policy and --trust-store"
                )
            }
        }
    }

    func run() async throws {
        let (reference, layout): (ImageReference, String?)
        if let scope {
            (reference, layout) = try image.parse(inLayoutWithScope: scope)
        } else {
            (reference, layout) = (try config == nil ? image.parse(for: store) : image.parse(), nil)
        }
        let result: VerificationResult
        if cosign.isGiven {
            result = try await verifyCosign(reference)
        } else if config != nil {
            result = try await verifyByConfiguration(reference)
        } else {
            result = try await verifyByTrustPolicy(reference, layout)
        }
        switch output {
        case .json: print(result.json.prettyText, terminator: "")
        case .text: print(result.text, terminator: "")
        }
        switch result.verdict {
        case .verified: return
        case .notVerified: throw ExitCode(ExitStatus.notVerified.rawValue)
        case .undetermined: throw ExitCode(ExitStatus.undetermined.rawValue)
        case .misconfigured: throw ExitCode(ExitStatus.usage.rawValue)
        }
    }

    // MARK: As notation verifies

    private func verifyByTrustPolicy(
        _ reference: ImageReference, _ layout: String?
    ) async throws -> VerificationResult {
        let (path, content) = try trustPolicy.map { ($0, try readFile($0, "--trust-policy")) } ?? folder().trustPolicy()
        let policy: TrustPolicyDocument
        do {
            policy = try TrustPolicyDocument(json: content)
        } catch { throw CommandFailure(.usage, "\(path.quotedPath): \(error)") }
        let trusted = try trustStore ?? folder().trustStore
        if store.verbose || store.debug {
            Terminal.complain("trust policy \(path.quotedPath), trust store \(trusted.quotedPath)")
        }
        let verifier = ImageVerifier(
            store: try store.open(for: reference, layout: layout), policy: policy,
            verifier: SignatureVerifier(
                trustStore: DirectoryTrustStore(directory: trusted),
                revocation: RevocationChecker(http: try store.http())),
            limits: ImageVerifier.Limits(maximumSignatures: maxSignatures))
        let outcome = await verifier.verify(
            reference, userMetadata: try keyValues(userMetadata, "--user-metadata"), now: Date(),
            deadline: store.deadline())
        return VerificationResult(outcome)
    }

    private func folder() throws(CommandFailure) -> NotationFolder {
        try NotationFolder(environment: ProcessInfo.processInfo.environment)
    }

    // MARK: As cosign verifies

    private func verifyCosign(_ reference: ImageReference) async throws -> VerificationResult {
        let snapshot = ConfigurationSnapshot(
            generation: 1, stores: [try store.open(for: reference, withCosignSignatures: true)],
            verifiers: [try cosign.verifier()], policy: ConfigPolicy(defaultRule: .any), settings: ServiceSettings(),
            maximumArtifacts: maxSignatures)
        let result = await Pipeline(snapshot: snapshot, metrics: MetricsRegistry())
            .run(reference, deadline: store.deadline())
        return VerificationResult(reference, result)
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
        } catch let error as ConfigurationError { throw CommandFailure(.usage, "\(path.quotedPath): \(error)") }
        for warning in built.warnings { Terminal.complain("\(path.quotedPath): \(warning)") }
        _ = await built.trusted.refresh(within: .seconds(store.timeout))
        let result = await Pipeline(snapshot: built.snapshot, metrics: metrics)
            .run(reference, deadline: store.deadline())
        await builder.shutdown()
        return VerificationResult(reference, result)
    }
}

/// The content of a file that an option names.
///
/// - Parameter status: how the command ends when it cannot.
func readFile(_ path: String, _ option: String, status: ExitStatus = .usage) throws -> [UInt8] {
    do { return Array(try Data(contentsOf: URL(filePath: path))) } catch {
        throw CommandFailure(
            status, "\(option): \(path.quotedPath) cannot be read: check that the file is there and readable")
    }
}

/// `key=value` of an option that may be repeated, each time with another key.
func keyValues(_ pairs: [String], _ option: String) throws -> [String: String] {
    var values: [String: String] = [:]
    for pair in pairs {
        guard let equals = pair.firstIndex(of: "="), equals > pair.startIndex else {
            throw CommandFailure(.usage, "\(option) \"\(pair.quoted)\": expected KEY=VALUE")
        }
        let key = String(pair[..<equals])
        guard values.updateValue(String(pair[pair.index(after: equals)...]), forKey: key) == nil else {
            throw CommandFailure(.usage, "\(option): the key \"\(key.quoted)\" is given twice")
        }
    }
    return values
}
