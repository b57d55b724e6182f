/// Why it is not proven when the signature existed: the step ``VerificationStep/provenTime``.
public struct ProvenTimeError: StepError {
    /// What a caller can tell apart.
    public enum Kind: String, Hashable, Sendable {
        /// Nothing in the bundle proves a time.
        case missing
        /// The signature was timestamped by fewer authorities than the policy asks for.
        case belowThreshold
        /// A signed timestamp is not well formed, not signed, or of something else.
        case badTimestamp
        /// A signed timestamp is by nobody whom the trusted root has.
        case unknownAuthority
        /// A time lies outside of the validity of whoever states it.
        case outsideValidity
        /// A log's promise is not the log's, or of no log of the trusted root.
        case badPromise
        /// A time lies outside of the validity of the key that signed.
        case outsideKeyValidity
    }

    /// The step.
    public static var step: VerificationStep { .provenTime }
    /// What happened.
    public let kind: Kind
    /// What happened, where and what to do, for a person.
    public let description: String

    init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }
}
