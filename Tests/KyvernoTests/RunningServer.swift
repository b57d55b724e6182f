import CountersignService
import Foundation
import Logging
import ProviderServer
import ServiceLifecycle
import ServiceMetrics
import TestSupport
import Verification

@testable import Kyverno

/// A provider, composed as for `serve`, that runs until it is forgotten.
final class RunningServer: Sendable {
    let metrics = MetricsRegistry()
    let log = LogCapture()
    let ports: ProviderPorts
    let server: EndpointServer
    private let task: Task<Void, any Error>

    init(
        _ configuration: ProviderConfiguration, _ listener: KyvernoListener, _ service: any VerificationService,
        callers: (any CallerAuthenticator)? = nil
    ) async throws {
        let server = try EndpointServer(
            configuration: configuration, kyverno: listener, service: service, metrics: metrics, logger: log.logger(),
            callers: callers)
        self.server = server
        let quiet = Logger(label: "test group") { _ in SwiftLogNoOpLogHandler() }
        let group = ServiceGroup(configuration: .init(services: [server], logger: quiet))
        task = Task { try await group.run() }
        ports = try await server.ports
    }

    deinit { task.cancel() }
}
