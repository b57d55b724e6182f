import Foundation
import Gatekeeper
import ProviderTestSupport
import ServiceMetrics
import TestSupport
import Testing

@testable import ProviderServer

@Suite struct CertificateReloadTests {
    @Test func newConnectionsGetTheNewCertificateAndOldOnesLive() async throws {
        let provider = try await RunningProvider()
        let old = try await provider.connect()
        _ = try await old.verify(["signed"])
        let first = try await old.serverSerialNumber

        try provider.files.write(try provider.files.serverAuthority.issue(.server("countersign")))
        provider.server.reloadCertificates()

        let new = try await provider.connect()
        #expect(try await new.verify(["signed"]).status == 200)
        #expect(try await new.serverSerialNumber != first)
        #expect(try await old.verify(["signed"]).status == 200)
        #expect(await provider.hasMetric(#"reloads_total{result="success"} 1"#))
    }

    @Test func theClientAuthorityIsReloadedToo() async throws {
        let provider = try await RunningProvider()
        let old = try await provider.connect()
        _ = try await old.verify(["signed"])

        let rotated = try CertificateAuthority(name: "gatekeeper-ca")
        try provider.files.write("ca.crt", rotated.certificate.pem)
        provider.server.reloadCertificates()

        await #expect(throws: (any Error).self) { try await provider.connect().verify(["signed"]) }
        var options = provider.gatekeeper
        options.identity = try rotated.issue(.client("gatekeeper"))
        let new = try await TestClient.connect(port: provider.ports.provider, options)
        #expect(try await new.verify(["signed"]).status == 200)
        #expect(try await old.verify(["signed"]).status == 200)
    }

    @Test func duringARotationBothAuthoritiesAreTrusted() async throws {
        let provider = try await RunningProvider()
        let rotated = try CertificateAuthority(name: "new gatekeeper-ca")
        try provider.files.write("ca.crt", provider.files.clientAuthority.certificate.pem + rotated.certificate.pem)
        provider.server.reloadCertificates()
        #expect(try await provider.connect().verify(["signed"]).status == 200)
        var options = provider.gatekeeper
        options.identity = try rotated.issue(.client("gatekeeper"))
        let new = try await TestClient.connect(port: provider.ports.provider, options)
        #expect(try await new.verify(["signed"]).status == 200)
    }

    @Test func filesThatDoNotFitLeaveTheOldOnesInForceUntilTheyDo() async throws {
        let provider = try await RunningProvider()
        let next = try provider.files.serverAuthority.issue(.server("countersign"))
        try provider.files.write("tls.crt", next.chainPEM)
        provider.server.reloadCertificates()
        provider.server.reloadCertificates()
        let client = try await provider.connect()
        #expect(try await client.verify(["signed"]).status == 200)
        #expect(try await client.serverSerialNumber == serial(provider.files.server))
        #expect(provider.log.lines.filter { $0.contains("the last good one stays in force") }.count == 1)
        #expect(await provider.hasLogged("the key is not the certificate's"))
        #expect(await provider.hasMetric("countersign_serving_certificate_current 0"))

        try provider.files.write("tls.key", next.keyPEM)
        provider.server.reloadCertificates()
        let new = try await provider.connect()
        #expect(try await new.verify(["signed"]).status == 200)
        #expect(try await new.serverSerialNumber == serial(next))
        #expect(await provider.hasMetric("countersign_serving_certificate_current 1"))
    }

    @Test(arguments: ["tls.crt", "tls.key", "ca.crt"])
    func aBrokenFileIsRefusedAndNamed(name: String) async throws {
        let provider = try await RunningProvider()
        let path = provider.files.url.appending(path: name)
        let whole = try Data(contentsOf: path)
        for content in [Data(), whole.prefix(whole.count / 2), Data("-----BEGIN CERTIFICATE-----\nx\n".utf8)] {
            try content.write(to: path)
            provider.server.reloadCertificates()
            #expect(try await provider.connect().verify(["signed"]).status == 200)
        }
        try FileManager.default.removeItem(at: path)
        provider.server.reloadCertificates()
        #expect(try await provider.connect().verify(["signed"]).status == 200)
        #expect(provider.log.lines.contains { $0.contains("level=error") && $0.contains("/\(name)") })
        #expect(provider.log.lines.contains { $0.contains("cannot read") && $0.contains("/\(name)") })
    }

    @Test func theFilesAreWatched() async throws {
        let provider = try await RunningProvider { $0.certificateInterval = .milliseconds(50) }
        let next = try provider.files.serverAuthority.issue(.server("countersign"))
        try provider.files.write(next)
        #expect(await provider.hasLogged("certificate reloaded"))
        let client = try await provider.connect()
        _ = try await client.verify(["signed"])
        #expect(try await client.serverSerialNumber == serial(next))
    }

    /// Kubernetes turns the link `..data` from one directory to the next.
    @Test func aTurnedLinkIsAChange() async throws {
        let root = FileManager.default.temporaryDirectory.appending(path: "countersign-mount-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: root) }
        let first = try CertificateDirectory()
        let second = try CertificateDirectory()
        try FileManager.default.createDirectory(at: root, withIntermediateDirectories: true)
        let link = root.appending(path: "..data")
        try FileManager.default.createSymbolicLink(at: link, withDestinationURL: first.url)
        for name in ["tls.crt", "tls.key"] {
            try FileManager.default.createSymbolicLink(
                atPath: root.appending(path: name).path, withDestinationPath: "..data/\(name)")
        }
        let provider = try await RunningProvider(files: first) {
            $0.certificates = ServingCertificateFiles(directory: root.path)
        }
        try FileManager.default.removeItem(at: link)
        try FileManager.default.createSymbolicLink(at: link, withDestinationURL: second.url)
        provider.server.reloadCertificates()
        let client = try await TestClient.connect(
            port: provider.ports.provider, TestClient.Options(trusting: second.serverAuthority))
        #expect(try await client.verify(["signed"]).status == 200)
    }

    @Test(arguments: ["tls.crt", "tls.key", "ca.crt"])
    func itDoesNotStartWithoutAUsableFile(name: String) throws {
        let files = try CertificateDirectory()
        try files.write(name, "")
        let configuration = ProviderConfiguration(certificates: files.files)
        #expect(throws: ProviderServerError.self) {
            try EndpointServer(
                configuration: configuration,
                responder: ExternalDataRoutes(
                    configuration: configuration, service: StubService(), metrics: MetricsRegistry(),
                    logger: LogCapture().logger()),
                notReadyReason: { nil }, metrics: MetricsRegistry(), logger: LogCapture().logger())
        }
    }

    @Test func expiryIsAMetric() async throws {
        let provider = try await RunningProvider()
        let expiry = Int(provider.files.server.certificate.notAfter.timeIntervalSince1970)
        #expect(await provider.hasMetric("countersign_serving_certificate_expiry_timestamp_seconds \(expiry)\n"))
    }

    private func serial(_ identity: Identity) -> [UInt8] {
        let hex = Array(identity.certificate.serialNumberHex.utf8)
        return stride(from: 0, to: hex.count, by: 2).compactMap {
            UInt8(String(decoding: hex[$0..<min($0 + 2, hex.count)], as: UTF8.self), radix: 16)
        }
    }
}
