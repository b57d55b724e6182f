import Concurrency
import Synchronization

/// A part of a verification that takes time of its own.
package enum WorkStage: String, Sendable {
    /// Waiting for a place.
    case queue
    /// Tag to digest, or what a registry says of a digest.
    case resolve
    /// The list of signatures.
    case referrers
    /// A signature's manifest, or its envelope, from the registry.
    case fetch
    /// Fetching and verifying all signatures.
    case judge
    /// A token for a registry.
    case token
    /// An OCSP answer or a revocation list.
    case revocation
}

/// The histograms of stages, each found once for each host.
final class StageHistograms: Sendable {
    private struct Key: Hashable {
        let stage: WorkStage
        let host: String
    }

    private let histograms = Mutex<[Key: MetricHistogram]>([:])

    func histogram(_ stage: WorkStage, _ host: String, or make: () -> MetricHistogram) -> MetricHistogram {
        let key = Key(stage: stage, host: host)
        if let known = histograms.withLock({ $0[key] }) { return known }
        // Two that make it at once get the same one.
        let histogram = make()
        histograms.withLock { $0[key] = histogram }
        return histogram
    }
}

extension MetricsRegistry {
    /// Bounds in milliseconds that reach the longest work, which goes on when those who asked for it have given up.
    package static let stageBounds = latencyBounds + [10_000, 20_000, 30_000, 60_000]

    /// Observes how long a stage took at a host.
    package func observe(_ stage: WorkStage, at host: String, _ time: Duration) {
        let host = self.host(host)
        stages.histogram(stage, host) {
            histogram(
                "countersign_stage_duration_milliseconds", [("stage", stage.rawValue), ("host", host)],
                bounds: MetricsRegistry.stageBounds,
                help:
                    "Time of each stage of a verification, in milliseconds: queue, resolve, referrers, fetch, judge, token, revocation."
            )
        }.observe(time.milliseconds)
    }
}
