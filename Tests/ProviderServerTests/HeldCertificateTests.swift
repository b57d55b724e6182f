import ProviderTestSupport
import ServiceMetrics
import TestSupport
import Testing

@testable import ProviderServer

/// Certificates that the program itself brings, after the server has started.
@Suite struct HeldCertificateTests {
    @Test func nothingIsServedBeforeAllIsThere() async throws {
        let held = HeldPEM(name: "the serving certificate of Secret a/b")
        let authority = HeldPEM(name: "the authority of clients of Secret c/d")
        let provider = try await RunningProvider {
            $0.certificates = ServingCertificateFiles(held: held, clientAuthorities: [.held(authority)])
        }
        let health = try #require(provider.ports.health)
        func ready() async throws -> String {
            try await TestClient.ask(port: health, method: "GET", path: "/readyz").text
        }
        #expect(try await ready().contains("a/b"))
        await #expect(throws: (any Error).self) { _ = try await provider.connect().verify(["signed"]) }

        let pair = provider.files.server.chainPEM + (try provider.files.server.keyPEM)
        held.set(Array(pair.utf8))
        provider.server.reloadCertificates()
        // Without knowing whom to let in, nobody is.
        #expect(try await ready().contains("c/d"))
        await #expect(throws: (any Error).self) { _ = try await provider.connect().verify(["signed"]) }

        authority.set(Array(provider.files.clientAuthority.certificate.pem.utf8))
        provider.server.reloadCertificates()
        #expect(try await ready() == "ok\n")
        _ = try await provider.connect().verify(["signed"])

        // A text that is no certificate leaves the last good one in force.
        held.set(Array("nothing".utf8))
        provider.server.reloadCertificates()
        #expect(try await ready() == "ok\n")
        _ = try await provider.connect().verify(["signed"])
        var stranger = provider.gatekeeper
        stranger.identity = try CertificateAuthority(name: "gatekeeper-ca").issue(.client("gatekeeper"))
        await #expect(throws: (any Error).self) {
            _ = try await TestClient.connect(port: provider.ports.provider, stranger).verify(["signed"])
        }
        let other = try CertificateAuthority(name: "gatekeeper-ca")
        authority.set(Array(other.certificate.pem.utf8))
        held.set(Array(pair.utf8))
        provider.server.reloadCertificates()
        stranger.identity = try other.issue(.client("gatekeeper"))
        _ = try await TestClient.connect(port: provider.ports.provider, stranger).verify(["signed"])
    }

    /// A watch that is back tells what is in force already: nothing was reloaded, and nothing says so.
    @Test func theSameAgainIsNoReload() throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let identity = try CertificateAuthority(name: "server-ca").issue(.server("countersign"))
        let authority = try CertificateAuthority(name: "gatekeeper-ca")
        let pair = Array((identity.chainPEM + (try identity.keyPEM)).utf8)
        let (held, clients) = (HeldPEM(name: "the certificate"), HeldPEM(name: "the authority"))
        let log = LogCapture()
        let metrics = MetricsRegistry()
        let reloader = try CertificateReloader(
            files: ServingCertificateFiles(held: held, clientAuthorities: [.held(clients)]), interval: .seconds(60),
            metrics: metrics, logger: log.logger())
        held.set(pair)
        clients.set(Array(authority.certificate.pem.utf8))
        reloader.look()
        #expect(log.lines.count == 1)
        for _ in 0..<3 {
            held.set(pair)
            clients.set(Array(authority.certificate.pem.utf8))
            reloader.look()
        }
        #expect(log.lines.count == 1, "\(log.lines)")
        // Another authority of clients is not another serving certificate.
        clients.set(Array(try CertificateAuthority(name: "gatekeeper-ca").certificate.pem.utf8))
        reloader.look()
        #expect(log.lines.last?.contains("authorities of client certificates reloaded") == true)
        #expect(!log.lines.contains { $0.contains("serving certificate reloaded") })
        #expect(metrics.render().contains(#"countersign_serving_certificate_reloads_total{result="success"} 2"#))
    }

    /// Files that are written again as they were are no reload either.
    @Test func theSameFilesWrittenAgainAreNoReload() throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let identity = try CertificateAuthority(name: "server-ca").issue(.server("countersign"))
        func write(_ identity: Identity) throws {
            directory.write(identity.chainPEM, to: "tls.crt")
            directory.write(try identity.keyPEM, to: "tls.key")
        }
        try write(identity)
        let log = LogCapture()
        let reloader = try CertificateReloader(
            files: ServingCertificateFiles(directory: directory.path("")), interval: .seconds(60),
            metrics: MetricsRegistry(), logger: log.logger())
        for _ in 0..<2 {
            try write(identity)
            reloader.look()
        }
        #expect(!log.lines.contains { $0.contains("reloaded") })
        try write(try CertificateAuthority(name: "server-ca").issue(.server("countersign")))
        reloader.look()
        #expect(log.lines.last?.contains("serving certificate reloaded") == true)
    }
}
