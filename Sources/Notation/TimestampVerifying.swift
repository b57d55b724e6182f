import FoundationEssentials
import PKI

/// Verifies RFC 3161 countersignatures (trust store and trust policy specification, "Timestamp Countersignature
/// Verification details").
public protocol TimestampVerifying: Sendable {
    /// Verifies a token over a signature: its syntax, message imprint, signature, `signing-certificate-v2`, the chain to
    /// a trusted root by the certificate requirements for timestamping, and the revocation status of that chain.
    ///
    /// - Parameters:
    ///   - token: the TimeStampToken.
    ///   - signature: what it must be over.
    ///   - roots: the certificates of the `tsa` trust stores.
    ///   - now: the time of verification.
    ///   - deadline: when an answer must be there.
    /// - Returns: the range of time, by the token's time and accuracy, in which the signature existed. Comparing it with
    ///   the validity of the signing chain is the caller's.
    func verify(
        token: [UInt8], over signature: [UInt8], roots: [Certificate], now: Date, deadline: ContinuousClock.Instant
    ) async throws(ValidationFailure) -> ClosedRange<Date>
}

/// Fails whenever a timestamp must be verified.
public struct UnsupportedTimestamps: TimestampVerifying {
    /// The verifier.
    public init() {}

    /// Fails.
    public func verify(
        token: [UInt8], over signature: [UInt8], roots: [Certificate], now: Date, deadline: ContinuousClock.Instant
    ) throws(ValidationFailure) -> ClosedRange<Date> {
        throw ValidationFailure(
            "the trust policy asks for the RFC 3161 timestamp, and timestamps are not supported yet; until they are, it "
                + "can go without a tsa trust store, set verifyTimestamp to \"afterCertExpiry\", or override "
                + "authenticTimestamp with \"log\"")
    }
}
