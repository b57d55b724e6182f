import FoundationEssentials
import PKI
import Quotation

/// Certificates, or a public key, that stand in the configuration itself (Ratify's KeyManagementProvider of type
/// `inline`). They never change.
package final class InlineCertificates: CertificateProvider {
    package let name: String
    package let type = "inline"
    package let offersCertificates: Bool
    private let holder = CertificateHolder()

    /// Reads the certificates.
    ///
    /// - Parameters:
    ///   - contentType: `certificate`, or `key` for a public key, which no trust store can be made of: Notation
    ///     signatures are verified with certificates.
    ///   - value: PEM, one or more certificates, or one `PUBLIC KEY`.
    /// - Throws: when the parameters are wrong, or hold no certificate that can be trusted.
    package init(name: String, contentType: String?, value: String?, now: Date) throws(KeyManagementError) {
        self.name = name
        let place = "key management provider \"\(name)\" of type inline"
        switch contentType {
        case "certificate": offersCertificates = true
        case "key": offersCertificates = false
        case nil, "":
            throw KeyManagementError(
                .configuration, "\(place) has no contentType; set it to \"certificate\", or \"key\" for a public key")
        case let other?:
            throw KeyManagementError(
                .configuration,
                "\(place) has contentType \"\(other.quoted)\"; only \"certificate\" and \"key\" are supported")
        }
        guard let value, !value.isEmpty else {
            let wanted = offersCertificates ? "certificates" : "a public key"
            throw KeyManagementError(.configuration, "\(place) has no value; set it to \(wanted) in PEM")
        }
        do {
            if offersCertificates {
                let (certificates, faults) = try Certificate.parseEachPEM(Array(value.utf8))
                holder.install(
                    certificates.map { TrustedCertificate(certificate: $0) },
                    findings: faults.map { "\($0); the other certificates are in force" }, at: now)
            } else {
                let key = ProviderStatus.PublicKeyProperties(
                    name: "", version: "", key: try PublicKey(pem: Array(value.utf8)), lastRefreshed: now)
                holder.install(onlyKeys: [key], at: now)
            }
        } catch {
            throw KeyManagementError(.configuration, "\(place) has a value that cannot be read: \(error)")
        }
        if offersCertificates, holder.current() == nil {
            throw KeyManagementError(.noCertificates, "\(place): \(holder.status.error ?? "there is no certificate")")
        }
    }

    package func current() -> CertificateSet? { holder.current() }
    package var keys: [TrustedKey] { holder.keys }
    package var status: ProviderStatus { holder.status }
    package func refresh() async {}
    package func run() async {}
    package var generation: UInt64 { holder.generation }
    package func changes() -> AsyncStream<UInt64> { holder.changes() }
}
