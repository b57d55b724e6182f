import Foundation
import NIOSSL
import TestSupport
import Testing

@testable import GatekeeperProvider

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
