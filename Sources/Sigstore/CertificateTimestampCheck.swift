import Encoding
import PKI

/// The step ``VerificationStep/certificateTimestamp``: the certificate was logged before it was used, so that nobody
/// gets one in secret.
enum CertificateTimestampCheck {
    /// Verifies the signed certificate timestamps of a certificate.
    ///
    /// Those of logs that the trusted root does not have prove nothing and are passed over; one of a known log that is
    /// wrong fails.
    ///
    /// - Returns: the addresses of the logs, each once.
    static func verify(
        _ leaf: Certificate, issuer: Certificate, root: TrustedRoot, threshold: Int, memory: CertificateMemory
    ) throws(CertificateTimestampError) -> [String] {
        let timestamps = try SignedCertificateTimestamp.list(in: leaf)
        var verified: [(log: String, key: LogKey)] = []
        var outside: CertificateTimestampError?
        for timestamp in timestamps {
            let logs = root.certificateLogs.filter { $0.logID == timestamp.logID }
            for log in logs {
                guard let key = log.key else { continue }
                guard log.validity.contains(timestamp.time) else {
                    outside = CertificateTimestampError(
                        .outsideValidity,
                        "the signed certificate timestamp of \(UTC.text(timestamp.time)) is by the log \(log.baseURL), "
                            + "which the trusted root has \(log.validity)")
                    continue
                }
                let isSigned = memory.isPromised(leaf, issuer, timestamp, by: key) {
                    // Taken apart only for a promise that was not seen before.
                    guard let part = try? SignedCertificateTimestamp.precertificate(of: leaf) else { return false }
                    let signed = timestamp.signedData(precertificate: part, issuer: issuer)
                    return key.isValid(timestamp.signature, over: signed)
                }
                guard timestamp.names(key), isSigned
                else {
                    throw CertificateTimestampError(
                        .badSignature,
                        "the signed certificate timestamp of \(UTC.text(timestamp.time)) is not signed by the key of the log "
                            + log.baseURL)
                }
                // One log counts once, under whatever names the trusted root has its key.
                if !verified.contains(where: { $0.key == key }) { verified.append((log.baseURL, key)) }
            }
        }
        guard verified.count >= threshold else {
            if let outside { throw outside }
            let names = timestamps.map { Hex.text($0.logID.prefix(8)) + "…" }.joined(separator: ", ")
            throw CertificateTimestampError(
                .unknownLog,
                verified.isEmpty
                    ? "the signing certificate was logged by no certificate transparency log of the trusted root (it names "
                        + "\(names)): take the trusted root of the instance that issued the certificate"
                    : "the signing certificate was logged by \(verified.count) logs of the trusted root; the policy asks for "
                        + "\(threshold)")
        }
        return verified.map(\.log)
    }
}
