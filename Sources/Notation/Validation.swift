/// The validations of a signature (trust store and trust policy specification, "Signature Verification details").
public enum ValidationType: String, Hashable, Sendable, CaseIterable {
    /// The artifact and the signature are unaltered.
    case integrity
    /// An identity that the policy trusts signed.
    case authenticity
    /// The signature was made while the certificates were valid.
    case authenticTimestamp
    /// The signature has not expired.
    case expiry
    /// The signing identity is still trusted.
    case revocation
}

/// What a failed validation leads to.
public enum ValidationAction: String, Hashable, Sendable, CaseIterable {
    /// The verification fails.
    case enforce
    /// The failure is reported, and the verification goes on.
    case log
    /// The validation is not done.
    case skip
}

/// Why a validation failed.
public struct ValidationFailure: Error, Hashable, Sendable, CustomStringConvertible {
    /// What was found, where, and what to do about it.
    public let description: String
    /// Whether the same validation may well have another result in a moment: a responder that does not answer. Such a
    /// failure says nothing about the signature and must not be kept as a verdict.
    public let isTransient: Bool
    /// Whether the signature is about the digest of the artifact, but with another media type or size than the registry
    /// states: one of them is wrong, so callers may ask the registry once more before the failure counts.
    public let contradictsDescriptor: Bool
    /// What to do about it, where the validation that failed does not say it already.
    public let advice: String?

    /// Whether the configuration is at fault, not the signature: a trust store that cannot be used, credentials that
    /// cannot be read.
    public let isConfiguration: Bool

    /// A failure with its reason.
    public init(
        _ description: String, isTransient: Bool = false, isConfiguration: Bool = false,
        contradictsDescriptor: Bool = false, advice: String? = nil
    ) {
        self.description = description
        self.advice = advice
        self.isTransient = isTransient
        self.isConfiguration = isConfiguration
        self.contradictsDescriptor = contradictsDescriptor
    }
}

/// The result of one validation.
public struct ValidationResult: Hashable, Sendable {
    /// The outcomes of a validation.
    public enum Status: String, Hashable, Sendable {
        /// Done, and nothing was wrong.
        case passed
        /// Done, and something was wrong.
        case failed
        /// Not done, since the policy says so.
        case skipped
        /// Not done, since an earlier failure ended the verification.
        case notRun
    }

    /// Which validation.
    public let type: ValidationType
    /// What its failure leads to.
    public let action: ValidationAction
    /// Its result.
    public let status: Status
    /// Why it failed.
    public let failure: ValidationFailure?

    /// The reason of a failure as text.
    public var message: String? { failure?.description }

    /// Whether it ends the verification.
    public var isCritical: Bool { status == .failed && action == .enforce }

    static func result(_ type: ValidationType, _ action: ValidationAction, _ failure: ValidationFailure?) -> Self {
        ValidationResult(type: type, action: action, status: failure == nil ? .passed : .failed, failure: failure)
    }
}
