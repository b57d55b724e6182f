import Foundation
import Logging
import ServiceLifecycle
import TestSupport
import Verification

@testable import GatekeeperProvider

/// A provider that runs until it is forgotten.
final class RunningServer: Sendable {
    let metrics = MetricsRegistry()
    let log = LogCapture()
    let ports: ProviderPorts
    let server: GatekeeperProviderServer
    private let task: Task<Void, any Error>

    init(
        _ configuration: ProviderConfiguration, _ service: any VerificationService,
        callers: (any CallerAuthenticator)? = nil
    ) async throws {
        let server = try GatekeeperProviderServer(
            configuration: configuration, service: service, metrics: metrics, logger: log.logger(), callers: callers)
        self.server = server
        let quiet = Logger(label: "test group") { _ in SwiftLogNoOpLogHandler() }
        let group = ServiceGroup(configuration: .init(services: [server], logger: quiet))
        task = Task { try await group.run() }
        ports = try await server.ports
    }

    deinit { task.cancel() }
}
