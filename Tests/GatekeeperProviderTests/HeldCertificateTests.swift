import TestSupport
import Testing

@testable import GatekeeperProvider

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
}
