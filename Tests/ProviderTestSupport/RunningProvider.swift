import Gatekeeper
import Logging
import ProviderServer
import ServiceLifecycle
import ServiceMetrics
import TestSupport

/// A provider for Gatekeeper on ports of its own, with certificate files of its own.
package final class RunningProvider: Sendable {
    package let service: StubService
    package let metrics = MetricsRegistry()
    package let log = LogCapture()
    package let files: CertificateDirectory
    package let server: EndpointServer
    package let ports: ProviderPorts
    private let group: ServiceGroup
    private let task: Task<Void, any Error>

    /// Starts a provider; `change` changes its configuration.
    package init(
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
        let server = try EndpointServer(
            configuration: configuration,
            responder: ExternalDataRoutes(
                configuration: configuration, service: service, metrics: metrics, logger: log.logger()),
            notReadyReason: { service.readiness.notReadyReason }, metrics: metrics, logger: log.logger())
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
    package var gatekeeper: TestClient.Options {
        TestClient.Options(identity: files.client, trusting: files.serverAuthority)
    }

    /// Connects as Gatekeeper does.
    package func connect() async throws -> TestClient { try await TestClient.connect(port: ports.provider, gatekeeper) }

    /// Whether the log has such a line, now or soon: the server may write it after the client has seen the outcome.
    package func hasLogged(_ texts: String...) async -> Bool {
        await eventually { self.log.lines.contains { line in texts.allSatisfy { line.contains($0) } } }
    }

    /// Whether the metrics have such a line, now or soon.
    package func hasMetric(_ text: String) async -> Bool { await eventually { self.metrics.render().contains(text) } }

    private func eventually(_ condition: () -> Bool) async -> Bool {
        let end = ContinuousClock.now + .seconds(10)
        while !condition() {
            guard ContinuousClock.now < end else { return false }
            try? await Task.sleep(for: .milliseconds(5))
        }
        return true
    }

    /// Asks for graceful shutdown.
    package func shutDown() async { await group.triggerGracefulShutdown() }

    /// Waits until it has stopped.
    package func stopped() async throws { try await task.value }

    deinit { task.cancel() }
}
