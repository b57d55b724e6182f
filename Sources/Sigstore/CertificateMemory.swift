import Concurrency
import Crypto
import PKI

/// What was found out about certificates: that an issuer signed one, and that a log promised it. Neither depends on the
/// time or on a policy, each costs as much as all the rest of a verification (Fulcio's keys are on P-384), and the same
/// bundle is verified again and again.
///
/// Only what holds is kept: what does not is found out anew.
final class CertificateMemory: Sendable {
    private struct Fact: Hashable, Sendable {
        let certificate: [UInt8]
        let issuer: [UInt8]
        /// The hash of the log's key and of the whole promise; empty for what the issuer signed.
        let promise: [UInt8]
    }

    private let facts = BoundedCache<Fact, Bool>(maximumCost: 4_096)

    /// Whether an issuer's key signed a certificate.
    func isSigned(_ certificate: Certificate, by issuer: Certificate) -> Bool {
        holds(Fact(certificate: certificate.sha256, issuer: issuer.sha256, promise: [])) {
            certificate.isSigned(by: issuer)
        }
    }

    /// Whether a log's key signed a promise about a certificate.
    func isPromised(
        _ certificate: Certificate, _ issuer: Certificate, _ promise: SignedCertificateTimestamp, by key: LogKey,
        _ check: () -> Bool
    ) -> Bool {
        var hash = SHA256()
        hash.update(data: key.publicKey.spkiDER)
        hash.update(data: promise.encoded)
        return holds(
            Fact(certificate: certificate.sha256, issuer: issuer.sha256, promise: Array(hash.finalize())), check)
    }

    private func holds(_ fact: Fact, _ check: () -> Bool) -> Bool {
        if facts.value(for: fact) == true { return true }
        guard check() else { return false }
        facts.insert(true, for: fact, cost: 1)
        return true
    }
}
