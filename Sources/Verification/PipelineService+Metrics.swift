import Concurrency
import ServiceMetrics
import Synchronization

/// How many wait for something now.
final class WaitingCount: Sendable {
    private let count = Atomic<Int>(0)

    var value: Int { count.load(ordering: .relaxed) }

    func begin() { count.add(1, ordering: .relaxed) }
    func end() { count.subtract(1, ordering: .relaxed) }
}

/// What meters show of the service beside what is counted where it happens.
extension PipelineService {
    func reportAll() {
        metrics.caches.add("decisions", of: cache, maximumBytes: { $0.maximumBytes }) { $0.counts }
        metrics.caches.add("admitted", of: verified, maximumBytes: { $0.maximumBytes }) { $0.counts }
        metrics.collect { [cache, verifications, limiter, verified, asked] metrics in
            PipelineService.report(cache, verified, to: metrics)
            PipelineService.report(limiter, to: metrics)
            metrics.gauge(
                "countersign_verifications_in_flight", [], Double(verifications.count),
                help: "Verifications under way now.")
            for (operation, waiting) in [("verify", asked.verify), ("mutate", asked.mutate)] {
                metrics.gauge(
                    "countersign_keys_in_flight", [("operation", operation)], Double(waiting.value),
                    help: "Keys of requests that wait for their answers now.")
            }
        }
    }

    private static func report(_ cache: DecisionCache, _ verified: VerifiedImages, to metrics: MetricsRegistry) {
        let decisions = cache.counts
        metrics.gauge(
            "countersign_decision_cache_entries", [], Double(decisions.entries), help: "Decisions kept now.")
        metrics.gauge(
            "countersign_decision_cache_bytes", [], Double(decisions.cost),
            help: "The bytes that the decisions kept now take, about.")
        metrics.set(
            total: Double(decisions.hits), of: "countersign_decision_cache_hits_total",
            help: "Questions answered from the decision cache.")
        metrics.set(
            total: Double(decisions.misses), of: "countersign_decision_cache_misses_total",
            help: "Questions that found no decision in the cache.")
        let images = verified.counts
        metrics.gauge(
            "countersign_stale_images", [], Double(images.entries),
            help: "Admitted images that may stand in for a verification that a fault prevents (cache.staleIfError).")
        metrics.set(
            total: Double(images.hits), of: "countersign_stale_admissions_total",
            help: "Answers by an earlier verification because of a fault (cache.staleIfError).")
    }

    private static func report(_ limiter: ConcurrencyLimiter, to metrics: MetricsRegistry) {
        let (working, waiting, refused) = limiter.counts
        metrics.gauge(
            "countersign_work_in_progress", [], Double(working), help: "Images that are being asked about now.")
        metrics.gauge(
            "countersign_work_queued", [], Double(waiting), help: "Images that wait for a place (executor.maximum…).")
        metrics.set(
            total: Double(refused), of: "countersign_overloaded_total",
            help: "Images that were turned away for want of a place.")
    }
}
