/// Why the signing certificate is not one of the trusted root's: the step ``VerificationStep/certificateChain``.
public struct CertificateChainError: StepError {
    /// What a caller can tell apart.
    public enum Kind: String, Hashable, Sendable {
        /// No authority of the trusted root issued it.
        case unknownAuthority
        /// A certificate, or the authority, was not valid at a proven time.
        case outsideValidity
        /// A certificate may not be used for this.
        case purpose
        /// A certificate breaks a rule for chains.
        case rule
    }

    /// The step.
    public static var step: VerificationStep { .certificateChain }
    /// What happened.
    public let kind: Kind
    /// What happened, where and what to do, for a person.
    public let description: String

    init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }
}
