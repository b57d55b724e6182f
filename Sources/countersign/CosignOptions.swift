import ArgumentParser
import CosignVerifier
import KeyManagement
import PKI
import Quotation
import Sigstore
import SigstoreTrust
import Verification

/// Whose cosign signatures count, in cosign's own words: `cosign verify` and `countersign verify` take the same ones.
struct CosignOptions: ParsableArguments {
    @Option(
        name: [.customLong("cosign-key"), .customLong("key")],
        help: ArgumentHelp(
            "Verify cosign's signatures, by a public key: a PEM file. Repeat for more keys, one of which must have signed.",
            valueName: "file"))
    var keys: [String] = []

    @OptionGroup var signer: IdentityOptions

    @Option(help: ArgumentHelp("The GitHub repository whose workflow signed: owner/name.", valueName: "repository"))
    var certificateGithubWorkflowRepository: String?

    @Option(help: ArgumentHelp("The ref that the workflow ran on: refs/heads/main.", valueName: "ref"))
    var certificateGithubWorkflowRef: String?

    @Option(help: ArgumentHelp("The commit that the workflow ran on.", valueName: "sha"))
    var certificateGithubWorkflowSha: String?

    @Option(help: ArgumentHelp("The name of the workflow.", valueName: "name"))
    var certificateGithubWorkflowName: String?

    @Option(help: ArgumentHelp("The event that started the workflow.", valueName: "event"))
    var certificateGithubWorkflowTrigger: String?

    @Option(
        help: ArgumentHelp(
            "What certificates, logs and timestamps are verified with, in Sigstore's format. (default: the public good instance's, as compiled in)",
            valueName: "file"))
    var trustedRoot: String?

    @Option(
        name: [.customShort("a"), .customLong("annotation"), .customLong("annotations")],
        help: ArgumentHelp("An annotation that must have been signed; repeat for more.", valueName: "key=value"))
    var annotations: [String] = []

    @Flag(help: "Count signatures that are in no transparency log; with an identity they need a signed timestamp.")
    var insecureIgnoreTlog = false

    @Flag(help: "Count certificates that are in no certificate transparency log.")
    var insecureIgnoreSct = false

    private var workflow: [(FulcioExtension, String)] {
        [
            (.githubWorkflowRepository, certificateGithubWorkflowRepository),
            (.githubWorkflowRef, certificateGithubWorkflowRef), (.githubWorkflowSHA, certificateGithubWorkflowSha),
            (.githubWorkflowName, certificateGithubWorkflowName),
            (.githubWorkflowTrigger, certificateGithubWorkflowTrigger),
        ].compactMap { name, text in text.map { (name, $0) } }
    }

    /// Whether cosign's signatures are to be verified.
    var isGiven: Bool {
        !keys.isEmpty || signer.isGiven || !workflow.isEmpty || trustedRoot != nil || !annotations.isEmpty
            || insecureIgnoreTlog || insecureIgnoreSct
    }

    func validate() throws {
        guard isGiven else { return }
        guard !keys.isEmpty || signer.isComplete else {
            throw ValidationError(
                "say whose signatures of cosign count: --key, or --certificate-identity and --certificate-oidc-issuer")
        }
        guard keys.isEmpty || !signer.isGiven && workflow.isEmpty else {
            throw ValidationError(
                "a key or an identity: what is signed with a key has no certificate that could name anybody; verify twice"
            )
        }
        guard keys.isEmpty || !insecureIgnoreSct else {
            throw ValidationError(
                "--insecure-ignore-sct is about certificates, which signatures with --key do not have")
        }
        if let key = keys.first(where: { $0.contains("://") }) {
            throw ValidationError(
                "--key \(key.quoted): expected a file with the public key in PEM; \"cosign public-key --key …\" writes one"
            )
        }
    }

    /// The verifier that the options describe.
    func verifier() throws -> any ArtifactVerifier {
        let signers: CosignTrustPolicy.Signers
        if keys.isEmpty {
            var extensions: [FulcioExtension: TextMatch] = [:]
            for (name, text) in workflow { extensions[name] = .exactly(text) }
            signers = .identities([try signer.identity(with: extensions)])
        } else {
            for path in keys { try checkKey(path) }
            signers = .keys(keys.map { .file($0) })
        }
        var thresholds = CosignTrustPolicy.Thresholds()
        if insecureIgnoreTlog { thresholds.logs = 0 }
        if insecureIgnoreSct { thresholds.certificateLogs = 0 }
        let trusted = TrustedCertificates(try root().map { [$0] } ?? [])
        do {
            let policy = try CosignTrustPolicy(
                name: "command line", scopes: [], signers: signers, trustedRoot: trusted.providers.first?.name,
                annotations: try keyValues(annotations, "--annotation"), thresholds: thresholds)
            return try CosignVerifierDefinition(
                name: "cosign", type: "cosign", policies: try CosignTrustPolicies([policy]), keepsDetails: true
            ).verifier(trusting: trusted, areProvidersAwaited: false)
        } catch let error as CosignPolicyError { throw CommandFailure(.usage, "\(error)") }
    }

    /// What is wrong with a file is said of the file, and before any registry is asked.
    private func checkKey(_ path: String) throws {
        do {
            _ = try SigningKey(PublicKey(pem: readFile(path, "--key")))
        } catch let error as PKIError {
            throw CommandFailure(.usage, "--key \(path.quotedPath): \(error)")
        } catch let error as SigningKeyError {
            throw CommandFailure(.usage, "--key \(path.quotedPath): \(error)")
        }
    }

    private func root() throws -> TrustedRootProvider? {
        guard let trustedRoot else { return nil }
        do {
            return TrustedRootProvider(
                name: "trusted root",
                origin: try FixedTrustedRoot(
                    json: readFile(trustedRoot, "--trusted-root"), origins: TrustedRootOrigins()))
        } catch let error as TrustedRootError {
            throw CommandFailure(.usage, "--trusted-root \(trustedRoot.quotedPath): \(error)")
        }
    }
}
