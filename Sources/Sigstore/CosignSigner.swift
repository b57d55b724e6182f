import Encoding
import PKI
import StrictJSON

/// Why an image cannot be signed as cosign does.
public struct CosignSigningError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong and what to do about it.
    public let description: String
    /// Whether it may well work in a moment: a vault or a registry that does not answer.
    public let isTransient: Bool

    /// An error with its text: for keys that sign elsewhere.
    public init(_ description: String, isTransient: Bool = false) {
        self.description = description
        self.isTransient = isTransient
    }
}

/// A key outside of this process, in a vault or a hardware module: the digest is sent there to be signed.
public protocol RemoteCosignKey: Sendable {
    /// Signs a digest.
    ///
    /// - Parameters:
    ///   - digest: by the scheme's hash.
    ///   - scheme: how the key signs.
    ///   - deadline: when the answer must be there.
    /// - Returns: the signature in the form of X.509: for ECDSA the DER of r and s.
    func signature(
        ofDigest digest: [UInt8], scheme: SignatureAlgorithm.Scheme, deadline: ContinuousClock.Instant
    ) async throws(CosignSigningError) -> [UInt8]
}

/// Signs images as `cosign sign --key` does, in both forms that cosign stores signatures in.
///
/// ```swift
/// let signer = try CosignSigner(key: PrivateKey(pem: pem))
/// let bundle = try await signer.bundle(signing: image, deadline: .now + .seconds(10))
/// ```
///
/// What is signed is in no transparency log and has no timestamp: it verifies where the policy asks for neither
/// (``BundlePolicy/logThreshold`` 0). Each signature is verified before it is given away.
public struct CosignSigner: Sendable {
    /// A signature as cosign stored it before version 3: one layer of the manifest at the tag `sha256-<hex>.sig`.
    public struct Layer: Hashable, Sendable {
        /// The layer's content: the simple signing payload that is signed.
        public let payload: [UInt8]
        /// The layer's annotations: the signature.
        public let annotations: [String: String]
    }

    /// The key that the signatures verify with.
    public let key: SigningKey
    /// How it signs.
    public let scheme: SignatureAlgorithm.Scheme
    private let source: Source

    private enum Source: Sendable {
        case local(PrivateKey)
        case remote(any RemoteCosignKey)
    }

    /// A signer with a key of this process. It signs with SHA-256 whatever the key's kind (Ed25519 has its own hash):
    /// cosign verifies with that unless it is told otherwise.
    public init(key: PrivateKey) throws(SigningKeyError) {
        self.key = try SigningKey(key.publicKey)
        scheme =
            switch key.publicKey.kind {
            case .ec: .ecdsa(.sha256)
            case .rsa: .rsaPKCS1(.sha256)
            case .other: .ed25519
            }
        source = .local(key)
    }

    /// A signer with a key of Azure Key Vault, which signs with the hash of its size, as cosign has it do.
    public init(keyVault remote: any RemoteCosignKey, publicKey: PublicKey) throws(SigningKeyError) {
        key = try SigningKey(keyVault: publicKey)
        scheme = key.schemes[0]
        source = .remote(remote)
    }

    /// Signs an image in cosign's form before version 3.
    ///
    /// - Parameters:
    ///   - image: the digest of the image's manifest.
    ///   - name: what the image is called: registry and repository. Nothing is decided by it.
    ///   - annotations: what is signed beside.
    ///   - deadline: when a key that is elsewhere must have answered.
    public func layer(
        signing image: ArtifactDigest, name: String, annotations: [String: String] = [:],
        deadline: ContinuousClock.Instant
    ) async throws(CosignSigningError) -> Layer {
        let payload = Self.payload(image, name, annotations)
        let signature = try await signature(over: payload, deadline)
        let layer = Layer(payload: payload, annotations: [CosignAnnotation.signature: Base64.encode(signature)])
        try check(
            verifier.verify(
                layer: payload, annotations: layer.annotations, image: image, policy: policy(annotations)))
        return layer
    }

    /// Signs an image with a bundle, as cosign does since version 3.
    ///
    /// - Parameters:
    ///   - image: the digest of the image's manifest.
    ///   - annotations: what is signed beside.
    ///   - deadline: when a key that is elsewhere must have answered.
    /// - Returns: the bundle, in JSON.
    public func bundle(
        signing image: ArtifactDigest, annotations: [String: String] = [:], deadline: ContinuousClock.Instant
    ) async throws(CosignSigningError) -> [UInt8] {
        let payload = Self.statement(image, annotations)
        let signature = try await signature(
            over: DSSEEnvelope.preAuthenticationEncoding(DSSEEnvelope.inTotoType, payload), deadline)
        let json: JSONValue = [
            "mediaType": .string(CosignMediaType.bundle),
            "verificationMaterial": ["publicKey": ["hint": .string(key.hint)]],
            "dsseEnvelope": [
                "payload": .string(Base64.encode(payload)), "payloadType": .string(DSSEEnvelope.inTotoType),
                "signatures": [["sig": .string(Base64.encode(signature))]],
            ],
        ]
        let bundle = json.bytes
        try check(verifier.verify(imageBundle: bundle, image: image, policy: policy(annotations)))
        return bundle
    }

    /// Whether a layer is a signature by this key of an image with these annotations, whatever else may be in it.
    public func hasSigned(
        _ payload: [UInt8], annotations layer: [String: String], image: ArtifactDigest, annotations: [String: String]
    ) -> Bool {
        verifier.verify(layer: payload, annotations: layer, image: image, policy: policy(annotations)).isVerified
    }

    // MARK: What is signed

    /// The members are in cosign's order, and `optional` is there when it is empty.
    static func payload(_ image: ArtifactDigest, _ name: String, _ annotations: [String: String]) -> [UInt8] {
        let json: JSONValue = [
            "critical": [
                "identity": ["docker-reference": .string(name)],
                "image": ["docker-manifest-digest": .string(image.description)],
                "type": .string(SimpleSigningPayload.type),
            ],
            "optional": annotations.isEmpty ? .null : .object(members(annotations)),
        ]
        return json.bytes
    }

    static func statement(_ image: ArtifactDigest, _ annotations: [String: String]) -> [UInt8] {
        let subject: JSONValue = [
            "digest": [image.algorithm.rawValue: .string(image.hex)], "annotations": .object(members(annotations)),
        ]
        let json: JSONValue = [
            "_type": "https://in-toto.io/Statement/v1", "subject": [subject],
            "predicateType": .string(CosignMediaType.signaturePredicate), "predicate": [:],
        ]
        return json.bytes
    }

    private static func members(_ annotations: [String: String]) -> JSONObject {
        var members = JSONObject()
        for name in annotations.keys.sorted() { members[name] = annotations[name].map(JSONValue.string) }
        return members
    }

    // MARK: Signing and verifying

    private func signature(
        over message: [UInt8], _ deadline: ContinuousClock.Instant
    ) async throws(CosignSigningError) -> [UInt8] {
        switch source {
        case .local(let key):
            do { return try key.signature(over: message, scheme: scheme) } catch {
                throw CosignSigningError("signing failed: \(error)")
            }
        case .remote(let key):
            guard let hash = SignatureAlgorithm.hash(of: scheme) else {
                throw CosignSigningError(
                    "signing failed: a key that is elsewhere signs digests, and \(scheme) has none")
            }
            let digest: [UInt8]
            do { digest = try hash.digest(of: message) } catch { throw CosignSigningError("signing failed: \(error)") }
            return try await key.signature(ofDigest: digest, scheme: scheme, deadline: deadline)
        }
    }

    /// A key needs no trusted root where no log is asked for.
    private var verifier: BundleVerifier { BundleVerifier(root: TrustedRoot()) }

    private func policy(_ annotations: [String: String]) -> BundlePolicy {
        var policy = BundlePolicy(keys: [key])
        policy.logThreshold = 0
        policy.annotations = annotations
        return policy
    }

    /// What was made must verify: a vault that signs with another key is noticed here, not by users.
    private func check(_ outcome: BundleOutcome) throws(CosignSigningError) {
        guard outcome.isVerified else {
            throw CosignSigningError(
                "the new signature does not verify, and is not used: "
                    + (outcome.refusal?.description ?? "the verification did not come to its end"))
        }
    }
}
