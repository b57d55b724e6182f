import Foundation
import Testing

@testable import Verification

@Suite struct DecisionCacheTests {
    private let decision = Decision(isSuccess: true, reference: "r", digest: nil, reports: [])

    private func key(
        generation: UInt64 = 1, trust: UInt64 = 1, namespace: String? = nil, reference: String = "r"
    ) -> DecisionCache.Key {
        DecisionCache.Key(
            generation: generation, trustGeneration: trust, namespace: namespace, reference: reference)
    }

    @Test func forgetsAfterItsTime() {
        let cache = DecisionCache(timeToLive: .seconds(10))
        let (now, time) = (ContinuousClock.now, Date())
        cache.keep(decision, for: key(), now: now, time: time)
        #expect(cache.decision(for: key(), now: now + .seconds(9), time: time + 9) != nil)
        #expect(cache.decision(for: key(), now: now + .seconds(10), time: time + 10) == nil)
    }

    @Test func forgetsWhenWhatItRestsOnEnds() {
        let cache = DecisionCache(timeToLive: .seconds(60))
        let (now, time) = (ContinuousClock.now, Date())
        cache.keep(decision, for: key(), validFor: .seconds(2), now: now, time: time)
        #expect(cache.decision(for: key(), now: now + .seconds(1), time: time + 1) != nil)
        #expect(cache.decision(for: key(), now: now + .seconds(2), time: time + 2) == nil)
        cache.keep(decision, for: key(reference: "ended"), validFor: .seconds(-1), now: now, time: time)
        #expect(cache.decision(for: key(reference: "ended"), now: now, time: time) == nil)
    }

    /// Certificates were judged by a clock that was wrong: then, or now.
    @Test(arguments: [3600.0, -3600, 10, -10]) func forgetsWhenTheClockIsSet(step: Double) {
        let cache = DecisionCache(timeToLive: .seconds(600))
        let (now, time) = (ContinuousClock.now, Date())
        cache.keep(decision, for: key(), now: now, time: time)
        // Adjusting it bit by bit is not setting it.
        #expect(cache.decision(for: key(), now: now + .seconds(300), time: time + 301) != nil)
        #expect(cache.decision(for: key(), now: now + .seconds(1), time: time + 1 + step) == nil)
        #expect(cache.decision(for: key(), now: now + .seconds(2), time: time + 2) == nil, "it is gone for good")
    }

    /// One tenant's decision never answers for another, nor an old configuration's for a new one.
    @Test func keepsTenantsAndConfigurationsApart() {
        let cache = DecisionCache(timeToLive: .seconds(10))
        cache.keep(decision, for: key(namespace: "a"))
        #expect(cache.decision(for: key(namespace: "a")) != nil)
        for other in [
            key(), key(namespace: "b"), key(generation: 2, namespace: "a"), key(trust: 2, namespace: "a"),
            key(namespace: "a", reference: "s"),
        ] {
            #expect(cache.decision(for: other) == nil)
        }
    }

    /// What has expired takes no memory until somebody asks for it again.
    @Test func expiredVerdictsMakeWay() {
        let cache = DecisionCache(timeToLive: .seconds(10))
        let (now, time) = (ContinuousClock.now, Date())
        for index in 0..<100 { cache.keep(decision, for: key(reference: "\(index)"), now: now, time: time) }
        #expect(cache.counts.entries == 100)
        cache.keep(decision, for: key(reference: "new"), now: now + .seconds(11), time: time + 11)
        #expect(cache.counts.entries == 1)
        cache.removeExpired(now: now + .seconds(30), time: time + 30)
        #expect(cache.counts.entries == 0)
        #expect(cache.counts.cost == 0)
    }

    /// What only the command line shows is not kept.
    @Test func keepsWhatIsAnsweredAndNoMore() throws {
        var report = VerifierReport(subject: "r", isSuccess: true, message: "good", extensions: ["SN": "CN=a"])
        report.details = ["integrity": "a long story"]
        let whole = Decision(isSuccess: true, reference: "r", digest: nil, reports: [report])
        let cache = DecisionCache(timeToLive: .seconds(10))
        cache.keep(whole, for: key())
        let kept = try #require(cache.decision(for: key()))
        #expect(kept.reports.count == 1)
        #expect(whole.details == [["integrity": "a long story"]] && kept.details.isEmpty)
        #expect(kept.reports.first?.extensions == ["SN": "CN=a"])
        #expect(kept.reportsJSON == whole.reportsJSON)
        #expect(kept.isSuccess)
    }

    @Test func isBounded() {
        let cache = DecisionCache(timeToLive: .seconds(60), maximumBytes: 64 << 10)
        for index in 0..<10_000 {
            cache.keep(decision, for: key(reference: "r\(index)"))
            if index > 0 { _ = cache.decision(for: key(reference: "r0")) }
        }
        #expect(cache.counts.cost <= 64 << 10 && cache.counts.entries > 50, "\(cache.counts)")
        #expect(cache.decision(for: key(reference: "r0")) != nil, "the most used one stays")
    }

    @Test func countsWhatItKeeps() {
        let cache = DecisionCache(timeToLive: .seconds(60), maximumBytes: 64 << 10)
        let now = ContinuousClock.now
        for _ in 0..<10 { cache.keep(decision, for: key(), now: now) }
        let one = cache.counts.cost
        #expect(one > 0 && cache.counts.entries == 1)
        cache.keep(decision, for: key(namespace: "a"), now: now)
        // A namespace counts by its length, too: whoever asks chooses it.
        #expect(cache.counts.cost == 2 * one + 1)
        _ = cache.decision(for: key(), now: now + .seconds(60))
        #expect(cache.counts.cost == one + 1 && cache.counts.entries == 1)
        let report = VerifierReport(subject: String(repeating: "s", count: 64 << 10), isSuccess: true, message: "")
        cache.keep(
            Decision(isSuccess: true, reference: "r", digest: nil, reports: [report]), for: key(reference: "large"))
        #expect(cache.counts.entries == 1, "what does not fit pushes nothing out")
    }
}
