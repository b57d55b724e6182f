/// How strictly a signature is verified: an action for each validation (trust store and trust policy specification,
/// "Signature Verification details").
public struct VerificationLevel: Hashable, Sendable {
    /// The names of the predefined levels.
    public enum Name: String, Hashable, Sendable, CaseIterable {
        /// Every validation is enforced.
        case strict
        /// Integrity and authenticity are enforced, the others are logged.
        case permissive
        /// Integrity is enforced, the others are logged.
        case audit
        /// Nothing is verified.
        case skip
    }

    /// The predefined level that this one is, or is derived from.
    public let base: Name
    /// What differs from the predefined level.
    public let overrides: [ValidationType: ValidationAction]

    /// A predefined level.
    public init(_ base: Name) {
        self.base = base
        overrides = [:]
    }

    /// A custom level ("Custom Verification Level").
    ///
    /// - Throws: ``TrustPolicyError`` when an override is not allowed: any with `skip`, any of integrity, and skipping
    ///   another validation than revocation.
    public init(_ base: Name, overrides: [ValidationType: ValidationAction]) throws(TrustPolicyError) {
        guard base != .skip || overrides.isEmpty else {
            throw TrustPolicyError("the level \"skip\" cannot be customized with \"override\"")
        }
        for (type, action) in overrides {
            guard type != .integrity else {
                throw TrustPolicyError("\"integrity\" cannot be overridden: it is always enforced")
            }
            guard action != .skip || type == .revocation else {
                throw TrustPolicyError("\"\(type.rawValue)\" cannot be skipped, only enforced or logged")
            }
        }
        self.base = base
        self.overrides = overrides
    }

    /// Whether nothing is verified.
    public var isSkip: Bool { base == .skip }

    /// The name for reports: that of the predefined level, or `custom`.
    public var name: String { overrides.isEmpty ? base.rawValue : "custom" }

    /// What a failure of a validation leads to.
    public subscript(type: ValidationType) -> ValidationAction {
        if let override = overrides[type] { return override }
        switch (base, type) {
        case (.skip, _): return .skip
        case (.strict, _), (_, .integrity), (.permissive, .authenticity): return .enforce
        case (.permissive, _), (.audit, _): return .log
        }
    }
}
