import FoundationEssentials
import OCI
import PKI

/// The outcome of verifying one signature: each validation with its action and result, and what the signature says once
/// its integrity is proven.
public struct SignatureOutcome: Sendable {
    /// What a verified signature says.
    public struct Content: Sendable {
        /// The envelope.
        public let envelope: SignatureEnvelope
        /// The certificate chain, leaf first.
        public let chain: [Certificate]
        /// The payload; `nil` until it has been read, and when it cannot be.
        public internal(set) var payload: SignaturePayload?

        /// The signing certificate.
        public var signer: Certificate { chain[0] }
        /// The metadata that was signed with the artifact; empty when there is none.
        public var userMetadata: [String: String] { payload?.targetArtifact.annotations ?? [:] }
    }

    /// The descriptor of the signature's manifest, when it came from a store.
    public internal(set) var manifest: Descriptor?
    /// The descriptor of the envelope, when it came from a store.
    public internal(set) var envelope: Descriptor?
    /// How strictly the signature was verified.
    public let level: VerificationLevel
    /// What the signature says; `nil` unless its integrity is proven.
    public internal(set) var content: Content?
    /// The five validations, in the order in which they are done: integrity, authenticity, expiry, authentic timestamp,
    /// revocation.
    public internal(set) var results: [ValidationResult]
    /// The earliest end of the revocation answers that the validations rest on, when they must be done again. `nil`
    /// when they rest on none.
    public internal(set) var validUntil: Date?
    /// What fails the signature beside the validations, at every level: it could not be fetched, it is about another
    /// artifact, it lacks required metadata, it demands what is not supported.
    public internal(set) var failure: ValidationFailure?

    /// Whether the signature is good, as the policy asks.
    public var isVerified: Bool {
        guard failure == nil, !level.isSkip else { return false }
        return results.count == ValidationType.allCases.count
            && results.allSatisfy { result in
                switch result.status {
                case .passed: true
                case .failed: result.action == .log && result.type != .integrity
                case .skipped: result.action == .skip && result.type == .revocation
                case .notRun: false
                }
            }
    }

    /// Why it is not good: the failure beside the validations, or the first enforced one. `nil` when it is good.
    public var refusal: ValidationFailure? {
        guard !isVerified else { return nil }
        return failure ?? results.first(where: \.isCritical)?.failure
            ?? ValidationFailure("the verification did not come to its end")
    }

    /// Whether this is no verdict: what failed it may well be gone in a moment.
    public var isUndetermined: Bool { refusal?.isTransient == true }

    /// The result of a validation.
    public subscript(type: ValidationType) -> ValidationResult? { results.first { $0.type == type } }

    /// The order of the validations, as in the reference verifier.
    static let order: [ValidationType] = [.integrity, .authenticity, .expiry, .authenticTimestamp, .revocation]

    /// An outcome in which nothing has been done yet.
    init(level: VerificationLevel) {
        self.level = level
        results = Self.order.map {
            ValidationResult(type: $0, action: level[$0], status: level[$0] == .skip ? .skipped : .notRun, failure: nil)
        }
    }

    /// Records a result.
    ///
    /// - Returns: whether the verification goes on.
    mutating func record(_ type: ValidationType, _ failure: ValidationFailure?) -> Bool {
        let result = ValidationResult.result(type, level[type], failure)
        if let index = results.firstIndex(where: { $0.type == type }) { results[index] = result }
        return !result.isCritical
    }
}
