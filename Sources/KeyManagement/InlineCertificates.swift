import FoundationEssentials
import PKI

/// Certificates that stand in the configuration itself (Ratify's KeyManagementProvider of type `inline`). They never
/// change.
package final class InlineCertificates: CertificateProvider {
    package let name: String
    package let type = "inline"
    private let holder = CertificateHolder()

    /// Reads the certificates.
    ///
    /// - Parameters:
    ///   - contentType: must be `certificate`.
    ///   - value: PEM, one or more certificates.
    /// - Throws: when the parameters are wrong, or hold no certificate that can be trusted.
    package init(name: String, contentType: String?, value: String?, now: Date) throws(KeyManagementError) {
        self.name = name
        let place = "key management provider \"\(name)\" of type inline"
        switch contentType {
        case "certificate": break
        case "key":
            throw KeyManagementError(
                .configuration,
                "\(place) has contentType \"key\"; Notation signatures are verified with certificates, use contentType "
                    + "\"certificate\" with the root or intermediate certificate")
        case nil, "":
            throw KeyManagementError(.configuration, "\(place) has no contentType; set it to \"certificate\"")
        case let other?:
            throw KeyManagementError(
                .configuration, "\(place) has contentType \"\(other.prefix(40))\"; only \"certificate\" is supported")
        }
        guard let value, !value.isEmpty else {
            throw KeyManagementError(.configuration, "\(place) has no value; set it to certificates in PEM")
        }
        let certificates: [Certificate]
        do { certificates = try Certificate.parsePEM(Array(value.utf8)) } catch {
            throw KeyManagementError(.configuration, "\(place) has a value that cannot be read: \(error)")
        }
        holder.install(certificates.map { TrustedCertificate(certificate: $0) }, at: now)
        if holder.current() == nil {
            throw KeyManagementError(.noCertificates, "\(place): \(holder.status.error ?? "there is no certificate")")
        }
    }

    package func current() -> CertificateSet? { holder.current() }
    package var status: ProviderStatus { holder.status }
    package func refresh() async {}
    package func run() async {}
    package var generation: UInt64 { holder.generation }
    package func changes() -> AsyncStream<UInt64> { holder.changes() }
}
