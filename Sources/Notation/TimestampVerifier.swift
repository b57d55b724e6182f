import FoundationEssentials
import PKI

/// Verifies RFC 3161 countersignatures offline: a pure function of the token, the signature and the trusted roots.
public struct TimestampVerifier: TimestampVerifying {
    /// An accuracy above this (about a hundred years, in seconds) is no statement about a time.
    static let maximumAccuracy: TimeInterval = 3.2e9

    /// The rules for the chain of a timestamp authority (signature specification, "Certificate Requirements"), in the
    /// order in which they are checked.
    public static let rules: [any CertificateRule] = [
        KeyStrengthRule(), SerialNumberRule(), CertificateSignatureRule(), ChainOrderRule(), BasicConstraintsRule(),
        KeyUsageRule(mustBeCritical: false), TimestampingPurposeRule(), UnderstoodExtensionsRule(),
    ]

    /// The verifier.
    public init() {}

    /// Verifies a token.
    public func verify(
        token bytes: [UInt8], over signature: [UInt8], roots: [Certificate]
    ) throws(ValidationFailure) -> VerifiedTimestamp {
        let token: TimestampToken
        let signer: Certificate
        do {
            token = try TimestampToken(der: bytes)
            // "Validate the signing-certificate-v2 attribute of timestamp CMS. When missing, fail this step."
            signer = try token.verify(timestamped: signature)
        } catch { throw ValidationFailure("the timestamp is not valid: \(error)") }
        let info = token.info
        guard !roots.isEmpty else {
            throw ValidationFailure("no timestamp authority is trusted: the trust policy names no tsa trust store")
        }
        guard info.accuracy <= Self.maximumAccuracy else {
            throw ValidationFailure("the timestamp's accuracy of \(info.accuracy) seconds says nothing of its time")
        }
        guard signer.isValid(at: info.time) else {
            throw ValidationFailure(
                "the timestamp authority's certificate \"\(signer.subject)\" was not valid at the time of the timestamp, "
                    + "\(RFC3339.text(info.time)): \(SignatureVerifier.validity(signer))")
        }
        // The certificates are judged at the time of the timestamp: they need not be valid any more.
        guard
            let chain = CertificateChain.path(
                from: signer, through: token.certificates, to: roots, at: info.time)
        else {
            throw ValidationFailure(
                "no chain leads from the timestamp authority's certificate \"\(signer.subject)\", issued by "
                    + "\"\(signer.issuer)\", to a root in the tsa trust stores that was valid at "
                    + RFC3339.text(info.time))
        }
        for rule in Self.rules {
            if let violation = rule.violation(in: chain) {
                throw ValidationFailure(
                    "the timestamp authority's certificate chain breaks the rules for timestamping: \(violation)")
            }
        }
        return VerifiedTimestamp(time: info.time, range: info.earliest...info.latest, chain: chain)
    }
}
