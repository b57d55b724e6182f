import Foundation
import NIOSSL
import ProviderTestSupport
import TestSupport
import Testing

@testable import ProviderServer

@Suite struct MutualTLSTests {
    @Test func gatekeepersCertificateIsLetIn() async throws {
        let provider = try await RunningProvider()
        let client = try await provider.connect()
        let reply = try await client.verify(["signed"])
        #expect(reply.status == 200)
        #expect(reply.headers["content-type"] == "application/json")
        #expect(try reply.json["response"]?["items"]?.array?.first?["value"]?["isSuccess"] == true)
        #expect(try await client.channel.nioSSL_tlsVersion().get() == .tlsv13)
        client.close()
    }

    @Test func oneConnectionAnswersManyRequests() async throws {
        let provider = try await RunningProvider()
        let client = try await provider.connect()
        for number in 0..<50 {
            let key = "signed\(number)"
            #expect(try await client.verify([key]).json["response"]?["items"]?.array?.first?["key"]?.string == key)
        }
    }

    @Test func noCertificateIsRefused() async throws {
        let provider = try await RunningProvider()
        var options = provider.gatekeeper
        options.identity = nil
        await #expect(throws: (any Error).self) {
            try await TestClient.post(port: provider.ports.provider, options, body: TestClient.request(["signed"]))
        }
        #expect(provider.service.keys.isEmpty)
        #expect(await provider.hasLogged("TLS handshake failed", "sent no certificate"))
        #expect(await provider.hasMetric("countersign_handshake_failures_total 1"))
    }

    @Test func aStrangersCertificateIsRefused() async throws {
        let provider = try await RunningProvider()
        var options = provider.gatekeeper
        // The same name, signed by another authority of the same name.
        options.identity = try CertificateAuthority(name: "gatekeeper-ca")
            .issue(.client("gatekeeper-webhook-service.gatekeeper-system.svc"))
        await #expect(throws: (any Error).self) {
            try await TestClient.post(
                port: provider.ports.provider, options, body: TestClient.request(["signed"]))
        }
        #expect(provider.service.keys.isEmpty)
        #expect(await provider.hasLogged("does not chain to the client authorities"))
    }

    @Test func anExpiredCertificateIsRefused() async throws {
        let provider = try await RunningProvider()
        var template = CertificateTemplate.client("gatekeeper")
        template.notAfter = Date(timeIntervalSinceNow: -3600)
        var options = provider.gatekeeper
        options.identity = try provider.files.clientAuthority.issue(template)
        await #expect(throws: (any Error).self) {
            try await TestClient.post(
                port: provider.ports.provider, options, body: TestClient.request(["signed"]))
        }
        #expect(provider.service.keys.isEmpty)
    }

    @Test func aServersCertificateIsNotAClients() async throws {
        let provider = try await RunningProvider()
        var options = provider.gatekeeper
        options.identity = try provider.files.clientAuthority.issue(.server("gatekeeper"))
        await #expect(throws: (any Error).self) {
            try await TestClient.post(
                port: provider.ports.provider, options, body: TestClient.request(["signed"]))
        }
        #expect(provider.service.keys.isEmpty)
    }

    @Test func anIntermediateOfTheAuthorityIsLetIn() async throws {
        let provider = try await RunningProvider()
        var options = provider.gatekeeper
        options.identity = try provider.files.clientAuthority.intermediate("issuing").issue(.client("gatekeeper"))
        let reply = try await TestClient.post(
            port: provider.ports.provider, options, body: TestClient.request(["signed"]))
        #expect(reply.status == 200)
    }

    /// What comes back when a client whose certificate has these names asks for an image.
    private func reply(
        to template: CertificateTemplate, named names: [String]
    ) async throws -> (TestClient.Reply, RunningProvider) {
        let provider = try await RunningProvider { $0.clientNames = ClientNames(names) }
        var options = provider.gatekeeper
        options.identity = try provider.files.clientAuthority.issue(template)
        let reply = try await TestClient.post(
            port: provider.ports.provider, options, body: TestClient.request(["signed"]))
        return (reply, provider)
    }

    private static let gatekeeper = "gatekeeper-webhook-service.gatekeeper-system.svc"

    @Test func anotherCertificateOfGatekeepersAuthorityIsLetInUnlessANameIsAskedFor() async throws {
        let (reply, provider) = try await reply(to: .client("somebody"), named: [])
        #expect(reply.status == 200)
        #expect(provider.service.keys == ["signed"])
    }

    @Test(arguments: [gatekeeper, "GATEKEEPER-webhook-service.gatekeeper-system.SVC"])
    func theNameThatIsAskedForIsLetIn(name: String) async throws {
        let (reply, _) = try await reply(to: .client(Self.gatekeeper), named: ["kyverno.example", name])
        #expect(reply.status == 200)
        #expect(try reply.json["response"]?["items"]?.array?.first?["value"]?["isSuccess"] == true)
    }

    @Test(arguments: ["somebody", "x.\(gatekeeper)", "\(gatekeeper).example", "a\"b\nc", ""])
    func anotherNameOfGatekeepersAuthorityIsRefusedWithAReason(name: String) async throws {
        let (reply, provider) = try await reply(to: .client(name), named: [Self.gatekeeper])
        #expect(reply.status == 403)
        #expect(provider.service.keys.isEmpty)
        // Gatekeeper looks at the body alone.
        let error = try #require(try reply.json["response"]?["systemError"]?.string)
        #expect(error.contains("only \"\(Self.gatekeeper)\" may ask, see --client-name"))
        #expect(!error.contains("\n"))
        #expect(try reply.json["response"]?["items"]?.array?.isEmpty != false)
        #expect(await provider.hasLogged("request refused", "client not named"))
    }

    @Test func aNameWithoutAuthoritiesIsRefusedAtTheStart() async throws {
        let files = try CertificateDirectory()
        await #expect(throws: ProviderServerError.self) {
            try await RunningProvider(files: files) {
                $0.certificates = ServingCertificateFiles(directory: files.url.path)
                $0.clientNames = ClientNames([Self.gatekeeper])
            }
        }
        #expect(ClientNames([]) == nil)
        #expect(ClientNames(["a", ""]) == nil)
    }

    @Test func whatIsNoCertificateHasNoName() throws {
        let names = try #require(ClientNames(["a"]))
        #expect(names.fault(ofCertificate: [1, 2, 3])?.contains("cannot be read") == true)
    }

    @Test func tls12IsRefused() async throws {
        let provider = try await RunningProvider()
        var options = provider.gatekeeper
        options.maximumVersion = .tlsv12
        await #expect(throws: (any Error).self) {
            try await TestClient.post(
                port: provider.ports.provider, options, body: TestClient.request(["signed"]))
        }
        #expect(provider.service.keys.isEmpty)
        #expect(await provider.hasLogged("does not speak TLS 1.3"))
    }

    @Test func plainHTTPIsNotUnderstood() async throws {
        let provider = try await RunningProvider()
        await #expect(throws: (any Error).self) {
            try await TestClient.post(
                port: provider.ports.provider, body: TestClient.request(["signed"]))
        }
        #expect(provider.service.keys.isEmpty)
    }

    @Test func withoutClientAuthoritiesAnyClientIsServedWithAWarning() async throws {
        let files = try CertificateDirectory()
        let provider = try await RunningProvider(files: files) {
            $0.certificates = ServingCertificateFiles(directory: files.url.path)
        }
        let reply = try await TestClient.post(
            port: provider.ports.provider, TestClient.Options(trusting: files.serverAuthority),
            body: TestClient.request(["signed"]))
        #expect(reply.status == 200)
        #expect(await provider.hasLogged("level=warning", "any client is served"))
    }

    @Test func withoutCertificatesItIsPlainHTTPWithAWarning() async throws {
        let provider = try await RunningProvider(isTLS: false)
        let reply = try await TestClient.post(
            port: provider.ports.provider, body: TestClient.request(["signed"]))
        #expect(reply.status == 200)
        #expect(await provider.hasLogged("level=warning", "serving plain HTTP"))
    }
}
