import ArgumentParser
import CountersignService
import FoundationEssentials
import OCI
import PKI
import Quotation
import Sigstore
import StrictJSON

/// The options of `sign` for signatures as cosign makes them.
struct CosignSigningOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Sign as cosign does, with the private key in this file: PEM, ECDSA P-256, P-384, P-521, Ed25519 or RSA; or a cosign.key, whose password is $COSIGN_PASSWORD, or typed, or standard input; or a key in Azure Key Vault, azurekms://VAULT/KEY/VERSION, without a version the latest. Nothing goes to a transparency log.",
            valueName: "file or key"))
    var cosignKey: String?

    @Option(
        help:
            "With --cosign-key: bundle (cosign 3), legacy (the tag sha256-….sig of cosign before it) or both. (default: bundle)"
    )
    var cosignFormat: Format?

    @Option(
        name: [.customShort("a"), .customLong("annotation"), .customLong("annotations")],
        help: ArgumentHelp(
            "With --cosign-key: an annotation to sign with the image; repeat for more.", valueName: "key=value"))
    var annotations: [String] = []

    enum Format: String, ExpressibleByArgument, CaseIterable {
        case bundle, legacy, both

        var forms: [CosignImageSigner.Form] {
            switch self {
            case .bundle: [.bundle]
            case .legacy: [.legacy]
            // The one that takes the place of what was there goes last: when it fails, less has been done.
            case .both: [.bundle, .legacy]
            }
        }
    }

    func validate() throws {
        guard cosignKey != nil || cosignFormat == nil && annotations.isEmpty else {
            throw ValidationError(
                "\(cosignFormat != nil ? "--cosign-format" : "--annotation") belongs to --cosign-key; metadata of Notary Project signatures is --user-metadata"
            )
        }
    }

    /// Whether the key is in a vault.
    var isVaultKey: Bool { cosignKey?.hasPrefix(KeyVaultSigner.cosignScheme) ?? false }

    /// What signs.
    func signer(
        _ store: StoreOptions, _ identity: SignCommand.VaultIdentity?, _ deadline: ContinuousClock.Instant
    ) async throws -> CosignSigner {
        let path = cosignKey ?? ""
        if isVaultKey {
            let http = try store.http()
            do throws(CosignSigningError) {
                return try await KeyVaultSigner(
                    cosignKey: path, identity: identity.flatMap { KeyVaultSigner.Identity(rawValue: $0.rawValue) },
                    environment: ProcessInfo.processInfo.environment, http: http
                ).cosignSigner(deadline: deadline)
            } catch { throw CommandFailure(error.isTransient ? .undetermined : .usage, "--cosign-key: \(error)") }
        }
        if let scheme = path.firstRange(of: "://") {
            throw CommandFailure(
                .usage,
                "--cosign-key: keys of the kind \"\(path[..<scheme.upperBound].quoted)\" are not supported; give the file of a private key, or azurekms://VAULT/KEY"
            )
        }
        do { return try CosignSigner(key: try privateKey(path, deadline)) } catch let error as PKIError {
            throw CommandFailure(.usage, "--cosign-key: \(path.quotedPath): \(error)")
        } catch let error as SigningKeyError {
            throw CommandFailure(.usage, "--cosign-key: \(path.quotedPath): \(error)")
        }
    }

    private func privateKey(_ path: String, _ deadline: ContinuousClock.Instant) throws -> PrivateKey {
        let bytes = try readFile(path, "--cosign-key")
        guard EncryptedCosignKey.isEncrypted(bytes) else { return try PrivateKey(pem: bytes) }
        let key = try EncryptedCosignKey(pem: bytes)
        let password = try CosignPassword.read(until: deadline)
        for candidate in password.candidates {
            do throws(PKIError) { return try key.decrypted(password: candidate) } catch {
                guard error.kind == .encrypted else { throw error }
            }
        }
        throw PKIError(
            .encrypted,
            "the password (\(password.source)) is not that of the private key, or the file has been altered")
    }
}

extension SignCommand {
    /// Why options for the other kind of signature are refused; `nil` when none are given.
    var mixedOptions: String? {
        guard cosign.cosignKey != nil else { return nil }
        let given = [
            ("--key", key != nil), ("--akv-key", akvKey != nil), ("--certificate-chain", certificateChain != nil),
            ("--signature-format", signatureFormat != nil), ("--expiry", expiry != nil),
            ("--user-metadata", !userMetadata.isEmpty), ("--timestamp-url", timestampURL != nil),
            ("--timestamp-root", timestampRoot != nil),
        ].filter(\.1).map(\.0)
        guard !given.isEmpty else { return nil }
        return given.joined(separator: ", ")
            + ": for Notary Project signatures only, not with --cosign-key"
            + (userMetadata.isEmpty ? "" : "; --annotation signs annotations as cosign does")
    }

    /// Signs as cosign does.
    func signForCosign(
        _ subject: Descriptor, in reference: ImageReference, at store: any ReferrerStore & ArtifactPushing,
        _ signer: CosignSigner, deadline: ContinuousClock.Instant
    ) async throws {
        let annotations = try keyValues(cosign.annotations, "--annotation")
        let images = CosignImageSigner(signer: signer, store: store)
        var signed: [CosignImageSigner.Signed] = []
        for form in (cosign.cosignFormat ?? .bundle).forms {
            do throws(CosignSigningError) {
                signed.append(
                    try await images.sign(
                        subject, in: reference, as: form, annotations: annotations, now: Date(), deadline: deadline))
            } catch {
                let done = signed.map { "; pushed before it: \($0.summary)" }.joined()
                throw CommandFailure(error.isTransient ? .undetermined : .notVerified, "\(error)\(done)")
            }
        }
        let pinned = "\(reference.writtenScopeName)@\(subject.digest)"
        for signature in signed where signature.count > SigstoreLimits.signatures {
            Terminal.complain(
                "\(pinned) has \(signature.count) signatures at \(signature.tag ?? "its tag"); countersign looks at the first \(SigstoreLimits.signatures) only: remove old ones"
            )
        }
        switch output {
        case .text:
            print("Signed \(pinned)")
            for signature in signed {
                print(signature.isNew ? "Pushed \(signature.summary)" : "Signed before: \(signature.summary)")
            }
            print(
                "It is in no transparency log: it verifies where none is asked for (tLogVerify false, cosign verify --insecure-ignore-tlog)"
            )
        case .json:
            let object: JSONObject = [
                "reference": .string(pinned), "algorithm": .string(signer.scheme.name), "transparencyLog": false,
                "signatures": .array(signed.map(\.json)),
            ]
            print(JSONValue.object(object).prettyText, terminator: "")
        }
    }
}

extension CosignImageSigner.Signed {
    /// What and where it is.
    fileprivate var summary: String {
        if let tag { return "the signature \(content.digest) to the tag \(tag)" }
        return "the bundle \(manifest.digest)"
    }

    fileprivate var json: JSONValue {
        var object: JSONObject = [
            "format": .string(form.rawValue), "manifest": .string(manifest.digest.description),
            "content": .string(content.digest.description), "mediaType": .string(content.mediaType),
            "isNew": .bool(isNew),
        ]
        if let tag { object["tag"] = .string(tag) }
        return .object(object)
    }
}

extension SignatureAlgorithm.Scheme {
    /// What it is called in JSON.
    fileprivate var name: String {
        switch self {
        case .rsaPKCS1(let hash): "rsa-pkcs1v15-sha\(hash.length * 8)"
        case .rsaPSS(let hash, _, _): "rsa-pss-sha\(hash.length * 8)"
        case .ecdsa(let hash): "ecdsa-sha\(hash.length * 8)"
        case .ed25519: "ed25519"
        case .other: "unknown"
        }
    }
}
