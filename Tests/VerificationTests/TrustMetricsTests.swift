import Foundation
import KeyManagement
import PKI
import ServiceMetrics
import TestSupport
import Testing
import Verification

/// The metrics of trusted certificates.
@Suite struct TrustMetricsTests {
    private func text(_ providers: [any CertificateProvider], _ metrics: MetricsRegistry, now: Date = Date()) -> String
    {
        TrustMetrics.report(providers, to: metrics, now: now)
        return metrics.render()
    }

    @Test func daysAgeAndSuccessOfFilesThatComeAndGo() async throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let root = try CertificateAuthority(name: "root").certificate
        let path = directory.write(root.pem, to: "root.pem")
        let read = Date(timeIntervalSince1970: Date().timeIntervalSince1970.rounded())
        let provider = try FileCertificates(name: "files", paths: [directory.path], now: { read })
        let metrics = MetricsRegistry()
        #expect(text([provider], metrics).contains(#"countersign_trust_provider_success{provider="files"} 0"#))
        #expect(!metrics.render().contains("countersign_trust_age_seconds{"))

        provider.load()
        let subject = root.subject.rfc2253
        let day = #"days_to_expiry{provider="files",name="\#(path)",version="",subject="\#(subject)"}"#
        let before = text([provider], metrics, now: root.notAfter - 36 * 3600)
        #expect(before.contains("countersign_trusted_certificate_\(day) 1.5\n"), "\(before)")
        let after = text([provider], metrics, now: root.notAfter + 24 * 3600)
        #expect(after.contains("\(day) -1\n"), "\(after)")
        let aged = text([provider], metrics, now: read + 90)
        #expect(aged.contains(#"countersign_trust_age_seconds{provider="files"} 90"#), "\(aged)")
        #expect(aged.contains(#"countersign_trust_provider_success{provider="files"} 1"#))

        // Another certificate, then no provider: nothing of the former ones is left.
        let other = try CertificateAuthority(name: "other").certificate
        directory.write(other.pem, to: "root.pem")
        provider.load()
        let changed = text([provider], metrics)
        #expect(changed.contains("CN=other") && !changed.contains("CN=root"), "\(changed)")
        let none = text([], metrics)
        #expect(!none.contains("provider=\"files\""), "\(none)")
    }

    @Test func whatStandsInTheConfigurationHasNoAge() throws {
        let root = try CertificateAuthority(name: "root").certificate
        let provider = try InlineCertificates(
            name: "inline", contentType: "certificate", value: root.pem, now: Date(timeIntervalSinceNow: -86_400))
        let text = text([provider], MetricsRegistry())
        #expect(text.contains(#"countersign_trust_provider_success{provider="inline"} 1"#), "\(text)")
        #expect(!text.contains("countersign_trust_age_seconds{"), "\(text)")
    }

    /// Until when a fetched trusted root may be used; none for one that does not end.
    @Test func theEndOfATrustedRoot() {
        let end = Date(timeIntervalSince1970: 1_800_000_000)
        let metrics = MetricsRegistry()
        let fetched = text([RootProvider(validUntil: end)], metrics)
        #expect(
            fetched.contains(#"countersign_trusted_root_expiry_seconds{provider="roots"} 1800000000"#), "\(fetched)")
        let read = text([RootProvider(validUntil: nil)], metrics)
        #expect(!read.contains("countersign_trusted_root_expiry_seconds{"), "\(read)")
    }
}

/// A provider of a trusted root that says nothing but until when.
private struct RootProvider: CertificateProvider {
    let validUntil: Date?
    let name = "roots"
    let type = "sigstore"
    let offersCertificates = false
    let generation: UInt64 = 1

    var status: ProviderStatus {
        var status = ProviderStatus.notRead
        status.trustedRoot = ProviderStatus.TrustedRootProperties(
            source: "test", fingerprint: "00", versions: [:], validUntil: validUntil, transparencyLogs: 1,
            certificateAuthorities: 1, certificateLogs: 1, timestampAuthorities: 0)
        return status
    }

    func current() -> CertificateSet? { nil }
    func refresh() async {}
    func run() async {}
    func changes() -> AsyncStream<UInt64> { AsyncStream { $0.finish() } }
}
