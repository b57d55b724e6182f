import ArgumentParser
import CountersignService
import FoundationEssentials
import Notation
import OCI
import PKI
import Quotation
import StrictJSON
import Verification

/// `countersign sign REF`
struct SignCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sign",
        abstract: "Sign an image with a local key or one in Azure Key Vault, and push the signature.",
        discussion: """
            EXAMPLES
              countersign sign registry.example.com/app@sha256:… --key release.key --certificate-chain release.chain
              countersign sign registry.example.com/app:v1 --key release.key --certificate-chain release.chain \\
                --signature-format cose --expiry 720h --user-metadata build=1234
              countersign sign registry.example.com/app:v1 --key release.key --certificate-chain release.chain \\
                --timestamp-url http://tsa.example.com --timestamp-root tsa-root.pem
              countersign sign registry.example.com/app:v1 --akv-key https://example.vault.azure.net/certificates/release
            """)

    @OptionGroup var image: ReferenceArgument
    @OptionGroup var store: StoreOptions

    @Option(
        help: ArgumentHelp(
            "The private key in PEM, not encrypted: RSA 2048, 3072, 4096, or P-256, P-384, P-521.", valueName: "file"))
    var key: String?

    @Option(
        help: ArgumentHelp(
            "A key in Azure Key Vault, https://VAULT/keys/NAME/VERSION or https://VAULT/certificates/NAME/VERSION; without a version the latest. The digest goes there, the key stays.",
            valueName: "id"))
    var akvKey: String?

    @Option(
        help:
            "Who signs in the vault: workload or managed. (default: workload where $AZURE_FEDERATED_TOKEN_FILE is set, else managed)"
    )
    var akvIdentity: VaultIdentity?

    @Option(
        help: ArgumentHelp(
            "The certificate chain in PEM: the signing certificate first, the root last. With --akv-key it may be that of the vault's certificate.",
            valueName: "file"))
    var certificateChain: String?

    @Option(help: "jws or cose.")
    var signatureFormat = SignatureFormat.jws

    @Option(
        name: [.customShort("e"), .long],
        help: ArgumentHelp("How long the signature is good for: 720h, 30m.", valueName: "duration"))
    var expiry: String?

    @Option(
        name: [.customShort("m"), .long],
        help: ArgumentHelp("Metadata to sign with the image; repeat for more.", valueName: "key=value"))
    var userMetadata: [String] = []

    @Option(
        name: .customLong("timestamp-url"),
        help: ArgumentHelp("Have this RFC 3161 timestamp authority countersign.", valueName: "url"))
    var timestampURL: String?

    @Option(
        help: ArgumentHelp(
            "The root certificate that the timestamp must chain to, in PEM or DER.", valueName: "file"))
    var timestampRoot: String?

    @Option(name: .shortAndLong, help: "text or json.")
    var output = OutputFormat.text

    enum SignatureFormat: String, ExpressibleByArgument, CaseIterable {
        case jws, cose

        var envelope: EnvelopeFormat { self == .jws ? .jws : .cose }
    }

    enum VaultIdentity: String, ExpressibleByArgument, CaseIterable {
        case workload, managed
    }

    func validate() throws {
        guard (key == nil) != (akvKey == nil) else {
            throw ValidationError("give either --key with --certificate-chain, or --akv-key")
        }
        guard key == nil || certificateChain != nil else {
            throw ValidationError("--key needs --certificate-chain")
        }
        guard akvIdentity == nil || akvKey != nil else {
            throw ValidationError("--akv-identity belongs to --akv-key")
        }
        guard (timestampURL == nil) == (timestampRoot == nil) else {
            throw ValidationError("--timestamp-url and --timestamp-root belong together: give both")
        }
    }

    func run() async throws {
        let reference = try image.parse(over: store.transport)
        let now = Date()
        let options = try signingOptions(now: now)
        let deadline = store.deadline()
        let signer = try await signer(deadline)
        let timestamps = try timestampClient()
        let destination = try store.open()
        let subject = try await asking { () async throws(RegistryError) in
            try await destination.resolve(reference, deadline: deadline)
        }
        if reference.digest == nil {
            Terminal.complain(
                "\(reference.description) is \(subject.digest) now: a tag can move, sign by digest where you can")
        }
        let signed: ImageSigner.Signed
        do throws(SigningError) {
            signed = try await ImageSigner(signer: signer, destination: destination, timestamps: timestamps)
                .sign(subject, in: reference, options, now: now, deadline: deadline)
        } catch { throw CommandFailure(error.isPassing ? .undetermined : .notVerified, "\(error)") }
        let pinned = "\(reference.writtenScopeName)@\(subject.digest)"
        switch output {
        case .text: print("Signed \(pinned)\nPushed the signature \(signed.manifest.digest)")
        case .json:
            let object: JSONObject = [
                "reference": .string(pinned), "signature": .string(signed.manifest.digest.description),
                "envelope": .string(signed.envelope.digest.description),
                "mediaType": .string(signed.envelope.mediaType),
                "algorithm": .string(signer.algorithm.jwsName),
            ]
            print(JSONValue.object(object).prettyText, terminator: "")
        }
    }

    private func signingOptions(now: Date) throws -> SigningOptions {
        let metadata = try keyValues(userMetadata, "--user-metadata")
        var end: Date?
        if let expiry {
            guard let duration = DurationText.parse(expiry), duration >= .seconds(1) else {
                throw CommandFailure(
                    .usage, "--expiry is \"\(expiry.quoted)\": expected a duration of at least 1s, such as 720h")
            }
            end = now.addingTimeInterval(duration.milliseconds / 1000)
        }
        return SigningOptions(
            format: signatureFormat.envelope, expiry: end, userMetadata: metadata, signingAgent: Release.agent)
    }

    private func timestampClient() throws -> TimestampClient? {
        guard let timestampURL, let timestampRoot else { return nil }
        let roots: [Certificate]
        do { roots = try Certificate.parsePEMOrDER(try readFile(timestampRoot, "--timestamp-root")) } catch let error
            as PKIError
        { throw CommandFailure(.usage, "--timestamp-root: \(timestampRoot): \(error)") }
        if let refusal = roots.lazy.compactMap({ TrustedCertificateRule.refusal(of: $0, in: .tsa) }).first {
            throw CommandFailure(.usage, "--timestamp-root: \(timestampRoot): \(refusal)")
        }
        let http = try store.http()
        return TimestampClient(
            url: timestampURL, roots: roots, http: http, revocation: RevocationChecker(http: http))
    }

    private func signer(_ deadline: ContinuousClock.Instant) async throws -> EnvelopeSigner {
        let chain = try certificateChain.map { path throws -> [Certificate] in
            let bytes = try readFile(path, "--certificate-chain")
            do { return try Certificate.parsePEM(bytes) } catch {
                throw CommandFailure(.usage, "--certificate-chain: \(path): \(error)")
            }
        }
        if let akvKey { return try await vaultSigner(akvKey, chain, deadline) }
        let path = key ?? ""
        let keyBytes = try readFile(path, "--key")
        let privateKey: PrivateKey
        do { privateKey = try PrivateKey(pem: keyBytes) } catch {
            throw CommandFailure(.usage, "--key: \(path): \(error)")
        }
        do { return try EnvelopeSigner(key: privateKey, chain: chain ?? []) } catch {
            throw CommandFailure(.usage, "\(error)")
        }
    }

    private func vaultSigner(
        _ identifier: String, _ chain: [Certificate]?, _ deadline: ContinuousClock.Instant
    ) async throws -> EnvelopeSigner {
        let http = try store.http()
        do throws(SigningError) {
            return try await KeyVaultSigner(
                identifier: identifier,
                identity: akvIdentity.flatMap { KeyVaultSigner.Identity(rawValue: $0.rawValue) },
                environment: ProcessInfo.processInfo.environment, http: http
            ).signer(chain: chain, deadline: deadline)
        } catch { throw CommandFailure(error.isPassing ? .undetermined : .usage, "--akv-key: \(error)") }
    }
}
