import Foundation
import Logging
import ServiceLifecycle
import TestSupport
import Verification

@testable import GatekeeperProvider

/// A provider on ports of its own, with certificate files of its own.
final class RunningProvider: Sendable {
    let service: StubService
    let metrics = MetricsRegistry()
    let log = LogCapture()
    let files: CertificateDirectory
    let server: GatekeeperProviderServer
    let ports: ProviderPorts
    private let group: ServiceGroup
    private let task: Task<Void, any Error>

    /// Starts a provider; `change` changes its configuration.
    init(
        _ service: StubService = StubService(), isTLS: Bool = true, files: CertificateDirectory? = nil,
        _ change: (inout ProviderConfiguration) -> Void = { _ in }
    ) async throws {
        let files = try files ?? CertificateDirectory()
        let local = ListenAddress(host: "127.0.0.1", port: 0)
        var configuration = ProviderConfiguration(
            address: local, certificates: isTLS ? files.files : nil, healthAddress: local, metricsAddress: local)
        // Tests that reload do so themselves.
        configuration.certificateInterval = .seconds(3600)
        change(&configuration)
        let server = try GatekeeperProviderServer(
            configuration: configuration, service: service, metrics: metrics, logger: log.logger())
        let quiet = Logger(label: "test group") { _ in SwiftLogNoOpLogHandler() }
        let group = ServiceGroup(configuration: .init(services: [server], logger: quiet))
        self.service = service
        self.files = files
        self.server = server
        self.group = group
        task = Task { try await group.run() }
        ports = try await server.ports
    }

    /// How Gatekeeper connects.
    var gatekeeper: TestClient.Options {
        TestClient.Options(identity: files.client, trusting: files.serverAuthority)
    }

    func connect() async throws -> TestClient { try await TestClient.connect(port: ports.provider, gatekeeper) }

    /// Whether the log has such a line, now or soon: the server may write it after the client has seen the outcome.
    func hasLogged(_ texts: String...) async -> Bool {
        await eventually { self.log.lines.contains { line in texts.allSatisfy { line.contains($0) } } }
    }

    /// Whether the metrics have such a line, now or soon.
    func hasMetric(_ text: String) async -> Bool { await eventually { self.metrics.render().contains(text) } }

    private func eventually(_ condition: () -> Bool) async -> Bool {
        let end = ContinuousClock.now + .seconds(10)
        while !condition() {
            guard ContinuousClock.now < end else { return false }
            try? await Task.sleep(for: .milliseconds(5))
        }
        return true
    }

    /// Asks for graceful shutdown.
    func shutDown() async { await group.triggerGracefulShutdown() }

    /// Waits until it has stopped.
    func stopped() async throws { try await task.value }

    deinit { task.cancel() }
}

/// A directory with `tls.crt`, `tls.key` and the client authority's `ca.crt`.
final class CertificateDirectory: Sendable {
    let url: URL
    let serverAuthority: CertificateAuthority
    let clientAuthority: CertificateAuthority
    let server: Identity
    let client: Identity

    init() throws {
        url = FileManager.default.temporaryDirectory.appending(path: "countersign-provider-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        serverAuthority = try CertificateAuthority(name: "server authority")
        clientAuthority = try CertificateAuthority(name: "gatekeeper-ca")
        server = try serverAuthority.issue(.server("countersign"))
        client = try clientAuthority.issue(.client("gatekeeper-webhook-service.gatekeeper-system.svc"))
        try write(server)
        try write("ca.crt", clientAuthority.certificate.pem)
    }

    var files: ServingCertificateFiles {
        ServingCertificateFiles(directory: url.path, clientAuthorities: [url.path + "/ca.crt"])
    }

    func write(_ identity: Identity) throws {
        try write("tls.crt", identity.chainPEM)
        try write("tls.key", identity.keyPEM)
    }

    func write(_ name: String, _ text: String) throws {
        try Data(text.utf8).write(to: url.appending(path: name), options: .atomic)
    }

    deinit { try? FileManager.default.removeItem(at: url) }
}
