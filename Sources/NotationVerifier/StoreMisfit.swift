import KeyManagement
import Notation
import PKI

/// A certificate that may not be in a trust store which it fills: the store cannot be used as long as it is there,
/// since "a store is used as a whole or not at all", and none of its certificates is in force in it.
struct StoreMisfit: Sendable {
    /// The store.
    let use: TrustUse
    /// The provider of the certificate.
    let provider: String
    /// Its SHA-256, in hexadecimal.
    let fingerprint: String
    /// What is wrong with it.
    let problem: String

    /// In a sentence, with what to do.
    var sentence: String {
        "trust store \"\(use.store)\" of \(use.verifier) cannot be used, and every signature that needs it is refused: \(problem) "
            + "(from \(provider)); take that certificate out, or put a root of that kind in its place"
    }

    /// The first misfit of each store that is used.
    static func all(_ uses: [TrustUse], in trusted: TrustedCertificates) -> [StoreMisfit] {
        uses.compactMap { use in
            guard let name = try? TrustStoreName(parsing: use.store) else { return nil }
            for provider in use.providers {
                guard let (certificate, problem) = (try? trusted.certificates(named: provider))?.refusal(in: name.type)
                else { continue }
                return StoreMisfit(use: use, provider: provider, fingerprint: certificate.sha256Hex, problem: problem)
            }
            return nil
        }
    }

    /// Why a certificate of a provider is in force in no store; `nil` when it is in force in one, or none uses it.
    static func problem(
        of certificate: ProviderStatus.Properties, uses: [TrustUse], _ misfits: [StoreMisfit]
    ) -> String? {
        guard certificate.isInForce, !uses.isEmpty else { return nil }
        let broken = uses.compactMap { use in misfits.first { $0.use == use } }
        guard broken.count == uses.count, let first = broken.first else { return nil }
        let own = broken.first { $0.fingerprint == certificate.fingerprint }
        return own.map { "not in force in \($0.use.store): \($0.problem)" }
            ?? "not in force: \(first.use.store) cannot be used, \(first.problem)"
    }
}
