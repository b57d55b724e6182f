import Logging
import Redis
import ServiceMetrics

/// What replicas share through one Redis, over one connection.
package struct SharedCache: Sendable {
    /// Verdicts; running them keeps the connection.
    package let decisions: RedisDecisions
    /// Manifests and envelopes.
    package let content: RedisContent

    /// A cache that is connected once its decisions run.
    ///
    /// - Parameter maximumLife: how long a decision is shared, at most.
    /// - Throws: ``SharedCacheError`` when the certificate authorities cannot be used.
    package init(
        _ settings: SharedCacheSettings, maximumLife: Duration, metrics: MetricsRegistry, logger: Logger
    ) throws(SharedCacheError) {
        let client: RedisClient
        do { client = try RedisClient(settings.redis, logger: logger) } catch {
            throw SharedCacheError(description: "the shared cache: \(error)")
        }
        decisions = RedisDecisions(
            client: client, key: settings.key, maximumLife: maximumLife, metrics: metrics, logger: logger)
        content = RedisContent(client: client, key: settings.key, metrics: metrics, logger: logger)
    }
}
