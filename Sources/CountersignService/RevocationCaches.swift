import Notation
import ServiceLifecycle
import Synchronization
import Verification

/// The revocation answers of the process, kept over changes of the configuration: verifiers that are given the same bound
/// share a cache, whose content is verified and public.
package final class RevocationCaches: Service {
    /// How many bytes are kept unless the configuration says otherwise.
    static let usualBytes = 64 << 20

    private let caches = Mutex<[Int: RevocationCache]>([:])

    /// No answers yet.
    package init() {}

    /// The cache of a size.
    func cache(bytes: Int) -> RevocationCache {
        caches.withLock { caches in
            if let cache = caches[bytes] { return cache }
            let cache = RevocationCache(maximumBytes: bytes)
            caches[bytes] = cache
            return cache
        }
    }

    /// Says how much is kept.
    func report(to metrics: MetricsRegistry) {
        let usages = caches.withLock { $0.values.map(\.usage) }
        metrics.gauge(
            "countersign_revocation_cache_entries", [], Double(usages.reduce(0) { $0 + $1.entries }),
            help: "OCSP answers and revocation lists that are kept.")
        metrics.gauge(
            "countersign_revocation_cache_bytes", [], Double(usages.reduce(0) { $0 + $1.bytes }),
            help: "The bytes of the OCSP answers and revocation lists that are kept.")
    }

    /// Fetches answers again before they end, until graceful shutdown.
    package func run() async throws {
        while !Task.isShuttingDownGracefully, !Task.isCancelled {
            try? await cancelWhenGracefulShutdown { [self] in
                for cache in caches.withLock({ Array($0.values) }) { await cache.refresh() }
                try await Task.sleep(for: .seconds(5))
            }
        }
    }
}
