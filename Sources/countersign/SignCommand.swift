import ArgumentParser
import Concurrency
import ConfigurationModel
import CountersignService
import FoundationEssentials
import Notation
import NotationOnline
import OCI
import PKI
import Quotation
import StrictJSON

/// `countersign sign REF`
struct SignCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sign",
        abstract: "Sign an image with a local key or one in Azure Key Vault, and push the signature.",
        discussion: """
            Signatures are those of the Notary Project, or with --cosign-key those of cosign. The latter go to no \
            transparency log: they verify where none is asked for (tLogVerify false, or cosign verify --key cosign.pub \
            --insecure-ignore-tlog).

            EXAMPLES
              countersign sign registry.example.com/app@sha256:…
              countersign sign registry.example.com/app@sha256:… --key release
              countersign sign registry.example.com/app@sha256:… --key release.key --certificate-chain release.chain
              countersign sign registry.example.com/app:v1 --key release.key --certificate-chain release.chain \\
                --signature-format cose --expiry 720h --user-metadata build=1234
              countersign sign registry.example.com/app:v1 --key release.key --certificate-chain release.chain \\
                --timestamp-url http://tsa.example.com --timestamp-root tsa-root.pem
              countersign sign registry.example.com/app:v1 --akv-key https://example.vault.azure.net/certificates/release
              countersign sign registry.example.com/app@sha256:… --cosign-key cosign.key -a build=1234 --cosign-format both
            """)

    @OptionGroup var image: ReferenceArgument
    @OptionGroup var store: StoreOptions

    @OptionGroup var cosign: CosignSigningOptions

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp(
            "With --certificate-chain the file of the private key: PEM, not encrypted, RSA 2048, 3072, 4096, or P-256, P-384, P-521. Without it the name of a key in signingkeys.json of notation's folder ($NOTATION_CONFIG, or notation in $XDG_CONFIG_HOME or ~/.config). (default: the default key there)",
            valueName: "file or name"))
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

    @Option(help: "jws or cose. (default: signatureFormat of notation's config.json, else jws)")
    var signatureFormat: SignatureFormat?

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
        name: [.long, .customLong("timestamp-root-cert")],
        help: ArgumentHelp(
            "The root certificate that the timestamp must chain to, in PEM or DER.", valueName: "file"))
    var timestampRoot: String?

    @Option(help: .hidden)
    var id: String?

    @Option(help: .hidden)
    var plugin: String?

    @Option(help: .hidden)
    var pluginConfig: [String] = []

    @Flag(help: .hidden)
    var forceReferrersTag = false

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
        guard id == nil, plugin == nil, pluginConfig.isEmpty else {
            throw ValidationError(
                "--plugin, --id, --plugin-config: "
                    + (plugin == "azure-kv"
                        ? "countersign runs no plugins, and signs itself with keys in Azure Key Vault: give --akv-key \(id?.quoted ?? "ID")"
                        : NotationFlags.noPlugins))
        }
        guard !forceReferrersTag else {
            throw ValidationError(
                "--force-referrers-tag: the referrers tag is written where the registry has no Referrers API, and only there; leave the option out"
            )
        }
        if let mixedOptions { throw ValidationError(mixedOptions) }
        guard key == nil || akvKey == nil else { throw ValidationError("give either --key or --akv-key") }
        guard certificateChain == nil || key != nil || akvKey != nil else {
            throw ValidationError("--certificate-chain belongs to --key or --akv-key")
        }
        guard akvIdentity == nil || akvKey != nil || cosign.isVaultKey else {
            throw ValidationError("--akv-identity belongs to --akv-key, and to --cosign-key azurekms://…")
        }
        guard (timestampURL == nil) == (timestampRoot == nil) else {
            throw ValidationError("--timestamp-url and --timestamp-root belong together: give both")
        }
    }

    func run() async throws {
        let reference = try image.parse(for: store)
        let now = Date()
        let deadline = store.deadline()
        if cosign.cosignKey != nil {
            let signer = try await cosign.signer(store, akvIdentity, deadline)
            let destination = try store.open(for: reference)
            return try await signForCosign(
                try await resolve(reference, at: destination, deadline), in: reference, at: destination, signer,
                deadline: deadline)
        }
        let options = try signingOptions(now: now)
        let signer = try await signer(deadline)
        let timestamps = try timestampClient()
        let destination = try store.open(for: reference)
        let subject = try await resolve(reference, at: destination, deadline)
        let signed: ImageSigner.Signed
        do throws(SigningError) {
            signed = try await ImageSigner(signer: signer, destination: destination, timestamps: timestamps)
                .sign(subject, in: reference, options, now: now, deadline: deadline)
        } catch { throw CommandFailure(error.isTransient ? .undetermined : .notVerified, "\(error)") }
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

    private func resolve(
        _ reference: ImageReference, at destination: any ReferrerStore, _ deadline: ContinuousClock.Instant
    ) async throws -> Descriptor {
        let subject = try await asking { () async throws(RegistryError) in
            try await destination.resolve(reference, deadline: deadline)
        }
        if reference.digest == nil {
            Terminal.complain(
                "\(reference.description) is \(subject.digest) now: a tag can move, sign by digest where you can")
        }
        return subject
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
            format: try format().envelope, expiry: end, userMetadata: metadata, signingAgent: Release.agent)
    }

    /// The format of an option, of notation's settings, or JWS.
    private func format() throws -> SignatureFormat {
        if let signatureFormat { return signatureFormat }
        guard let folder = StoreOptions.notationFolder, let name = try folder.settings().signatureFormat else {
            return .jws
        }
        guard let format = SignatureFormat(rawValue: name) else {
            throw CommandFailure(
                .usage, "\(folder.path)/config.json: \"signatureFormat\" is \"\(name.quoted)\"; expected jws or cose")
        }
        return format
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
        if let akvKey {
            let chain = try certificateChain.map { try Self.certificates($0, "--certificate-chain") }
            return try await vaultSigner(akvKey, chain, deadline)
        }
        let keyFile: String
        let keyName: String
        let chain: [Certificate]
        if let key, let certificateChain {
            (keyFile, keyName) = (key, "--key")
            chain = try Self.certificates(certificateChain, "--certificate-chain")
        } else {
            let files = try signingKey()
            (keyFile, keyName) = (files.key, files.name)
            chain = try Self.certificates(files.chain, files.name)
        }
        let keyBytes = try readFile(keyFile, keyName)
        let privateKey: PrivateKey
        do { privateKey = try PrivateKey(pem: keyBytes) } catch {
            throw CommandFailure(.usage, "\(keyName): \(keyFile): \(error)")
        }
        do { return try EnvelopeSigner(key: privateKey, chain: chain) } catch {
            throw CommandFailure(.usage, "\(error)")
        }
    }

    /// The key of notation's list that is named, or its default.
    private func signingKey() throws -> SigningKeys.Files {
        let keys = try NotationFolder(environment: ProcessInfo.processInfo.environment).signingKeys()
        let isFile = key.map { FileManager.default.fileExists(atPath: $0) } ?? false
        if let key, isFile {
            guard keys.has(key) else {
                throw CommandFailure(
                    .usage,
                    "--key \(key.quotedPath): this is a file, and no key of \(keys.path.quotedPath) has this name: give the file's --certificate-chain too"
                )
            }
            Terminal.complain(
                "--key \(key.quotedPath) is the key of that name in \(keys.path.quotedPath), not the file; for the file give --certificate-chain too"
            )
        }
        return try keys.files(named: key)
    }

    private static func certificates(_ path: String, _ option: String) throws -> [Certificate] {
        let bytes = try readFile(path, option)
        do { return try Certificate.parsePEM(bytes) } catch {
            throw CommandFailure(.usage, "\(option): \(path.quotedPath): \(error)")
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
        } catch { throw CommandFailure(error.isTransient ? .undetermined : .usage, "--akv-key: \(error)") }
    }
}
