import PKI
import Quotation

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
        /// The statement's predicate is of another type than the policy asks for, or there is no statement.
        case predicateType
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
    /// Verifies the signature, and that it is about the artifact.
    ///
    /// - Returns: the statement, where one was signed.
    static func verify(
        _ content: Bundle.Content, by key: SigningKey, over artifact: Artifact, predicateTypes: Set<String>?
    ) throws(ArtifactSignatureError) -> InTotoStatement? {
        switch content {
        case .message(let message):
            try verify(message, by: key, over: artifact)
            guard predicateTypes == nil else {
                throw ArtifactSignatureError(
                    .predicateType,
                    "the signature is over the artifact itself; the policy asks for a statement of the type "
                        + names(predicateTypes))
            }
            return nil
        case .envelope(let envelope):
            return try verify(envelope, by: key, about: artifact, predicateTypes: predicateTypes)
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
        _ envelope: DSSEEnvelope, by key: SigningKey, about artifact: Artifact, predicateTypes: Set<String>?
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
        guard statement.isAbout(artifact) else {
            throw ArtifactSignatureError(
                .otherArtifact,
                "none of the \(statement.subjects.count) subjects of the statement is the artifact \(artifact.name)")
        }
        // The type of this statement, not of another one beside it.
        if let predicateTypes, !predicateTypes.contains(where: { isSame($0, statement.predicateType) }) {
            throw ArtifactSignatureError(
                .predicateType,
                "the statement is of the type \"\(statement.predicateType.quoted)\"; the policy asks for "
                    + names(predicateTypes))
        }
        return statement
    }

    private static func names(_ types: Set<String>?) -> String {
        (types ?? []).sorted().map { "\"\($0.quoted)\"" }.joined(separator: " or ")
    }
}
