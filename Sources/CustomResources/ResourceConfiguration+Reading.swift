import KeyManagement
import Kubernetes
import Logging
import ServiceMetrics

extension ResourceConfiguration {
    /// The configuration that a cluster's custom resources are now, read once, for a command. Nothing is written: no
    /// resource gets a status.
    ///
    /// - Parameters:
    ///   - home: the namespace that the provider runs in.
    ///   - timeout: how long providers of certificates may take for their first look.
    /// - Throws: `KubernetesError` when a kind cannot be listed.
    package static func read(
        from client: KubernetesClient, parts: any ConfigurationParts, home: String, metrics: MetricsRegistry,
        logger: Logger, timeout: Duration
    ) async throws(KubernetesError) -> ResourceConfiguration {
        let configuration = ResourceConfiguration(parts: parts, home: home, metrics: metrics, logger: logger)
        for kind in ResourceKind.allCases {
            do throws(KubernetesError) {
                configuration.take(kind, .synced(try await client.list(kind.type).items))
            } catch  where error.kind == .notFound {
                // The definition of this kind is not installed: there are none of it.
                configuration.take(kind, .synced([]))
            }
        }
        configuration.settle()
        let end = ContinuousClock.now + timeout
        while await configuration.readiness != .ready, ContinuousClock.now < end,
            (try? await Task.sleep(for: .milliseconds(100))) != nil
        {}
        return configuration
    }

    /// What is wrong with resources, each with its kind and name.
    package var complaints: [String] {
        reports().compactMap { resource, report in
            report.error.map { "\(resource.id.kind.rawValue) \(resource.id.name): \($0)" }
        }.sorted()
    }
}
