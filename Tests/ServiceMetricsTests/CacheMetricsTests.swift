import Concurrency
import Testing

@testable import ServiceMetrics

/// What the metrics say of caches.
@Suite struct CacheMetricsTests {
    private final class Cache: Sendable {
        let counts: CacheCounts
        init(hits: Int, entries: Int) {
            var counts = CacheCounts()
            (counts.hits, counts.entries, counts.cost, counts.evictions) = (hits, entries, 10 * entries, 1)
            self.counts = counts
        }
    }

    @Test func cachesOfAKindCountAsOneAndTotalsNeverGoDown() {
        let metrics = MetricsRegistry()
        func add(_ cache: Cache) { metrics.caches.add("tags", of: cache, maximumBytes: { _ in 100 }) { $0.counts } }
        func has(_ lines: String...) -> Bool {
            let text = metrics.render()
            return lines.allSatisfy { text.contains("\($0)\n") }
        }
        let first = Cache(hits: 3, entries: 2)
        add(first)
        do {
            let second = Cache(hits: 4, entries: 5)
            add(second)
            #expect(
                has(
                    #"countersign_cache_entries{cache="tags"} 7"#, #"countersign_cache_bytes{cache="tags"} 70"#,
                    #"countersign_cache_maximum_bytes{cache="tags"} 200"#,
                    #"countersign_cache_events_total{cache="tags",event="hit"} 7"#,
                    #"countersign_cache_events_total{cache="tags",event="miss"} 0"#,
                    #"countersign_cache_events_total{cache="tags",event="eviction"} 2"#))
            withExtendedLifetime(second) {}
        }
        // One configuration has gone, with what it held.
        for _ in 0..<2 {
            #expect(
                has(
                    #"countersign_cache_entries{cache="tags"} 2"#, #"countersign_cache_bytes{cache="tags"} 20"#,
                    #"countersign_cache_maximum_bytes{cache="tags"} 100"#,
                    #"countersign_cache_events_total{cache="tags",event="hit"} 7"#,
                    #"countersign_cache_events_total{cache="tags",event="eviction"} 2"#))
        }
        withExtendedLifetime(first) {}
    }

    @Test func stagesByHostReachTheLongestWork() {
        let metrics = MetricsRegistry()
        metrics.observe(.token, at: "r.example", .seconds(15))
        metrics.observe(.token, at: "r.example", .milliseconds(3))
        let text = metrics.render()
        let labels = #"stage="token",host="r.example""#
        #expect(text.contains("countersign_stage_duration_milliseconds_bucket{\(labels),le=\"10000\"} 1\n"))
        #expect(text.contains("countersign_stage_duration_milliseconds_bucket{\(labels),le=\"20000\"} 2\n"))
        #expect(text.contains("countersign_stage_duration_milliseconds_count{\(labels)} 2\n"))
    }
}
