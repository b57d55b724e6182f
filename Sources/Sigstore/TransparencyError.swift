/// Why a signature is not proven to be in a transparency log: the step ``VerificationStep/transparency``.
public struct TransparencyError: StepError {
    /// What a caller can tell apart.
    public enum Kind: String, Hashable, Sendable {
        /// The bundle has no log entry.
        case missing
        /// The entries are of fewer logs than the policy asks for.
        case belowThreshold
        /// The log is not in the trusted root, or its key is of a kind that is not known.
        case unknownLog
        /// The entry was made when the log was not trusted.
        case outsideValidity
        /// The hashes do not lead from the entry to the tree that the log signed.
        case badProof
        /// The checkpoint is not one, not this log's, or not about the proof's tree.
        case badCheckpoint
        /// Too few of the policy's witnesses have signed the checkpoint.
        case witnesses
        /// The entry is of a kind that is not known.
        case unknownEntry
        /// The entry's body cannot be read.
        case malformedEntry
        /// The entry is about another signature.
        case otherSignature
        /// The entry is about another key or certificate.
        case otherKey
        /// The entry is about another artifact.
        case otherArtifact
    }

    /// The step.
    public static var step: VerificationStep { .transparency }
    /// What happened.
    public let kind: Kind
    /// What happened, where and what to do, for a person.
    public let description: String

    init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }
}
