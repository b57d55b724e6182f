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
        private let count = Mutex(0)

        var current: [UInt8]? { list.withLock { $0 } }
        /// How many times it was asked for.
        var asked: Int { count.withLock { $0 } }

        func noteQuestion() { count.withLock { $0 += 1 } }

        func publish(_ bytes: [UInt8]?) { list.withLock { $0 = bytes } }
    }

    /// A service in strict or another level, and a layout with `app:v1` signed by a leaf that names the list.
    private func withService(
        level: String = "strict", cacheBytes: Int = 1 << 20, remembers: Duration = .zero,
        allowPrivateAddresses: JSONValue = ["127.0.0.1"], maximumAge: JSONValue = .null,
        _ body: (RunningService, Publication, CertificateAuthority, Certificate, String) async throws -> Void
    ) async throws {
        let publication = Publication()
        let server = try ScriptedServer { _ in
            publication.noteQuestion()
            return publication.current.map { [.content(200, type: "application/pkix-crl", $0)] } ?? [.reply(503)]
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
            "allowPrivateAddresses": allowPrivateAddresses, "maximumAge": maximumAge,
        ]
        try await IntegrationTests.withService(configuration, remembers: remembers) { service in
            try await body(service, publication, authority, signer.identity.certificate, app.name("v1"))
        }
    }

    /// A list that is good for days is asked for again after `maximumAge`, a day if nothing is said.
    @Test func askedAgainAfterTheMaximumAge() async throws {
        for (maximumAge, isAskedAgain) in [(1_000, true), (.null, false)] as [(JSONValue, Bool)] {
            try await withService(maximumAge: maximumAge) { service, publication, authority, _, image in
                publication.publish(try RevocationListTemplate().sign(by: authority))
                expectAdmitted(try await service.verify(image))
                #expect(publication.asked == 1)
                try await Task.sleep(for: .milliseconds(1_500))
                expectAdmitted(try await service.verify(image))
                #expect((publication.asked > 1) == isAskedAgain, "\(maximumAge.text)")
            }
        }
    }

    /// An age that is none is refused, in a file too, and says where and what is expected.
    @Test(arguments: [0, 999, -1, 2_592_000_001, "a day", "86400000", true, [], .number("1.5")] as [JSONValue])
    func anAgeThatIsNone(value: JSONValue) async throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        var configuration = try ConfigurationText.trustingRelease()
        configuration.revocation = ["maximumAge": value]
        let path = directory.write(configuration.json.bytes, to: "config.json")
        let run = try await Command.run("certificates", "-c", path)
        #expect(run.status == 2, "\(run)")
        #expect(
            run.errors.contains(
                "verifier.plugins[0].revocation.maximumAge is \(value.text): expected a whole number from 1000 to 2592000000"
            ), "\(run)")
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

    /// One cache for the process: its bound follows the configuration, and what it holds outlives changes of it.
    @Test func oneCacheWhoseBoundFollowsTheConfiguration() async throws {
        try await withService { service, publication, authority, _, image in
            publication.publish(try RevocationListTemplate().sign(by: authority))
            expectAdmitted(try await service.verify(image))
            publication.publish(nil)
            let path = service.directory.path("config.json")
            let text = try String(contentsOfFile: path, encoding: .utf8)
            let bound = #""cacheBytes":1048576"#
            #expect(text.contains(bound))
            for (number, bytes) in [2 << 20, 3 << 20].enumerated() {
                try service.write(text.replacingOccurrences(of: bound, with: "\"cacheBytes\":\(bytes)"))
                #expect(try await service.hasMetric("countersign_configuration_generation \(number + 2)"))
                expectAdmitted(try await service.verify(image))
                #expect(try await service.hasMetric("countersign_revocation_cache_entries 1"))
            }
            try service.write(text.replacingOccurrences(of: bound, with: #""cacheBytes":0"#))
            #expect(try await service.hasMetric("countersign_revocation_cache_entries 0"))
            expectFault(try await service.verify(image), nil, "503")
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

    /// An image in a layout, signed by a leaf with these extensions, and a configuration that trusts its authority.
    private func withSigned(
        _ extensions: [TestExtension], by authority: CertificateAuthority, _ revocation: JSONValue,
        _ body: (RunningService, String, Certificate) async throws -> Void
    ) async throws {
        var template = CertificateTemplate.codeSigning("release")
        template.extensions += extensions
        let signer = TestSigner(try authority.issue(template))
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let app = try Repository("registry.example/app", layout: directory.path("layout"))
        try await app.push("v1", signedBy: signer)
        var configuration = ConfigurationText.trusting(authority.certificate.pem)
        configuration.stores = [ConfigurationText.layout(directory.path("layout"))]
        configuration.verificationTimeout = 120_000
        configuration.revocation = revocation
        try await IntegrationTests.withService(configuration, remembers: .zero) {
            try await body($0, app.name("v1"), signer.identity.certificate)
        }
    }

    /// A list and a responder that are too slow are a fault that names them, in time. They count once they answer.
    @Test func aSlowListIsNotWaitedFor() async throws {
        let isSlow = Mutex(true)
        let authority = try CertificateAuthority(name: "release root")
        let list = try RevocationListTemplate().sign(by: authority)
        let server = try ScriptedServer { request in
            if isSlow.withLock({ $0 }) { return [.wait(.seconds(5)), .reply(503)] }
            return request.target == "/slow.crl" ? [.content(200, type: "application/pkix-crl", list)] : [.reply(503)]
        }
        defer { server.stop() }
        // Enough for who answers at once, however busy the machine is, and too little for who does not.
        let revocation: JSONValue = ["crlTimeout": 1500, "ocspTimeout": 300, "allowPrivateAddresses": true]
        try await withSigned(
            [.crlDistributionPoints(["\(server.url)/slow.crl"]), .ocsp(["\(server.url)/ocsp"])], by: authority,
            revocation
        ) { service, image, _ in
            let start = ContinuousClock.now
            let answer = try await service.verify(image)
            expectFault(answer, nil, "verifying a signature", "/slow.crl", "/ocsp", "CN=release", "trace")
            #expect(start.duration(to: .now) < .seconds(60))
            isSlow.withLock { $0 = false }
            expectAdmitted(try await service.verify(image) { $0.admits() })
        }
    }

    /// A list without an end, announced or not: refused, and the next good one counts.
    @Test func aListThatIsTooLargeIsRefused() async throws {
        enum Way: CaseIterable { case announced, sent, good }
        let way = Mutex(Way.announced)
        let size = (32 << 20) + 1
        let authority = try CertificateAuthority(name: "release root")
        let list = try RevocationListTemplate().sign(by: authority)
        let server = try ScriptedServer { _ in
            switch way.withLock({ $0 }) {
            case .announced: [.bytes("HTTP/1.1 200 OK\r\nContent-Length: \(size)\r\n\r\n"), .zeros(1 << 16), .close]
            case .sent: [.bytes("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"), .zeros(size), .close]
            case .good: [.content(200, type: "application/pkix-crl", list)]
            }
        }
        defer { server.stop() }
        try await withSigned(
            [.crlDistributionPoints(["\(server.url)/large.crl"])], by: authority,
            ["crlTimeout": 60_000, "allowPrivateAddresses": true]
        ) { service, image, _ in
            for large in [Way.announced, .sent] {
                way.withLock { $0 = large }
                let start = ContinuousClock.now
                expectDenied(
                    try await service.verify(image), nil, "/large.crl", "CN=release",
                    "the answer is larger than the limit of 33554432 bytes")
                #expect(start.duration(to: .now) < .seconds(60))
            }
            way.withLock { $0 = .good }
            expectAdmitted(try await service.verify(image))
        }
    }

    /// A certificate that names more than is looked at: the answer says so, nobody is asked.
    @Test func aCertificateThatNamesTooMuchIsDenied() async throws {
        let server = try ScriptedServer(answers: [[.reply(503)]])
        defer { server.stop() }
        let long = "\(server.url)/" + String(repeating: "a", count: 3_000)
        for (extensions, word) in [
            ([TestExtension.ocsp((0..<17).map { "\(server.url)/\($0)" })], "it names more than 16 responders"),
            ([.crlDistributionPoints((0..<17).map { "\(server.url)/\($0)" })], "it names more than 16 lists"),
            ([.ocsp([long])], "at most 2048 are accepted"),
            ([.crlDistributionPoints([long])], "at most 2048 are accepted"),
        ] {
            try await withSigned(
                extensions, by: try CertificateAuthority(name: "release root"), ["allowPrivateAddresses": true]
            ) { service, image, _ in expectDenied(try await service.verify(image), nil, word, "CN=release") }
        }
        #expect(server.connections == 0)
    }

    @Test func aLevelThatOnlyLogsAdmits() async throws {
        try await withService(level: "permissive") { service, _, _, _, image in
            expectAdmitted(try await service.verify(image))
        }
    }
}
