import FoundationEssentials
import PKI

/// Verifies RFC 3161 countersignatures (trust store and trust policy specification, "Timestamp Countersignature
/// Verification details").
public protocol TimestampVerifying: Sendable {
    /// Verifies a token over a signature: its syntax, message imprint, signature, `signing-certificate-v2`, and the
    /// chain to a trusted root by the certificate requirements for timestamping.
    ///
    /// Comparing the time with the validity of the signing chain, and the revocation status of the authority, are the
    /// caller's.
    ///
    /// - Parameters:
    ///   - token: the TimeStampToken.
    ///   - signature: what it must be over.
    ///   - roots: the certificates of the `tsa` trust stores.
    func verify(
        token: [UInt8], over signature: [UInt8], roots: [Certificate]
    ) throws(ValidationFailure) -> VerifiedTimestamp
}

/// What a verified timestamp says.
public struct VerifiedTimestamp: Hashable, Sendable {
    /// The time.
    public let time: Date
    /// The time with its accuracy: when, at the earliest and at the latest, the signature was seen.
    public let range: ClosedRange<Date>
    /// The chain of the authority, leaf first, the trusted root last.
    public let chain: [Certificate]

    /// A verified timestamp.
    public init(time: Date, range: ClosedRange<Date>, chain: [Certificate]) {
        self.time = time
        self.range = range
        self.chain = chain
    }

    /// Why the timestamp proves no time for a signing chain: it is of a time to come, or the signature was perhaps not
    /// made while the chain was valid: "the time range from timeStampLowerLimit to timeStampUpperLimit is entirely
    /// within the signing certificate chain's validity period", both ends included.
    package func failure(within signingChain: [Certificate], now: Date) -> ValidationFailure? {
        // RFC 3161, section 2.4.2: genTime is when the token was created. The reference verifier takes any.
        guard time <= now.addingTimeInterval(SignatureVerifier.clockSkew) else {
            return ValidationFailure(
                "the timestamp is of a time to come, \(RFC3339.text(time)): its authority's clock is wrong, or this one's"
            )
        }
        let outside = signingChain.first { range.lowerBound < $0.notBefore || range.upperBound > $0.notAfter }
        return outside.map { certificate in
            ValidationFailure(
                "the certificate \"\(certificate.subject)\" was perhaps not valid at the time of the timestamp, "
                    + "\(RFC3339.text(range.lowerBound)) to \(RFC3339.text(range.upperBound)): "
                    + SignatureVerifier.validity(certificate))
        }
    }
}
