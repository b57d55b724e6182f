import Foundation
import NIOSSL
import OCI
import TestSupport
import Testing

/// Who is let in, on the whole service.
@Suite struct MutualTLSServiceTests {
    /// Whether a client like this is answered at all.
    private func isAnswered(_ service: RunningService, _ options: TestClient.Options) async -> Bool {
        let body = TestClient.request(["registry.example/x:v1"])
        let reply = try? await TestClient.post(port: service.ports.provider, options, body: body)
        return reply != nil
    }

    @Test func onlyGatekeeperIsLetIn() async throws {
        let layout = try TemporaryDirectory()
        defer { layout.remove() }
        let app = try Repository("registry.example/app", layout: layout.path("layout"))
        try await app.push("v1", signedBy: try Signers.shared.get().release)
        var configuration = try ConfigurationText.trustingRelease()
        configuration.stores = [ConfigurationText.layout(layout.path("layout"))]
        try await withService(configuration) { service in
            expectAdmitted(try await service.verify(app.name("v1")))

            var nobody = service.gatekeeper
            nobody.identity = nil
            #expect(await !isAnswered(service, nobody))
            var stranger = service.gatekeeper
            stranger.identity = try CertificateAuthority(name: "gatekeeper-ca")
                .issue(.client("gatekeeper-webhook-service.gatekeeper-system.svc"))
            #expect(await !isAnswered(service, stranger))
            var old = service.gatekeeper
            old.maximumVersion = .tlsv12
            #expect(await !isAnswered(service, old))
            // A signer's certificate is no client's, though the configuration trusts its authority.
            var signer = service.gatekeeper
            signer.identity = try Signers.shared.get().release.identity
            #expect(await !isAnswered(service, signer))
            // Gatekeeper in its turn refuses a provider whose authority it does not know.
            var wary = service.gatekeeper
            wary.trusting = service.tls.clientAuthority
            #expect(await !isAnswered(service, wary))

            expectAdmitted(try await service.verify(app.name("v1")))
        }
    }
}
