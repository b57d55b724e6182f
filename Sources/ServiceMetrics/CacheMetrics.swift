import Concurrency
import Synchronization

/// What every cache of the process holds and is worth, under one name: `countersign_cache_…{cache="…"}`.
///
/// Several that do the same, as those of the stores of several namespaces, count as one. Totals never go down: what a
/// cache was worth that is gone still counts. Nothing is counted twice: the caches count for themselves, and are asked
/// when metrics are read.
package final class CacheMetrics: Sendable {
    private struct Source {
        let name: String
        /// `nil` when the cache is gone.
        let read: @Sendable () -> (counts: CacheCounts, maximumBytes: Int)?
        /// What it had counted when it was last asked.
        var last = CacheCounts()
    }

    private struct State {
        var sources: [Int: Source] = [:]
        var lastNumber = 0
        /// What caches that are gone have counted, by name.
        var gone: [String: CacheCounts] = [:]
    }

    private struct Sum {
        var counts: CacheCounts
        var maximumBytes = 0
    }

    private let state = Mutex(State())

    init() {}

    /// Shows a cache for as long as it lives. It is not kept alive.
    ///
    /// - Parameters:
    ///   - name: one of a few words, the same for all that keep the same kind of thing.
    ///   - owner: the cache, or what has it.
    ///   - maximumBytes: how many bytes it may take now.
    package func add<Owner: AnyObject & Sendable>(
        _ name: String, of owner: Owner, maximumBytes: @escaping @Sendable (Owner) -> Int,
        _ counts: @escaping @Sendable (Owner) -> CacheCounts
    ) {
        state.withLock { state in
            state.lastNumber += 1
            state.sources[state.lastNumber] = Source(name: name) { [weak owner] in
                owner.map { (counts($0), maximumBytes($0)) }
            }
        }
    }

    /// The sums by name. Caches are asked outside of the lock: they have locks of their own.
    private func sums() -> [String: Sum] {
        let sources = state.withLock { $0.sources }
        let readings = sources.mapValues { $0.read() }
        return state.withLock { state in
            var sums: [String: Sum] = [:]
            for (number, source) in sources {
                guard let (counts, maximumBytes) = readings[number] ?? nil else {
                    if let source = state.sources.removeValue(forKey: number) {
                        state.gone[source.name, default: CacheCounts()].addEvents(of: source.last)
                    }
                    continue
                }
                state.sources[number]?.last = counts
                var sum = sums[source.name] ?? Sum(counts: CacheCounts())
                sum.counts.addEvents(of: counts)
                sum.counts.entries += counts.entries
                sum.counts.cost += counts.cost
                sum.maximumBytes += maximumBytes
                sums[source.name] = sum
            }
            for (name, counts) in state.gone {
                sums[name, default: Sum(counts: CacheCounts())].counts.addEvents(of: counts)
            }
            return sums
        }
    }

    /// Brings the series up to date.
    func report(to metrics: MetricsRegistry) {
        for (name, sum) in sums() {
            let label = ("cache", name)
            metrics.gauge(
                "countersign_cache_entries", [label], Double(sum.counts.entries), help: "What a cache holds now.")
            metrics.gauge(
                "countersign_cache_bytes", [label], Double(sum.counts.cost),
                help: "The bytes that a cache takes now, about.")
            metrics.gauge(
                "countersign_cache_maximum_bytes", [label], Double(sum.maximumBytes),
                help: "The bytes that a cache may take.")
            for (event, count) in [
                ("hit", sum.counts.hits), ("miss", sum.counts.misses), ("eviction", sum.counts.evictions),
            ] {
                metrics.set(
                    total: Double(count), of: "countersign_cache_events_total", [label, ("event", event)],
                    help: "What was found in a cache, what was not, and what made room for something else.")
            }
        }
    }
}

extension CacheCounts {
    fileprivate mutating func addEvents(of other: CacheCounts) {
        hits += other.hits
        misses += other.misses
        evictions += other.evictions
    }
}
