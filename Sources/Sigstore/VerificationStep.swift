/// The steps of verifying one bundle, in the order in which they are done. What a step proves, the later ones build on.
public enum VerificationStep: String, Hashable, Sendable, CaseIterable {
    /// The bundle is well formed, of a version that is known, and within the limits (``BundleError``).
    case bundle
    /// The key that is said to have signed can be used (``SigningKeyError``).
    case signingKey
    /// Times at which the signature existed are proven (``ProvenTimeError``).
    case provenTime
    /// The certificate was issued by an authority of the trusted root, and valid at each proven time
    /// (``CertificateChainError``).
    case certificateChain
    /// The certificate was logged by a certificate transparency log of the trusted root
    /// (``CertificateTimestampError``).
    case certificateTimestamp
    /// The signature is in a transparency log of the trusted root (``TransparencyError``).
    case transparency
    /// The signature is the key's, over this artifact (``ArtifactSignatureError``).
    case signature
    /// Whoever signed is who the policy names (``IdentityError``).
    case identity
}

/// Why a step failed. Each step has errors of a type of its own.
public protocol StepError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The step that fails with such an error.
    static var step: VerificationStep { get }
}

/// What came of one step.
public struct StepResult: Sendable {
    /// The outcomes of a step.
    public enum Status: String, Hashable, Sendable {
        /// Done, and nothing was wrong.
        case passed
        /// Done, and something was wrong.
        case failed
        /// Not done, since there is nothing for it to check, or the policy says so: a key has no certificate chain.
        case skipped
        /// Not done, since an earlier step failed.
        case notRun
    }

    /// Which step.
    public let step: VerificationStep
    /// What came of it.
    public internal(set) var status: Status
    /// Why it failed, as one of the errors that ``VerificationStep`` names.
    public internal(set) var error: (any StepError)?

    /// The reason of a failure as text.
    public var message: String? { error?.description }
}
