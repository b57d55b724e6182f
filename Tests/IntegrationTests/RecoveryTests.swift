import Foundation
import HTTP
import OCIRegistry
import PKI
import StrictJSON
import Synchronization
import TestSupport
import Testing

/// What was down comes back: what is answered meanwhile, how soon, and that nothing of it stays.
@Suite struct RecoveryTests {
    /// Nobody waits longer than this, on the slowest of machines: the deadlines are much shorter.
    private static let timeout = Duration.seconds(60)

    /// A registry on a port that the system gives to nobody else while the registry is down.
    private func start(_ options: FaultyRegistry.Options = .init()) async throws -> FaultyRegistry {
        var options = options
        for _ in 0..<100 {
            options.port = Int.random(in: 20_000..<32_000)
            if let registry = try? await FaultyRegistry.start(options) { return registry }
        }
        return try await FaultyRegistry.start(options)
    }

    /// Asks, and expects an answer in time.
    private func ask(_ service: RunningService, _ key: String) async throws -> Answer {
        let start = ContinuousClock.now
        let answer = try await service.verify(key)
        #expect(start.duration(to: .now) < Self.timeout, "\(answer)")
        return answer
    }

    @Test func aRegistryThatIsDown() async throws {
        let gone = try await start()
        let name = "\(gone.endpoint)/app:v1"
        await gone.stop()
        try await withService(try .trustingRelease()) { service in
            for _ in 0..<2 {
                expectFault(
                    try await ask(service, name), nil, "resolving the image", gone.endpoint, "cannot connect", "trace")
            }
            var options = FaultyRegistry.Options()
            options.port = gone.port
            try await withRegistry(options) { registry in
                try await Repository("\(registry.endpoint)/app").push("v1", signedBy: Signers.shared.get().release)
                expectAdmitted(try await service.verify(name) { $0.admits() })
            }
        }
    }

    @Test func aRegistrysCertificateThatIsRenewed() async throws {
        let files = try TemporaryDirectory()
        defer { files.remove() }
        let authority = try CertificateAuthority(name: "registry root")
        func options(_ template: CertificateTemplate, _ issuer: CertificateAuthority) throws -> FaultyRegistry.Options {
            var options = FaultyRegistry.Options()
            let server = try issuer.issue(template)
            options.tls = (server.chainPEM, try server.keyPEM)
            return options
        }
        let good = CertificateTemplate.server("registry", ip: [[0, 0, 0, 0]])
        var expired = good
        expired.notAfter = Date(timeIntervalSinceNow: -3600)
        let stranger = try CertificateAuthority(name: "stranger root")
        let bundle = files.write(authority.certificate.pem, to: "ca.pem")
        var configuration = try ConfigurationText.trustingRelease()
        configuration.stores = [["name": "oras", "caBundle": .string(bundle)]]
        try await withService(configuration) { service in
            let registry = try await start(try options(expired, authority))
            // 0.0.0.0 leads to this machine and is, unlike 127.0.0.1, not asked over plain HTTP.
            let name = "0.0.0.0:\(registry.port)/app:v1"
            let words = ["resolving the image", "the host's certificate is not accepted"]
            expectFault(try await ask(service, name), nil, words[0], words[1])
            await registry.stop()
            var next = try options(good, stranger)
            next.port = registry.port
            try await withRegistry(next) { _ in expectFault(try await ask(service, name), nil, words[0], words[1]) }
            next = try options(good, authority)
            next.port = registry.port
            try await withRegistry(next) { _ in
                let http = try HTTPClient(
                    configuration: HTTPClientConfiguration(extraCABundle: bundle, environment: [:]))
                try await Repository(String(name.dropLast(3)), destination: RegistryClient(http: http))
                    .push("v1", signedBy: Signers.shared.get().release)
                expectAdmitted(try await service.verify(name) { $0.admits() })
            }
        }
    }

    /// A responder that is down, slow, lies and is well again.
    @Test func anOCSPResponder() async throws {
        enum Mood { case down, slow, lying, good, revoking }
        let mood = Mutex(Mood.down)
        let authority = try CertificateAuthority(name: "release root")
        let leaf = Mutex<Certificate?>(nil)
        let server = try ScriptedServer { _ in
            let now = mood.withLock { $0 }
            guard now != .down, now != .slow, let leaf = leaf.withLock({ $0 }) else {
                return now == .slow ? [.wait(.seconds(5)), .reply(503)] : [.reply(503)]
            }
            let status: OCSPResponse.Single.Status =
                now == .revoking ? .revoked(Date(timeIntervalSinceNow: -7200), reason: .keyCompromise) : .good
            let signer = now == .lying ? try? CertificateAuthority(name: "release root") : authority
            let answer = signer.flatMap {
                try? OCSPResponseTemplate(status).sign(leaf, issuer: authority.certificate, by: $0.identity)
            }
            return answer.map { [.content(200, type: "application/ocsp-response", $0)] } ?? [.reply(500)]
        }
        defer { server.stop() }
        var template = CertificateTemplate.codeSigning("release")
        template.extensions.append(.ocsp(["\(server.url)/ocsp"]))
        let signer = TestSigner(try authority.issue(template))
        leaf.withLock { $0 = signer.identity.certificate }
        let files = try TemporaryDirectory()
        defer { files.remove() }
        let app = try Repository("registry.example/app", layout: files.path("layout"))
        try await app.push("v1", signedBy: signer)
        var configuration = ConfigurationText.trusting(authority.certificate.pem)
        configuration.stores = [ConfigurationText.layout(files.path("layout"))]
        configuration.revocation = ["cacheBytes": 0, "ocspTimeout": 1000, "allowPrivateAddresses": true]
        try await withService(configuration, remembers: .zero) { service in
            expectFault(try await ask(service, app.name("v1")), nil, "verifying a signature", "/ocsp", "503")
            mood.withLock { $0 = .slow }
            expectFault(try await ask(service, app.name("v1")), nil, "verifying a signature", "/ocsp")
            mood.withLock { $0 = .lying }
            expectDenied(try await ask(service, app.name("v1")), nil, "/ocsp")
            mood.withLock { $0 = .good }
            expectAdmitted(try await service.verify(app.name("v1")) { $0.admits() })
            mood.withLock { $0 = .revoking }
            expectDenied(try await ask(service, app.name("v1")), nil, "was revoked", "keyCompromise")
        }
    }

    /// The endpoint of tokens throttles: what is answered meanwhile, and that its pause is kept and ends.
    @Test func aTokenEndpointThatThrottles() async throws {
        var options = FaultyRegistry.Options()
        options.authentication = .token(user: "robot", password: "secret")
        try await withRegistry(options) { registry in
            let app = try Repository(
                "\(registry.endpoint)/app", credentials: OneAccount(.basic(user: "robot", password: "secret")))
            try await app.push("v1", signedBy: try Signers.shared.get().release)
            let files = try TemporaryDirectory()
            defer { files.remove() }
            var configuration = try ConfigurationText.trustingRelease()
            configuration.verificationTimeout = 1500
            let path = files.write(
                dockerConfig(registry.endpoint, user: "robot", password: "secret"), to: "config.json")
            configuration.stores = [ConfigurationText.registries(dockerConfig: path)]
            try await withService(configuration) { service in
                registry.inject(.tooManyRequests(retryAfter: "6"), path: "/token", count: 1)
                // A machine that is busy may come too late to say what was slow; the pause is longer than that.
                let answer = try await service.verify(app.name("v1")) {
                    $0.systemError?.contains("resolving the image") == true
                }
                expectFault(answer, nil, "resolving the image", registry.endpoint, "429")
                #expect(!answer.text.contains("secret"))
                expectAdmitted(try await service.verify(app.name("v1")) { $0.admits() })
            }
        }
    }

    /// Clients that stall in the handshake, in the head, in the body: they are cut, and nobody else waits for them.
    @Test func clientsThatStall() async throws {
        let files = try TemporaryDirectory()
        defer { files.remove() }
        let app = try Repository("registry.example/app", layout: files.path("layout"))
        try await app.push("v1", signedBy: try Signers.shared.get().release)
        var configuration = try ConfigurationText.trustingRelease()
        configuration.stores = [ConfigurationText.layout(files.path("layout"))]
        let time = Duration.seconds(3)
        let service = try await RunningService(configuration) {
            ($0.handshakeTimeout, $0.headerTimeout, $0.bodyTimeout) = (time, time, time)
        }
        var stalled: [TestClient] = []
        for _ in 0..<30 {
            stalled.append(try await TestClient.connect(port: service.ports.provider))
            let head = try await service.connect()
            try await head.send("POST /ratify/gatekeeper/v1/verify HTTP/1.1\r\nHost: x\r\nX-Slow: ")
            let body = try await service.connect()
            try await body.send(
                "POST /ratify/gatekeeper/v1/verify HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{\"api")
            stalled += [head, body]
            expectAdmitted(try await ask(service, app.name("v1")))
        }
        for client in stalled { #expect(await client.isClosed(within: Self.timeout)) }
        for phase in ["handshake", "head", "body"] {
            #expect(
                try await service.hasMetric(
                    "countersign_connections_closed_total{reason=\"\(phase) timeout\"} 30"))
        }
        #expect(try await service.hasLogged("TLS handshake failed", "did not finish the handshake in time"))
        #expect(try await service.hasMetric("countersign_open_connections{state=\"busy\"} 0"))
        expectAdmitted(try await ask(service, app.name("v1")))
        await service.stop()
    }

    /// The disk that the log goes to is full, and has room again: verdicts go on, and then the log does.
    @Test func aLogWhoseDiskWasFull() async throws {
        let files = try CommandFiles()
        defer { files.remove() }
        let layout = files.path("layout")
        let app = try Repository("registry.example/app", layout: layout)
        try await app.push("v1", signedBy: try Signers.shared.get().release)
        var configuration = try ConfigurationText.trustingRelease()
        configuration.stores = [ConfigurationText.layout(layout)]
        let tls = try ServingFiles(in: files.directory)
        // A file may have 8 blocks, of 512 or 1024 bytes; its end is looked for with each write.
        let process = try await ServeProcess(
            config: files.directory.write(configuration.json.bytes, to: "layout.json"), tls: tls,
            limits: "exec 2>>/proc/self/fd/2; ulimit -f 8; trap '' XFSZ")
        func ask(_ tag: String) async throws -> Answer {
            Answer(
                try await TestClient.post(
                    port: process.port, tls.gatekeeper, body: TestClient.request([app.name(tag)])),
                asked: [app.name(tag)])
        }
        for number in 0..<40 {
            expectAdmitted(try await ask("v1"))
            expectDenied(try await ask("none\(number)"), nil, "no manifest in index.json")
        }
        #expect(process.log.utf8.count <= 8192 && !process.log.contains("none39"), "the disk was never full")
        #expect(truncate("/proc/\(process.identifier)/fd/2", 0) == 0)
        #expect(
            try await eventually {
                expectAdmitted(try await ask("v1"))
                return process.log.contains("verdict=pass")
            })
        process.signal(SIGTERM)
        #expect(await process.ended() == 0, "\(process.log)")
    }
}
