import PKI
import Quotation
import StrictJSON

/// Why a signature is not the key's over the artifact: the step ``VerificationStep/signature``.
public struct ArtifactSignatureError: StepError {
    /// What a caller can tell apart.
    public enum Kind: String, Hashable, Sendable {
        /// The signature is not the key's over this content.
        case badSignature
        /// What was signed is another artifact.
        case otherArtifact
        /// The signature cannot be verified with the digest alone.
        case needsArtifact
        /// The envelope's payload is of another type than an in-toto statement.
        case payloadType
        /// The payload cannot be read.
        case malformedStatement
        /// The payload of a cosign signature cannot be read.
        case malformedPayload
        /// The statement's predicate is of another type than the policy asks for, or there is no statement.
        case predicateType
        /// An annotation that the policy asks for was not signed, or with another text.
        case annotation
    }

    /// The step.
    public static var step: VerificationStep { .signature }
    /// What happened.
    public let kind: Kind
    /// What happened, where and what to do, for a person.
    public let description: String

    init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }
}

/// The step ``VerificationStep/signature``.
enum ArtifactSignature {
    /// What a verified signature says about the artifact.
    enum Claim {
        /// Nothing more than that it is signed.
        case none
        /// A statement.
        case statement(InTotoStatement)
        /// cosign's payload.
        case payload(SimpleSigningPayload)
    }

    /// Verifies the signature, and that it is about the artifact.
    static func verify(
        _ content: Bundle.Content, by key: SigningKey, over artifact: Artifact, policy: BundlePolicy
    ) throws(ArtifactSignatureError) -> Claim {
        switch content {
        case .message(let message):
            try verify(message, by: key, over: artifact)
            try refuseTypes(policy, "the signature is over the artifact itself")
            guard policy.annotations.isEmpty else {
                throw ArtifactSignatureError(
                    .annotation,
                    "the signature is over the artifact itself, which has no annotations; the policy asks for "
                        + names(policy.annotations.keys, " and "))
            }
            return .none
        case .envelope(let envelope):
            return .statement(try verify(envelope, by: key, about: artifact, policy))
        case .simpleSigning(let layer):
            return .payload(try verify(layer, by: key, about: artifact, policy))
        }
    }

    /// Whether a signature is a key's, whatever else may be wrong.
    static func isBy(_ key: SigningKey, _ content: Bundle.Content, over artifact: Artifact) -> Bool {
        switch content {
        case .message(let message):
            switch artifact {
            case .content(let bytes): key.isValid(message.signature, over: bytes)
            case .digest(let digest): key.isValid(message.signature, ofDigest: digest) == true
            }
        case .envelope(let envelope): key.isValid(envelope.signature, over: envelope.preAuthenticationEncoding)
        case .simpleSigning(let layer): key.isValid(layer.signature, over: layer.payload)
        }
    }

    private static func verify(
        _ message: Bundle.MessageSignature, by key: SigningKey, over artifact: Artifact
    ) throws(ArtifactSignatureError) {
        if let stated = message.digest {
            // Nothing relies on it, but a bundle that names another artifact is not this one's.
            guard let own = artifact.digest(stated.algorithm) else {
                throw ArtifactSignatureError(
                    .needsArtifact,
                    "the bundle names the artifact by its \(stated.algorithm.rawValue), and no more is known of it than "
                        + "\(artifact.name): give the artifact itself")
            }
            guard own == stated else {
                throw ArtifactSignatureError(
                    .otherArtifact, "the bundle is about the artifact \(stated), not \(own)")
            }
        }
        let isValid: Bool?
        switch artifact {
        case .content(let bytes): isValid = key.isValid(message.signature, over: bytes)
        case .digest(let digest): isValid = key.isValid(message.signature, ofDigest: digest)
        }
        guard let isValid else {
            throw ArtifactSignatureError(
                .needsArtifact,
                "a signature by a key \(key.publicKey.kind) cannot be verified with \(artifact.name) alone: give the artifact "
                    + "itself, or have a statement about it signed")
        }
        guard isValid else {
            throw ArtifactSignatureError(
                .badSignature,
                "the signature is not by the signing key over the artifact \(artifact.name): one of them has been altered, or it "
                    + "is of another artifact")
        }
    }

    private static func verify(
        _ envelope: DSSEEnvelope, by key: SigningKey, about artifact: Artifact, _ policy: BundlePolicy
    ) throws(ArtifactSignatureError) -> InTotoStatement {
        guard key.isValid(envelope.signature, over: envelope.preAuthenticationEncoding) else {
            throw ArtifactSignatureError(
                .badSignature,
                "the signature of the envelope is not by the signing key over its payload: one of them has been altered"
            )
        }
        guard isSame(envelope.payloadType, DSSEEnvelope.inTotoType) else {
            throw ArtifactSignatureError(
                .payloadType,
                "the envelope's payload is of the type \"\(envelope.payloadType.quotedMediaType)\", expected "
                    + DSSEEnvelope.inTotoType)
        }
        let statement = try InTotoStatement(parsing: envelope.payload)
        let subjects = statement.subjects(about: artifact)
        guard !subjects.isEmpty else {
            throw ArtifactSignatureError(
                .otherArtifact,
                "none of the \(statement.subjects.count) subjects of the statement is the artifact \(artifact.name)")
        }
        // The type of this statement, not of another one beside it.
        if let types = policy.predicateTypes, !types.contains(where: { isSame($0, statement.predicateType) }) {
            throw ArtifactSignatureError(
                .predicateType,
                "the statement is of the type \"\(statement.predicateType.quoted)\"; the policy asks for "
                    + names(types, " or "))
        }
        // One subject must have all of the annotations: those of several are about several artifacts, or names of one.
        let faults = subjects.compactMap { fault(of: policy.annotations, in: $0.annotations) }
        if faults.count == subjects.count { throw ArtifactSignatureError(.annotation, faults[0]) }
        return statement
    }

    private static func verify(
        _ layer: Bundle.SignedPayload, by key: SigningKey, about artifact: Artifact, _ policy: BundlePolicy
    ) throws(ArtifactSignatureError) -> SimpleSigningPayload {
        guard key.isValid(layer.signature, over: layer.payload) else {
            throw ArtifactSignatureError(
                .badSignature,
                "the cosign signature is not by the signing key over its payload: one of them has been altered, or another "
                    + "key signed")
        }
        let payload = try SimpleSigningPayload(parsing: layer.payload)
        guard artifact.digest(payload.imageDigest.algorithm) == payload.imageDigest else {
            throw ArtifactSignatureError(
                .otherArtifact,
                "the cosign signature is of the image \(payload.imageDigest), not \(artifact.name): it was made for another "
                    + "image")
        }
        try refuseTypes(policy, "the signature is over a simple signing payload")
        if let fault = fault(of: policy.annotations, in: payload.optional) {
            throw ArtifactSignatureError(.annotation, fault)
        }
        return payload
    }

    private static func refuseTypes(_ policy: BundlePolicy, _ form: String) throws(ArtifactSignatureError) {
        guard let types = policy.predicateTypes else { return }
        throw ArtifactSignatureError(
            .predicateType, "\(form); the policy asks for a statement of the type " + names(types, " or "))
    }

    /// What is wrong with signed annotations; nil when all that are wanted are there.
    private static func fault(of wanted: [String: String], in signed: JSONObject) -> String? {
        for (name, text) in wanted.sorted(by: { $0.key < $1.key }) {
            guard let value = signed[name] else {
                return "the annotation \"\(name.quoted)\" was not signed with the image; the policy asks for "
                    + "\"\(text.quoted)\""
            }
            guard let own = value.string, isSame(own, text) else {
                let found = value.string.map { "\"\($0.quoted)\"" } ?? value.kind
                return
                    "the annotation \"\(name.quoted)\" that was signed with the image is \(found); the policy asks for "
                    + "\"\(text.quoted)\""
            }
        }
        return nil
    }

    private static func names(_ names: some Collection<String>, _ separator: String) -> String {
        names.sorted().map { "\"\($0.quoted)\"" }.joined(separator: separator)
    }
}
