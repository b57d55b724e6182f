import Foundation
import Notation
import OCI
import PKI
import StrictJSON
import Synchronization
import TestSupport
import Testing

/// The clock on the wall is set by an hour, and back, while `countersign serve` runs. The clocks that nobody can set go
/// on as they do on a machine.
@Suite struct ClockStepTests {
    private static let hour = 3600.0

    /// What the images' signatures rest on.
    private struct Images {
        let app: Repository
        let authority: CertificateAuthority
        let lists: Publication

        /// The signer's certificate ends in half an hour.
        var ending: String { app.name("ending") }
        /// The signer's certificate is ten minutes old.
        var young: String { app.name("young") }
        /// The signature expires in half an hour.
        var expiring: String { app.name("expiring") }
        /// The revocation list that the signer's certificate names ends in half an hour.
        var listed: String { app.name("listed") }
        /// Nothing of it ends today.
        var lasting: String { app.name("lasting") }
        /// Like `lasting`, not asked for yet.
        var fresh: String { app.name("fresh") }

        var all: [String] { [ending, young, expiring, listed, lasting] }

        init(_ app: Repository, _ lists: Publication, listURL: String) async throws {
            (self.app, self.lists) = (app, lists)
            authority = try CertificateAuthority(name: "release root")
            var ending = CertificateTemplate.codeSigning("ending")
            ending.notAfter = Date(timeIntervalSinceNow: hour / 2)
            var young = CertificateTemplate.codeSigning("young")
            young.notBefore = Date(timeIntervalSinceNow: -hour / 6)
            var listed = CertificateTemplate.codeSigning("listed")
            listed.extensions.append(.crlDistributionPoints([listURL]))
            let lasting = TestSigner(try authority.issue(.codeSigning("lasting")))
            try await app.push("ending", signedBy: TestSigner(try authority.issue(ending)))
            try await app.push("young", signedBy: TestSigner(try authority.issue(young)))
            try await app.push("listed", signedBy: TestSigner(try authority.issue(listed)))
            try await app.push("lasting", signedBy: lasting)
            try await app.push("fresh", signedBy: lasting)
            let image = try await app.push("expiring", content: "expiring")
            let signer = try EnvelopeSigner(key: lasting.identity.key, chain: lasting.identity.chain)
            _ = try await ImageSigner(signer: signer, destination: app.destination).sign(
                image, in: app.reference, SigningOptions(format: .jws, expiry: Date(timeIntervalSinceNow: hour / 2)),
                now: Date(), deadline: .now + .seconds(60))
        }

        func publishList(until end: Double) throws {
            var list = RevocationListTemplate()
            list.thisUpdate = Date(timeIntervalSinceNow: -2 * hour)
            list.nextUpdate = Date(timeIntervalSinceNow: end)
            lists.publish(try list.sign(by: authority))
        }
    }

    /// A process that keeps its verdicts for ten minutes, and a registry with tokens.
    private func withImages(
        _ body: (Images, FaultyRegistry, ServeProcess, WallClock, ServingFiles) async throws -> Void
    ) async throws {
        let files = try TemporaryDirectory()
        defer { files.remove() }
        let lists = Publication()
        let server = try ScriptedServer { _ in
            lists.current.map { [.content(200, type: "application/pkix-crl", $0)] } ?? [.reply(503)]
        }
        defer { server.stop() }
        var options = FaultyRegistry.Options()
        options.authentication = .token(user: "robot", password: "secret", lifetime: 300)
        try await withRegistry(options) { registry in
            let app = try Repository(
                "\(registry.endpoint)/app", credentials: OneAccount(.basic(user: "robot", password: "secret")))
            let images = try await Images(app, lists, listURL: "\(server.url)/list.crl")
            try images.publishList(until: Self.hour / 2)
            var configuration = ConfigurationText.trusting(images.authority.certificate.pem)
            let account = files.write(
                dockerConfig(registry.endpoint, user: "robot", password: "secret"), to: "account.json")
            configuration.stores = [ConfigurationText.registries(dockerConfig: account)]
            configuration.revocation = ["crlTimeout": 10_000, "allowPrivateAddresses": true]
            let clock = try WallClock(files)
            let tls = try ServingFiles(in: files)
            let process = try await ServeProcess(
                config: files.write(configuration.json.bytes, to: "config.json"), tls: tls,
                ["--cache-ttl", "10m", "--idle-timeout", "10m"], environment: clock.environment)
            try await body(images, registry, process, clock, tls)
            process.signal(SIGTERM)
            #expect(await process.ended() == 0, "\(process.log)")
        }
    }

    @Test func anHourForwardAndBack() async throws {
        try await withImages { images, registry, process, clock, tls in
            let client = try await TestClient.connect(port: process.port, tls.gatekeeper)
            func ask(_ key: String) async throws -> Answer { Answer(try await client.verify([key]), asked: [key]) }
            for image in images.all { expectAdmitted(try await ask(image)) }
            let tokens = registry.tokenRequests.count

            // In the middle of a request: no deadline is a time of the day.
            registry.forgetRequests()
            registry.inject(.delay(.seconds(2)), method: "HEAD")
            async let slow = TestClient.post(
                port: process.port, tls.gatekeeper, body: TestClient.request([images.fresh]))
            #expect(try await eventually { !registry.requests.isEmpty })
            try clock.set(Self.hour)
            expectAdmitted(Answer(try await slow, asked: [images.fresh]))
            registry.clearFaults()

            // Every verdict was kept for ten minutes, on the former time. On the same connection, which is not closed.
            images.lists.publish(nil)
            expectDenied(try await ask(images.ending), nil, "CN=ending", "is not valid now")
            expectDenied(try await ask(images.expiring), nil, "expired")
            expectFault(try await ask(images.listed), nil, "verifying a signature", "/list.crl", "503")
            try images.publishList(until: 3 * Self.hour)
            for image in [images.listed, images.lasting, images.young] { expectAdmitted(try await ask(image)) }
            // A token lasts as long as it lasts.
            #expect(registry.tokenRequests.count == tokens)

            // Back: no denial of the wrong time stands.
            try clock.set(0)
            for image in images.all { expectAdmitted(try await ask(image)) }
        }
    }

    @Test func anHourBackAndForward() async throws {
        try await withImages { images, registry, process, clock, tls in
            let client = try await TestClient.connect(port: process.port, tls.gatekeeper)
            func ask(_ key: String) async throws -> Answer { Answer(try await client.verify([key]), asked: [key]) }
            for image in images.all { expectAdmitted(try await ask(image)) }
            try clock.set(-Self.hour)
            expectDenied(try await ask(images.young), nil, "CN=young", "is not valid now")
            for image in [images.ending, images.expiring, images.listed, images.lasting] {
                expectAdmitted(try await ask(image))
            }
            // What waits, waits no longer than before: the registry's pause of a second is one.
            registry.inject(.tooManyRequests(retryAfter: "1"), count: 1)
            let start = ContinuousClock.now
            expectAdmitted(try await ask(images.fresh))
            #expect(start.duration(to: .now) < .seconds(30))
            try clock.set(0)
            for image in images.all { expectAdmitted(try await ask(image)) }
            let metrics = try await TestClient.ask(port: process.metricsPort, method: "GET", path: "/metrics")
            #expect(metrics.text.contains("countersign_configuration_valid 1"))
        }
    }
}

/// A revocation list that a server publishes; without one the server is in trouble.
private final class Publication: Sendable {
    private let list = Mutex<[UInt8]?>(nil)

    var current: [UInt8]? { list.withLock { $0 } }

    func publish(_ bytes: [UInt8]?) { list.withLock { $0 = bytes } }
}
