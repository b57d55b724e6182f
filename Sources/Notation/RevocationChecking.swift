import FoundationEssentials
import PKI
import Quotation

/// Checks whether the certificates of a chain have been revoked (trust store and trust policy specification,
/// "Certificate Revocation Evaluation").
public protocol RevocationChecking: Sendable {
    /// Checks all certificates of a chain but its root.
    ///
    /// - Parameters:
    ///   - chain: leaf first, complete.
    ///   - isTrusted: whether the trust policy trusts the chain. What strangers' chains lead to is used for them, and
    ///     teaches nothing that outlasts it.
    ///   - authenticSigningTime: the time that a signing authority states, which decides whether a revocation with an
    ///     invalidity date after it counts.
    ///   - now: the time of verification.
    ///   - deadline: when an answer must be there.
    /// - Returns: when the first of the answers that it rests on ends; `nil` when it rests on none.
    /// - Throws: ``ValidationFailure`` when a certificate is revoked or its status is unknown; transient when a responder
    ///   could not be reached.
    func check(
        _ chain: [Certificate], isTrusted: Bool, authenticSigningTime: Date?, now: Date,
        deadline: ContinuousClock.Instant
    ) async throws(ValidationFailure) -> Date?
}

/// The revocation check of a verifier that is to ask nobody: chains whose certificates name no source of revocation
/// information pass ("no revocation check is performed and the certificate is considered valid"), every other chain
/// fails.
public struct OfflineRevocation: RevocationChecking {
    /// The check.
    public init() {}

    /// Fails for the first certificate, root excluded, that names a source.
    public func check(
        _ chain: [Certificate], isTrusted: Bool, authenticSigningTime: Date?, now: Date,
        deadline: ContinuousClock.Instant
    ) throws(ValidationFailure) -> Date? {
        for certificate in chain.dropLast()
        where !certificate.ocspURLs.isEmpty || !certificate.crlDistributionPoints.isEmpty {
            let source =
                certificate.ocspURLs.first ?? certificate.crlDistributionPoints.first?.first
                ?? "a certificate revocation list"
            throw ValidationFailure(
                "the certificate \"\(certificate.subject)\" names \(source.quoted) for its revocation status, and this "
                    + "verifier works offline; the trust policy can override revocation with \"log\" or \"skip\"")
        }
        return nil
    }
}

extension Date? {
    /// The earlier of two times, where `nil` is never.
    package static func earliest(_ left: Date?, _ right: Date?) -> Date? {
        guard let left, let right else { return left ?? right }
        return min(left, right)
    }
}
