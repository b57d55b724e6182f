import Kubernetes
import Testing

@Suite struct OutageTests {
    private let start = ContinuousClock.now

    private func after(_ seconds: Int) -> ContinuousClock.Instant { start + .seconds(seconds) }

    @Test func oneThatLastsIsToldOnceAndNowAndThen() {
        var outage = Outage()
        #expect(outage.fails("refused", at: start) == .begun)
        var told: [Int] = []
        for second in 1..<1000 where outage.fails("refused", at: after(second)) == .goesOn { told.append(second) }
        #expect(told == [300, 600, 900])
        #expect(outage.isUnderWay)
        #expect(outage.ends(at: after(1000)) == .seconds(1000))
        #expect(!outage.isUnderWay)
        #expect(outage.ends(at: after(1001)) == nil)
    }

    @Test func anotherCauseIsToldSoon() {
        var outage = Outage()
        #expect(outage.fails("refused", at: start) == .begun)
        #expect(outage.fails("429", at: after(10)) == .quiet)
        #expect(outage.fails("403", at: after(31)) == .goesOn)
        #expect(outage.fails("refused", at: after(32)) == .quiet)
    }

    @Test func whatFailsInTurnsDoesNotFillALog() {
        var outage = Outage()
        var lines = 0
        for second in stride(from: 0, to: 120, by: 2) {
            if outage.fails("garbage", at: after(second)) != .quiet { lines += 1 }
            if outage.ends(at: after(second + 1)) != nil { lines += 1 }
        }
        #expect(lines == 8)
        // Another outage later is told as the first one was.
        #expect(outage.fails("garbage", at: after(200)) == .begun)
        #expect(outage.ends(at: after(221)) == .seconds(21))
    }
}
