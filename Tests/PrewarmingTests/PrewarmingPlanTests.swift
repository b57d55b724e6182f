import TestSupport
import Testing
import Verification

@testable import Prewarming

/// Which image is looked after when.
@Suite struct PrewarmingPlanTests {
    private let start = ContinuousClock.now
    private var generator = SeededGenerator(seed: 1)

    private mutating func plan(_ keys: Set<String>, lifetime: Duration = .seconds(400)) -> PrewarmingPlan<String> {
        var plan = PrewarmingPlan<String>(lifetime: lifetime)
        plan.set(keys, now: start, using: &generator)
        return plan
    }

    @Test mutating func everyImageOnceAndNotTwiceAtOnce() {
        var plan = plan(["a", "b", "c"])
        var seen: Set<String> = []
        for _ in 0..<3 {
            guard case .look(let key) = plan.step(now: start) else {
                Issue.record("nothing due")
                return
            }
            seen.insert(key)
        }
        #expect(seen == ["a", "b", "c"])
        let rest = plan.step(now: start)
        #expect(rest == .wait(nil))
        #expect(!plan.isResting(now: start))
        for key in seen {
            plan.finish(key, .kept(isSuccess: true, life: .seconds(400)), now: start, using: &generator)
        }
        #expect(plan.isResting(now: start) && plan.waiting(now: start) == 0)
    }

    @Test mutating func aheadOfTheEndAndNotAllAtOnce() {
        let keys = Set((0..<50).map { "image-\($0)" })
        var plan = plan(keys)
        for key in keys {
            plan.finish(key, .kept(isSuccess: true, life: .seconds(400)), now: start, using: &generator)
        }
        // A quarter of 400 s before the end, or up to a third of that later: by then less than a quarter is left, so
        // that what is known then is not taken for fresh.
        #expect(plan.waiting(now: start + .seconds(299)) == 0)
        #expect(plan.waiting(now: start + .seconds(334)) == 50)
        let waiting = (299...334).map { plan.waiting(now: start + .seconds($0)) }
        #expect(Set(waiting).count > 10, "spread over time")
    }

    @Test mutating func theRateIsKept() {
        var plan = plan([])
        let interval = Duration.seconds(1)
        let turns = (0..<5).map { _ in plan.turn(every: interval, now: start) }
        #expect(turns == (0..<5).map { start + .seconds($0) })
        // After a rest there is no burst.
        let later = start + .seconds(100)
        let next = (0..<2).map { _ in plan.turn(every: interval, now: later) }
        #expect(next == [later, later + .seconds(1)])
    }

    @Test mutating func faultsWaitLongerEachTime() {
        var plan = plan(["a"])
        let fault = PrewarmingOutcome.fault(TransientFault(stage: .resolve, host: "r", cause: "down"))
        var now = start
        var waits: [Duration] = []
        for _ in 0..<9 {
            let step = plan.step(now: now)
            #expect(step == .look("a"))
            plan.finish("a", fault, now: now, using: &generator)
            guard case .wait(let due?) = plan.step(now: now) else {
                Issue.record("no wait")
                return
            }
            waits.append(due - now)
            now = due
        }
        #expect((.milliseconds(2500)...Duration.seconds(5)).contains(waits[0]))
        #expect((Duration.seconds(150)...Duration.seconds(300)).contains(waits[8]))
    }

    @Test mutating func whatRunsNoMoreIsForgotten() {
        var plan = plan(["a", "b"])
        plan.finish("a", .kept(isSuccess: true, life: .seconds(400)), now: start, using: &generator)
        let added = plan.set(["a", "c"], now: start, using: &generator)
        #expect(added == 1 && plan.count == 2)
        let steps = (0..<2).map { _ in plan.step(now: start) }
        #expect(steps[0] == .look("c"))
        #expect(steps[1] != .look("a"), "its time has not come")
    }

    /// What ends in a moment is not asked about all the time.
    @Test mutating func aShortLifeIsNoBusyLoop() {
        var plan = plan(["a"])
        plan.finish("a", .kept(isSuccess: true, life: .zero), now: start, using: &generator)
        let early = plan.step(now: start + .seconds(4))
        let late = plan.step(now: start + .seconds(5))
        #expect(early == .wait(start + .seconds(5)))
        #expect(late == .look("a"))
    }
}
