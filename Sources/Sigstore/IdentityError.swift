/// Why whoever signed is not who the policy names: the step ``VerificationStep/identity``.
public struct IdentityError: StepError {
    /// What a caller can tell apart.
    public enum Kind: String, Hashable, Sendable {
        /// The certificate's identity cannot be read.
        case malformed
        /// The certificate has no name of a kind that identifies a signer.
        case missing
        /// It is none of the identities of the policy.
        case mismatch
        /// The policy names no identity, so that nobody is who it names.
        case notConfigured
    }

    /// The step.
    public static var step: VerificationStep { .identity }
    /// What happened.
    public let kind: Kind
    /// What happened, where and what to do, for a person.
    public let description: String

    init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }
}
