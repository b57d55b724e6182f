import Synchronization
import TestSupport
import Testing

@testable import Concurrency

/// Who works, who waits, who is turned away.
@Suite(.timeLimit(.minutes(5))) struct ConcurrencyLimiterTests {
    /// How many were at work at once.
    private final class Peaks: Sendable {
        private let counts = Mutex<[String: (now: Int, peak: Int)]>([:])

        var seen: [String: Int] { counts.withLock { $0.mapValues(\.peak) } }

        func begin(_ names: String...) {
            counts.withLock { counts in
                for name in names {
                    let now = (counts[name]?.now ?? 0) + 1
                    counts[name] = (now, max(counts[name]?.peak ?? 0, now))
                }
            }
        }

        func end(_ names: String...) { counts.withLock { counts in for name in names { counts[name]?.now -= 1 } } }
    }

    private func work(
        _ limiter: ConcurrencyLimiter, at host: String, _ limits: ConcurrencyLimiter.Limits,
        timeout: Duration = .seconds(10),
        _ body: @escaping @Sendable () async -> Void
    ) async -> String {
        await limiter.work(
            at: host, limits: limits, callerDeadline: .now + timeout, deadline: .now + timeout, overloaded: { $0 }
        ) {
            await body()
            return "done"
        }
    }

    @Test func neverMoreThanTheLimits() async {
        let limiter = ConcurrencyLimiter()
        let limits = ConcurrencyLimiter.Limits(overall: 5, perRegistry: 3, queued: 1000)
        let peaks = Peaks()
        let answers = await withTaskGroup(of: String.self) { group in
            for number in 0..<60 {
                let host = "r\(number % 3)"
                group.addTask {
                    await work(limiter, at: host, limits) {
                        peaks.begin(host, "all")
                        try? await Task.sleep(for: .milliseconds(5))
                        peaks.end(host, "all")
                    }
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(answers == Array(repeating: "done", count: 60))
        let seen = peaks.seen
        #expect(seen["all"] == 5)
        #expect(["r0", "r1", "r2"].allSatisfy { (1...3).contains(seen[$0] ?? 0) })
        #expect(limiter.counts == (0, 0, 0))
    }

    @Test func aSlowRegistryHoldsUpItsOwnImagesOnly() async {
        let limiter = ConcurrencyLimiter()
        let limits = ConcurrencyLimiter.Limits(overall: 8, perRegistry: 4, queued: 1000)
        let slow = Gate()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<20 {
                group.addTask { _ = await work(limiter, at: "slow", limits) { await slow.wait() } }
            }
            while limiter.counts.waiting < 16 { try? await Task.sleep(for: .milliseconds(1)) }
            for _ in 0..<10 { #expect(await work(limiter, at: "fast", limits) {} == "done") }
            #expect(limiter.counts.working == 4 && limiter.counts.waiting == 16, "the slow ones are where they were")
            slow.open()
        }
        #expect(limiter.counts.working == 0)
    }

    /// One slow registry with a name for each image, as wildcard DNS gives it.
    @Test func manyNamesOfASlowRegistryDoNotTakeAllPlaces() async {
        let limiter = ConcurrencyLimiter()
        let limits = ConcurrencyLimiter.Limits(overall: 16, perRegistry: 2, queued: 1000)
        #expect(await work(limiter, at: "fast", limits) {} == "done")
        let slow = Gate()
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<40 {
                group.addTask {
                    _ = await work(limiter, at: "slow\(number)", limits, timeout: .seconds(200)) { await slow.wait() }
                }
            }
            while slow.waiting < 14 || limiter.counts.waiting < 26 { try? await Task.sleep(for: .milliseconds(1)) }
            for _ in 0..<10 { #expect(await work(limiter, at: "fast", limits, timeout: .seconds(100)) {} == "done") }
            #expect(limiter.counts.working == 14)
            slow.open()
        }
        #expect(limiter.counts.working == 0 && limiter.counts.waiting == 0)
    }

    @Test func aFullQueueIsSaidAtOnce() async {
        let limiter = ConcurrencyLimiter()
        let limits = ConcurrencyLimiter.Limits(overall: 1, perRegistry: 1, queued: 1)
        let gate = Gate()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<2 { group.addTask { _ = await work(limiter, at: "r", limits) { await gate.wait() } } }
            while limiter.counts.waiting < 1 { try? await Task.sleep(for: .milliseconds(1)) }
            let answer = await work(limiter, at: "r", limits) {}
            #expect(answer.hasPrefix("overloaded: 1 images wait already"), "before any place was free")
            gate.open()
        }
        #expect(limiter.counts.refused == 1)
        #expect(await work(limiter, at: "r", limits) {} == "done")
    }

    @Test func whoHasNoChanceIsToldAtOnce() async {
        let limiter = ConcurrencyLimiter()
        let limits = ConcurrencyLimiter.Limits(overall: 2, perRegistry: 2, queued: 100)
        let gate = Gate()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<4 { group.addTask { _ = await work(limiter, at: "r", limits) { await gate.wait() } } }
            // One that ends while others are there tells how long a place is held.
            while gate.waiting < 2 || limiter.counts.waiting < 2 { try? await Task.sleep(for: .milliseconds(1)) }
            try? await Task.sleep(for: .milliseconds(100))
            gate.openForOne()
            while limiter.counts.waiting > 1 { try? await Task.sleep(for: .milliseconds(1)) }
            // Who waits in vain is told another thing: that no place was free in time.
            let answer = await work(limiter, at: "r", limits, timeout: .milliseconds(50)) {}
            #expect(answer.hasPrefix("overloaded:") && answer.contains("images of this registry wait already"))
            gate.open()
        }
    }

    @Test func waitingEndsWithTheDeadline() async {
        let limiter = ConcurrencyLimiter()
        let limits = ConcurrencyLimiter.Limits(overall: 1, perRegistry: 1, queued: 100)
        let gate = Gate()
        await withTaskGroup(of: Void.self) { group in
            group.addTask { _ = await work(limiter, at: "r", limits) { await gate.wait() } }
            while limiter.counts.working < 1 { try? await Task.sleep(for: .milliseconds(1)) }
            let answer = await work(limiter, at: "r", limits, timeout: .milliseconds(60)) {}
            #expect(answer.hasPrefix("overloaded: no place was free in time"))
            #expect(limiter.counts.waiting == 0)
            gate.open()
        }
        #expect(limiter.counts == (0, 0, 1))
    }
}

/// Work that nobody waits for.
@Suite struct WorkAsideTests {
    @Test func onlyWhereNobodyIsHeldUp() async {
        let limiter = ConcurrencyLimiter()
        let limits = ConcurrencyLimiter.Limits(overall: 8, perRegistry: 4, queued: 10)
        // One of four places of a registry, and no second one.
        let isAloneThere = await limiter.workIfIdle(at: "r", limits: limits) {
            await limiter.workIfIdle(at: "r", limits: limits) { true } == nil
        }
        #expect(isAloneThere == true)
        #expect(limiter.counts == (0, 0, 0))
        // A request has all the others.
        let request = await limiter.workIfIdle(at: "r", limits: limits) {
            await limiter.work(
                at: "r", limits: limits, callerDeadline: .now + .seconds(60), deadline: .now + .seconds(60),
                overloaded: { $0 }
            ) { "done" }
        }
        #expect(request == "done")
    }

    @Test func whoWaitsComesFirst() async {
        let limiter = ConcurrencyLimiter()
        let limits = ConcurrencyLimiter.Limits(overall: 1, perRegistry: 1, queued: 10)
        let end = ContinuousClock.now + .seconds(60)
        let refused = await limiter.work(
            at: "r", limits: limits, callerDeadline: end, deadline: end, overloaded: { _ in true }
        ) {
            // Another one waits for the only place.
            let waiter = Task {
                await limiter.work(
                    at: "r", limits: limits, callerDeadline: end, deadline: end, overloaded: { _ in false }
                ) {
                    true
                }
            }
            while limiter.counts.waiting == 0 { await Task.yield() }
            // At a registry of its own, too.
            let isRefused = await limiter.workIfIdle(at: "other", limits: limits) { true } == nil
            _ = waiter
            return isRefused
        }
        #expect(refused)
    }
}
