/// Why a certificate is not proven to have been logged: the step ``VerificationStep/certificateTimestamp``.
public struct CertificateTimestampError: StepError {
    /// What a caller can tell apart.
    public enum Kind: String, Hashable, Sendable {
        /// The certificate has no signed certificate timestamp.
        case missing
        /// The list of them cannot be read.
        case malformed
        /// None is by a log of the trusted root.
        case unknownLog
        /// It was made when the log was not trusted.
        case outsideValidity
        /// The log did not sign it.
        case badSignature
    }

    /// The step.
    public static var step: VerificationStep { .certificateTimestamp }
    /// What happened.
    public let kind: Kind
    /// What happened, where and what to do, for a person.
    public let description: String

    init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }
}
