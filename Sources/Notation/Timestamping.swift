import FoundationEssentials
import PKI

/// Has signatures countersigned by a timestamp authority (signature specification, "Timestamp Signature"; RFC 3161).
public protocol Timestamping: Sendable {
    /// A token over a signature, one that verifies.
    ///
    /// - Parameters:
    ///   - signature: the signature itself, as the envelope has it.
    ///   - hash: the hash function of its algorithm, which the message imprint uses too.
    ///   - chain: the signing chain, which must be valid at the time of the timestamp.
    ///   - now: the time of signing.
    ///   - deadline: when the authority must have answered.
    /// - Returns: the TimeStampToken as the authority encoded it.
    func token(
        over signature: [UInt8], hash: HashAlgorithm, chain: [Certificate], now: Date,
        deadline: ContinuousClock.Instant
    ) async throws(SigningError) -> [UInt8]
}
