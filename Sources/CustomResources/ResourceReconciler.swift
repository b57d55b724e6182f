import FoundationEssentials
import Kubernetes
import Logging
import ServiceLifecycle
import ServiceMetrics

/// Watches all kinds of custom resources, keeps the configuration as they say, and tells how each is doing.
package struct ResourceReconciler: Service {
    private let client: KubernetesClient
    private let configuration: ResourceConfiguration
    private let writer: ResourceStatusWriter
    private let logger: Logger

    /// The shortest time between two changes of the configuration: a storm of changes costs a few of them.
    private static let pace = Duration.milliseconds(50)
    /// How often the status of resources is looked at.
    private let statusInterval: Duration
    /// How often what is not in force is tried again.
    private static let retryInterval = Duration.seconds(15)

    /// A reconciler that has asked nothing yet.
    package init(
        client: KubernetesClient, configuration: ResourceConfiguration, metrics: MetricsRegistry, logger: Logger,
        statusInterval: Duration = .seconds(2)
    ) {
        self.statusInterval = statusInterval
        self.client = client
        self.configuration = configuration
        self.logger = logger
        writer = ResourceStatusWriter(
            client: client, configuration: configuration, metrics: metrics, logger: logger)
    }

    /// Watches until graceful shutdown.
    package func run() async throws {
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                for kind in ResourceKind.allCases {
                    group.addTask {
                        for await event in client.watch(kind.type) { configuration.take(kind, event) }
                    }
                }
                group.addTask { await settle() }
                group.addTask { await every(statusInterval) { await writer.write() } }
                group.addTask { await every(Self.retryInterval) { configuration.retry() } }
            }
        }
    }

    /// The first change is in force at once; those that come close behind it a moment later, together.
    private func settle() async {
        for await _ in configuration.arrivals {
            configuration.settle()
            try? await Task.sleep(for: Self.pace)
            if Task.isCancelled { return }
        }
    }

    private func every(_ interval: Duration, _ work: () async -> Void) async {
        while !Task.isCancelled {
            await work()
            try? await Task.sleep(for: interval)
        }
    }
}
