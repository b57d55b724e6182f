import Foundation
import OCI
import PKI
import StrictJSON
import Synchronization
import TestSupport
import Testing

/// URLs that strangers supply lead the service nowhere inside the cluster, unless the configuration says so.
@Suite struct PrivateAddressTests {
    /// A registry that sends blobs elsewhere on this machine.
    @Test("Kyverno CVE-2026-41323: a registry sends us to an address inside")
    func aRegistryCannotSendUsInside() async throws {
        try await withRegistry { inside in
            try await withRegistry { registry in
                let app = try Repository("\(registry.endpoint)/app")
                try await app.push("v1", signedBy: try Signers.shared.get().release)
                inside.forgetRequests()
                registry.inject(.redirect(to: inside.url), path: "/v2/app/blobs/*")
                try await withService(try .trustingRelease(), remembers: .zero) { service in
                    let answer = try await service.verify(app.name("v1"))
                    expectDenied(answer, nil, "127.0.0.1 is an address of this machine", "allowPrivateAddresses")
                    #expect(inside.requests.isEmpty)
                    registry.clearFaults()
                    expectAdmitted(try await service.verify(app.name("v1")))
                }
            }
        }
    }

    /// A registry that names another place for its tokens: credentials do not go there.
    @Test("Kyverno CVE-2026-40868: a registry names a token endpoint inside")
    func aRegistryCannotNameATokenEndpointInside() async throws {
        let inside = try ScriptedServer(answers: [[.reply(200, body: #"{"token":"t"}"#)]])
        defer { inside.stop() }
        try await withRegistry { registry in
            registry.inject(
                .challenge(#"Bearer realm="\#(inside.url)/token",service="s""#), method: "HEAD", path: "/v2/app/*")
            let files = try TemporaryDirectory()
            defer { files.remove() }
            var configuration = try ConfigurationText.trustingRelease()
            let path = files.write(
                dockerConfig(registry.endpoint, user: "robot", password: "secret"), to: "config.json")
            configuration.stores = [ConfigurationText.registries(dockerConfig: path)]
            try await withService(configuration, remembers: .zero) { service in
                let answer = try await service.verify("\(registry.endpoint)/app:v1")
                expectDenied(answer, nil, "getting a token", "an address of this machine")
                #expect(inside.connections == 0)
            }
            configuration.stores = [
                ConfigurationText.registries(dockerConfig: path, allowPrivateAddresses: ["127.0.0.0/8"])
            ]
            try await withService(configuration, remembers: .zero) { service in
                _ = try await service.verify("\(registry.endpoint)/app:v1")
                #expect(inside.connections > 0)
            }
        }
    }

    /// An image in a layout, signed by a leaf with these extensions; a configuration that trusts it and allows these
    /// addresses.
    private func signed(
        _ extensions: [TestExtension], by authority: CertificateAuthority, allowing addresses: JSONValue,
        in files: TemporaryDirectory
    ) async throws -> (configuration: ConfigurationText, image: String, leaf: Certificate) {
        var template = CertificateTemplate.codeSigning("release")
        template.extensions += extensions
        let signer = TestSigner(try authority.issue(template))
        let app = try Repository("registry.example/app", layout: files.path("layout"))
        try await app.push("v1", signedBy: signer)
        var configuration = ConfigurationText.trusting(authority.certificate.pem)
        configuration.stores = [ConfigurationText.layout(files.path("layout"))]
        configuration.verificationTimeout = 120_000
        // Whoever answers may take his time on a busy machine.
        configuration.revocation = ["ocspTimeout": 30_000, "crlTimeout": 30_000, "allowPrivateAddresses": addresses]
        return (configuration, app.name("v1"), signer.identity.certificate)
    }

    /// Answers of a responder and a list of one authority.
    private func revocationAnswers(
        for leaf: Certificate, of authority: CertificateAuthority
    ) throws -> @Sendable (ScriptedServer.Request) -> [ScriptedServer.Step] {
        let good = try OCSPResponseTemplate(.good)
            .sign(leaf, issuer: authority.certificate, by: authority.identity)
        let list = try RevocationListTemplate().sign(by: authority)
        return { request in
            request.target.hasPrefix("/ocsp")
                ? [.content(200, type: "application/ocsp-response", good)]
                : [.content(200, type: "application/pkix-crl", list)]
        }
    }

    /// A certificate cannot make the service ask a responder that only the service can reach.
    @Test func aResponderInsideIsNotAsked() async throws {
        let answers = Mutex<@Sendable (ScriptedServer.Request) -> [ScriptedServer.Step]>({ _ in [.reply(503)] })
        let server = try ScriptedServer { request in answers.withLock { $0 }(request) }
        defer { server.stop() }
        let files = try TemporaryDirectory()
        defer { files.remove() }
        let authority = try CertificateAuthority(name: "release root")
        var (configuration, image, leaf) = try await signed(
            [.ocsp(["\(server.url)/ocsp"])], by: authority, allowing: false, in: files)
        let script = try revocationAnswers(for: leaf, of: authority)
        answers.withLock { $0 = script }
        try await withService(configuration, remembers: .zero) { service in
            expectDenied(
                try await service.verify(image), nil, "/ocsp", "127.0.0.1 is an address of this machine itself",
                "allowPrivateAddresses", "CN=release")
            #expect(server.connections == 0)
        }
        configuration.revocation = ["ocspTimeout": 30_000, "allowPrivateAddresses": ["127.0.0.1"]]
        try await withService(configuration, remembers: .zero) { service in
            expectAdmitted(try await service.verify(image))
            #expect(server.connections == 1)
        }
    }

    /// Nor can a responder or a list outside send it there.
    @Test(arguments: ["/ocsp", "/list.crl"]) func whereCertificatesLeadCannotSendUsInside(_ path: String) async throws {
        let authority = try CertificateAuthority(name: "release root")
        let target = Mutex("")
        let outside = try ScriptedServer { _ in [.reply(302, headers: [("Location", target.withLock { $0 })])] }
        defer { outside.stop() }
        let files = try TemporaryDirectory()
        defer { files.remove() }
        let url = outside.url + path
        var (configuration, image, leaf) = try await signed(
            [path == "/ocsp" ? .ocsp([url]) : .crlDistributionPoints([url])], by: authority, allowing: ["127.0.0.1"],
            in: files)
        let inside = try ScriptedServer(host: "127.0.0.2", try revocationAnswers(for: leaf, of: authority))
        defer { inside.stop() }
        let places = [
            ("\(inside.url)\(path)", "127.0.0.2 is an address of this machine itself"),
            ("http://[::ffff:127.0.0.2]:\(inside.port)\(path)", "127.0.0.2 is an address of this machine itself"),
            ("http://169.254.169.254/latest/meta-data/", "169.254.169.254 is a link-local address"),
        ]
        try await withService(configuration, remembers: .zero) { service in
            for (place, word) in places {
                target.withLock { $0 = place }
                let asked = outside.requests.count
                let start = ContinuousClock.now
                expectDenied(try await service.verify(image), nil, path, word, "allowPrivateAddresses", "CN=release")
                #expect(start.duration(to: .now) < .seconds(60))
                #expect(outside.requests.count == asked + 1)
            }
            #expect(inside.connections == 0)
        }
        target.withLock { $0 = places[0].0 }
        configuration.revocation = [
            "ocspTimeout": 30_000, "crlTimeout": 30_000, "allowPrivateAddresses": ["127.0.0.0/8"],
        ]
        try await withService(configuration, remembers: .zero) { service in
            expectAdmitted(try await service.verify(image))
            #expect(inside.connections == 1)
        }
    }

    /// What decides is the address that a name means, whatever the name is.
    @Test func aNameThatLeadsInsideIsNotAsked() async throws {
        let answers = Mutex<@Sendable (ScriptedServer.Request) -> [ScriptedServer.Step]>({ _ in [.reply(503)] })
        let server = try ScriptedServer { request in answers.withLock { $0 }(request) }
        defer { server.stop() }
        let files = try TemporaryDirectory()
        defer { files.remove() }
        let authority = try CertificateAuthority(name: "release root")
        let name = "lists.authority.test:\(server.port)"
        var (configuration, image, leaf) = try await signed(
            [.crlDistributionPoints(["http://\(name)/list.crl"])], by: authority, allowing: false, in: files)
        let script = try revocationAnswers(for: leaf, of: authority)
        answers.withLock { $0 = script }
        let tls = try ServingFiles(in: files)
        for (address, allowed, word) in [
            ("127.0.0.1", [], "127.0.0.1 is an address of this machine itself"),
            ("10.11.12.13", [], "10.11.12.13 is an address of a private network"),
            ("127.0.0.1", ["127.0.0.1"], ""),
        ] as [(String, [JSONValue], String)] {
            configuration.revocation = ["crlTimeout": 30_000, "allowPrivateAddresses": .array(allowed)]
            let process = try await ServeProcess(
                config: files.write(configuration.json.bytes, to: "config.json"), tls: tls,
                environment: try PreloadedLibrary.hosts(["lists.authority.test": address], in: files))
            let answer = Answer(
                try await TestClient.post(port: process.port, tls.gatekeeper, body: TestClient.request([image])),
                asked: [image])
            if word.isEmpty {
                // The name does mean this address to that process.
                expectAdmitted(answer)
                #expect(server.connections == 1)
            } else {
                expectDenied(answer, nil, name, word, "allowPrivateAddresses")
                #expect(server.connections == 0)
            }
            process.signal(SIGKILL)
            _ = await process.ended()
        }
    }

    @Test func aBlockThatIsNoneIsRefused() async throws {
        var configuration = try ConfigurationText.trustingRelease()
        configuration.revocation = ["allowPrivateAddresses": ["10.0.0.0/40"]]
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let outcome = try await Command.run(
            "verify", "registry.example/app:v1", "-c", directory.write(configuration.json.bytes, to: "config.json"))
        #expect(outcome.status == 2)
        #expect(
            outcome.errors.contains(
                #"verifier.plugins[0].revocation.allowPrivateAddresses has "10.0.0.0/40": expected addresses or blocks"#
            ))
    }
}
