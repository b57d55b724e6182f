import OCI

/// The outcome of verifying an image: each signature that was tried, and the verdict.
public struct ImageOutcome: Sendable {
    /// The verdicts.
    public enum Verdict: Sendable {
        /// A signature is good.
        case verified
        /// The policy says that this image needs no signature.
        case skipped
        /// No signature is good, and asking again would not change that.
        case notVerified(ValidationFailure)
        /// It could not be determined: something failed that may well work in a moment. Never a verdict on the image.
        case undetermined(ValidationFailure)
    }

    /// The image.
    public let reference: ImageReference
    /// The manifest that was judged; `nil` when it was not resolved.
    public let subject: Descriptor?
    /// The trust policy statement that applied; `nil` when there is none.
    public let statement: TrustPolicyStatement?
    /// The signatures that were tried, in the order of the listing; the last one is the good one, if there is one.
    public let signatures: [SignatureOutcome]
    /// How many signatures the image has.
    public let signatureCount: Int
    /// What ended the verification before, or beside, single signatures.
    public let failure: ValidationFailure?

    /// The first good signature.
    public var verifiedSignature: SignatureOutcome? { signatures.first(where: \.isVerified) }

    /// The verdict: one good signature suffices.
    public var verdict: Verdict {
        if let statement, statement.level.isSkip { return .skipped }
        if verifiedSignature != nil { return .verified }
        if let failure, failure.isTransient { return .undetermined(failure) }
        if let refusal = signatures.first(where: \.isUndetermined)?.refusal { return .undetermined(refusal) }
        if let failure { return .notVerified(failure) }
        let refusals = signatures.compactMap(\.refusal)
        let reasons = refusals.map(\.description)
        return .notVerified(
            ValidationFailure(
                reasons.count == 1
                    ? reasons[0]
                    : "none of \(reasons.count) signatures is good: "
                        + reasons.enumerated().map { "(\($0 + 1)) \($1)" }.joined(separator: "; "),
                // Whichever signature is the good one might be so when it is mended.
                isConfiguration: refusals.contains(where: \.isConfiguration)))
    }

    /// Whether the image may be admitted as far as signatures go.
    public var isAccepted: Bool {
        switch verdict {
        case .verified, .skipped: true
        case .notVerified, .undetermined: false
        }
    }
}
