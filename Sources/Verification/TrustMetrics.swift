import FoundationEssentials
import KeyManagement
import ServiceMetrics

/// What the metrics say of trusted certificates: until when they last, and how their sources are doing.
package enum TrustMetrics {
    private static let expiry = "countersign_trusted_certificate_expiry_seconds"
    private static let days = "countersign_trusted_certificate_days_to_expiry"
    private static let age = "countersign_trust_age_seconds"
    private static let success = "countersign_trust_provider_success"
    private static let end = "countersign_trusted_root_expiry_seconds"

    /// Sets the gauges anew: those of certificates and providers that are gone go too.
    ///
    /// - Parameter providers: all that are in force; a registry of metrics has one caller of this.
    package static func report(
        _ providers: [any CertificateProvider], to metrics: MetricsRegistry, now: Date = Date()
    ) {
        for family in [expiry, days, age, success, end] { metrics.reset(family) }
        for provider in providers {
            let status = provider.status
            let name = ("provider", provider.name)
            metrics.gauge(
                success, [name], status.isSuccess ? 1 : 0,
                help: "1 when the last look at a provider's certificates gave all that it should, 0 otherwise.")
            // What stands in the configuration itself has no source to look at again.
            if !provider.isFixed, let fetched = status.lastFetched {
                metrics.gauge(
                    age, [name], max(0, now.timeIntervalSince(fetched).rounded(.down)),
                    help: "Seconds since a provider's certificates were last read with success.")
            }
            if let validUntil = status.trustedRoot?.validUntil {
                metrics.gauge(
                    end, [name], validUntil.timeIntervalSince1970,
                    help: "Until when a trusted root of Sigstore may be used without another look at its repository, "
                        + "in seconds since 1970.")
            }
            report(status.properties.filter(\.isInForce), of: name, to: metrics, now: now)
        }
    }

    private static func report(
        _ certificates: [ProviderStatus.Properties], of provider: (String, String), to metrics: MetricsRegistry,
        now: Date
    ) {
        // Of certificates with the same labels the one that ends first is set last, and stays.
        let ends = certificates.compactMap { certificate in certificate.notAfter.map { (certificate, $0) } }
        for (certificate, notAfter) in ends.sorted(by: { $0.1 > $1.1 }) {
            let subject = ("subject", certificate.subject)
            metrics.gauge(
                expiry, [provider, subject], notAfter.timeIntervalSince1970,
                help: "When a trusted certificate expires, in seconds since 1970.")
            metrics.gauge(
                days, [provider, ("name", certificate.name), ("version", certificate.version), subject],
                (notAfter.timeIntervalSince(now) / 86_400 * 100).rounded() / 100,
                help: "Days until a trusted certificate expires; negative when it has.")
        }
    }
}
