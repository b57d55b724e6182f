import Testing

@testable import HTTP

/// Who may ask a host when, with times made up.
@Suite struct HostQueueTests {
    private let start = ContinuousClock.now

    private func moment(_ milliseconds: Int) -> ContinuousClock.Instant { start + .milliseconds(milliseconds) }

    private func queue(inFlight: Int = 100) -> HostQueue { HostQueue(maximumInFlight: inFlight, now: start) }

    /// Has so many requests answered within a second, and one more refused at its end.
    private func limited(answered: Int, retryAfter: Duration?, inFlight: Int = 1000) -> HostQueue {
        var queue = queue(inFlight: inFlight)
        for id in 0...UInt64(answered) { queue.add(id, precedence: 0, group: "", deadline: moment(60_000)) }
        #expect(queue.step(now: start).go.count == answered + 1)
        for _ in 0..<answered { queue.finish(sent: start, isAnswered: true, refusal: nil, now: moment(500)) }
        queue.finish(sent: start, isAnswered: false, refusal: (retryAfter, ()), now: moment(1000))
        return queue
    }

    @Test func withoutRefusalsAllGoAtOnceUpToWhatMayBeUnderWay() {
        var queue = queue(inFlight: 2)
        for id in 1...3 as ClosedRange<UInt64> { queue.add(id, precedence: 0, group: "", deadline: moment(1000)) }
        let step = queue.step(now: start)
        #expect(step.go == [1, 2] && step.throttled.isEmpty && step.late.isEmpty)
        #expect(step.wake == moment(1000))
        queue.finish(sent: start, isAnswered: true, refusal: nil, now: moment(10))
        #expect(queue.step(now: moment(10)).go == [3])
    }

    @Test func whoseDeadlinePassesInTheQueueIsLate() {
        var queue = queue(inFlight: 1)
        queue.add(1, precedence: 0, group: "", deadline: moment(1000))
        queue.add(2, precedence: 0, group: "", deadline: moment(100))
        #expect(queue.step(now: start).go == [1])
        let step = queue.step(now: moment(100))
        #expect(step.late == [2] && step.throttled.isEmpty)
        #expect(queue.waiters.isEmpty)
    }

    @Test func oneRefusalHoldsUpEverybodyForAsLongAsTheHostAsks() {
        var queue = limited(answered: 99, retryAfter: .seconds(2))
        queue.add(1000, precedence: 0, group: "", deadline: moment(10_000))
        #expect(queue.step(now: moment(1001)).go.isEmpty)
        #expect(queue.step(now: moment(2999)).go.isEmpty)
        #expect(queue.step(now: moment(3000)).go == [1000])
    }

    @Test func afterwardsRequestsGoAtTheRateThatTheHostAllowed() {
        // 99 answers in a second, and nothing for two more: 33 a second.
        var queue = limited(answered: 99, retryAfter: .seconds(2))
        for id in 1000..<1400 as Range<UInt64> { queue.add(id, precedence: 0, group: "", deadline: moment(60_000)) }
        var gone = 0
        for milliseconds in stride(from: 3000, to: 4000, by: 10) {
            gone += queue.step(now: moment(milliseconds)).go.count
        }
        #expect((25...45).contains(gone), "\(gone) in the first second")
        var later = 0
        for milliseconds in stride(from: 7000, to: 8000, by: 10) {
            later += queue.step(now: moment(milliseconds)).go.count
        }
        #expect(later > gone, "the rate grows")
    }

    @Test func whoseTurnCannotComeInTimeFailsAtOnce() {
        var queue = limited(answered: 99, retryAfter: .seconds(2))
        queue.add(1000, precedence: 0, group: "", deadline: moment(2500))
        let step = queue.step(now: moment(1001))
        #expect(step.throttled == [1000] && step.late.isEmpty && queue.waiters.isEmpty)
        // The second of two that fit alone does not fit behind the first.
        queue.add(1001, precedence: 0, group: "", deadline: moment(3010))
        queue.add(1002, precedence: 0, group: "", deadline: moment(3010))
        #expect(queue.step(now: moment(1002)).throttled == [1002])
    }

    @Test func workThatHasBegunGoesFirstAndPushesOutWhatCannotWait() {
        var queue = limited(answered: 99, retryAfter: .seconds(2))
        queue.add(1000, precedence: 0, group: "a", deadline: moment(3020))
        #expect(queue.step(now: moment(1001)).throttled.isEmpty)
        queue.add(1001, precedence: 3, group: "b", deadline: moment(3020))
        // The whole queue is looked through now and then.
        #expect(queue.step(now: moment(1110)).throttled == [1000])
        #expect(queue.step(now: moment(3000)).go == [1001])
    }

    @Test func groupsTakeTurns() {
        var queue = queue(inFlight: 1)
        queue.add(1, precedence: 0, group: "busy", deadline: moment(60_000))
        #expect(queue.step(now: start).go == [1])
        for id in 2...4 as ClosedRange<UInt64> { queue.add(id, precedence: 0, group: "busy", deadline: moment(60_000)) }
        queue.add(5, precedence: 0, group: "quiet", deadline: moment(60_000))
        var order: [UInt64] = []
        for _ in 0..<4 {
            queue.finish(sent: start, isAnswered: true, refusal: nil, now: moment(10))
            order += queue.step(now: moment(10)).go
        }
        #expect(order.firstIndex(of: 5) ?? 9 <= 1, "\(order)")
        #expect(order.count == 4)
    }

    @Test func refusalsOfWhatWasUnderWayCountOnce() {
        var queue = queue(inFlight: 200)
        for id in 0..<150 as Range<UInt64> { queue.add(id, precedence: 0, group: "", deadline: moment(60_000)) }
        #expect(queue.step(now: start).go.count == 150)
        for _ in 0..<100 { queue.finish(sent: start, isAnswered: true, refusal: nil, now: moment(1000)) }
        queue.finish(sent: start, isAnswered: false, refusal: (.seconds(1), ()), now: moment(1000))
        let interval = queue.pace?.interval
        for _ in 0..<49 { queue.finish(sent: start, isAnswered: false, refusal: (.seconds(1), ()), now: moment(1001)) }
        #expect(queue.pace?.interval == interval)
        #expect(queue.pace?.resumes == moment(2001))
    }

    @Test func aHostThatAnswersAgainIsAskedFreelyAfterAWhile() {
        var queue = limited(answered: 99, retryAfter: .seconds(1))
        #expect(queue.pace != nil && !queue.isIdle)
        _ = queue.step(now: moment(60_000))
        #expect(queue.pace == nil && queue.isIdle)
    }

    @Test func neverLongerThanAMinuteWhateverTheHostAsks() throws {
        var queue = limited(answered: 0, retryAfter: .seconds(1_000_000_000))
        let pace = try #require(queue.pace)
        #expect(pace.resumes == moment(61_000))
        // Little is known of the rate of a host that answered nothing: not asked slowly for ever.
        #expect(pace.interval <= .milliseconds(50))
        queue.add(1000, precedence: 0, group: "", deadline: moment(70_000))
        #expect(queue.step(now: moment(61_000)).go == [1000])
    }

    @Test func withoutRetryAfterTheWaitDoubles() {
        var queue = limited(answered: 50, retryAfter: nil)
        #expect(queue.pace?.resumes == moment(2000))
        var sent = 2000
        for (id, wait) in [(2000, 2000), (2001, 4000), (2002, 8000)] as [(UInt64, Int)] {
            queue.add(id, precedence: 0, group: "", deadline: moment(600_000))
            #expect(queue.step(now: moment(sent)).go == [id])
            queue.finish(sent: moment(sent), isAnswered: false, refusal: (nil, ()), now: moment(sent + 1))
            #expect(queue.pace?.resumes == moment(sent + 1 + wait), "\(id)")
            sent += 1 + wait
        }
    }
}
