import Foundation
import PKI
import StrictJSON
import Synchronization
import TestSupport
import Testing

/// Revocation as the service sees it: a list that cannot be had is no verdict, one that names the signer is.
@Suite struct RevocationServiceTests {
    /// The list that a server publishes; without one the server is in trouble.
    private final class Publication: Sendable {
        private let list = Mutex<[UInt8]?>(nil)

        var current: [UInt8]? { list.withLock { $0 } }

        func publish(_ bytes: [UInt8]?) { list.withLock { $0 = bytes } }
    }

    /// A service in strict or another level, and a layout with `app:v1` signed by a leaf that names the list.
    private func withService(
        level: String = "strict", cacheBytes: Int = 1 << 20, remembers: Duration = .zero,
        allowPrivateAddresses: JSONValue = ["127.0.0.1"],
        _ body: (RunningService, Publication, CertificateAuthority, Certificate, String) async throws -> Void
    ) async throws {
        let publication = Publication()
        let server = try ScriptedServer { _ in
            publication.current.map { [.content(200, type: "application/pkix-crl", $0)] } ?? [.reply(503)]
        }
        defer { server.stop() }
        let authority = try CertificateAuthority(name: "release root")
        var template = CertificateTemplate.codeSigning("release")
        template.extensions.append(.crlDistributionPoints(["\(server.url)/list.crl"]))
        let signer = TestSigner(try authority.issue(template))
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let app = try Repository("registry.example/app", layout: directory.path("layout"))
        try await app.push("v1", signedBy: signer)
        var configuration = ConfigurationText.trusting(authority.certificate.pem)
        configuration.stores = [ConfigurationText.layout(directory.path("layout"))]
        configuration.trustPolicies = [ConfigurationText.statement(level: level)]
        configuration.revocation = [
            "crlTimeout": 10_000, "cacheBytes": .number(String(cacheBytes)),
            "allowPrivateAddresses": allowPrivateAddresses,
        ]
        try await IntegrationTests.withService(configuration, remembers: remembers) { service in
            try await body(service, publication, authority, signer.identity.certificate, app.name("v1"))
        }
    }

    @Test func faultThenGoodThenRevoked() async throws {
        try await withService(cacheBytes: 0) { service, publication, authority, leaf, image in
            expectFault(try await service.verify(image), nil, "verifying a signature", "/list.crl", "503")
            publication.publish(try RevocationListTemplate().sign(by: authority))
            expectAdmitted(try await service.verify(image))
            publication.publish(try RevocationListTemplate([.init(leaf, reason: .keyCompromise)]).sign(by: authority))
            expectDenied(try await service.verify(image), nil, "was revoked", "CN=release", "keyCompromise")
        }
    }

    /// A fault is not remembered, and a list is kept to its end.
    @Test func whatIsKept() async throws {
        try await withService(remembers: .seconds(300)) { service, publication, authority, _, image in
            expectFault(try await service.verify(image))
            publication.publish(try RevocationListTemplate().sign(by: authority))
            expectAdmitted(try await service.verify(image))
            publication.publish(nil)
            expectAdmitted(try await service.verify(image))
            #expect(try await service.hasMetric("countersign_revocation_cache_entries 1"))
        }
    }

    /// A certificate cannot make the service ask what only the service can reach; a person who verifies may.
    @Test func aListInsideIsNotAsked() async throws {
        try await withService(allowPrivateAddresses: false) { service, publication, authority, _, image in
            publication.publish(try RevocationListTemplate().sign(by: authority))
            let answer = try await service.verify(image)
            expectDenied(answer, nil, "127.0.0.1 is an address of this machine itself", "allowPrivateAddresses")
        }
        try await withService(allowPrivateAddresses: .null) { service, publication, authority, _, image in
            publication.publish(try RevocationListTemplate().sign(by: authority))
            expectDenied(try await service.verify(image), nil, "127.0.0.1 is an address of this machine itself")
            let outcome = try await Command.run("verify", image, "-c", service.directory.path("config.json"))
            #expect(outcome.status == 0, "\(outcome)")
        }
    }

    /// A list that comes too slowly is a fault that names it, in time.
    @Test func aSlowListIsNotWaitedFor() async throws {
        let server = try ScriptedServer { _ in [.wait(.seconds(5)), .reply(503)] }
        defer { server.stop() }
        let authority = try CertificateAuthority(name: "release root")
        var template = CertificateTemplate.codeSigning("release")
        template.extensions.append(.crlDistributionPoints(["\(server.url)/slow.crl"]))
        template.extensions.append(.ocsp(["\(server.url)/ocsp"]))
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let app = try Repository("registry.example/app", layout: directory.path("layout"))
        try await app.push("v1", signedBy: TestSigner(try authority.issue(template)))
        var configuration = ConfigurationText.trusting(authority.certificate.pem)
        configuration.stores = [ConfigurationText.layout(directory.path("layout"))]
        configuration.revocation = ["crlTimeout": 400, "ocspTimeout": 300, "allowPrivateAddresses": true]
        try await IntegrationTests.withService(configuration, remembers: .zero) { service in
            let start = ContinuousClock.now
            let answer = try await service.verify(app.name("v1"))
            expectFault(answer, nil, "verifying a signature", "/slow.crl", "/ocsp")
            #expect(start.duration(to: .now) < .seconds(60))
        }
    }

    @Test func aLevelThatOnlyLogsAdmits() async throws {
        try await withService(level: "permissive") { service, _, _, _, image in
            expectAdmitted(try await service.verify(image))
        }
    }
}
