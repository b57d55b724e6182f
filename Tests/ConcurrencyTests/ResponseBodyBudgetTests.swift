import Synchronization
import TestSupport
import Testing

@testable import Concurrency

/// Who gets room for the bodies of answers.
@Suite struct ResponseBodyBudgetTests {
    private static let maximum = 4 << 20
    private static let piece = 64 << 10

    /// A transfer as the budget sees it.
    private final class Body: Sendable {
        private final class Told: Sendable {
            let toGiveWay = Mutex(false)
            let toGoOn = Mutex(0)
        }

        let budget: ResponseBodyBudget
        let share: ResponseBodyBudget.Share
        private let told: Told

        init(_ budget: ResponseBodyBudget, _ host: String, expected: Int = ResponseBodyBudget.usualBodyBytes) {
            let told = Told()
            (self.budget, self.told) = (budget, told)
            let orders = ResponseBodyBudget.Orders(
                giveWay: { told.toGiveWay.withLock { $0 = true } }, goOn: { told.toGoOn.withLock { $0 += 1 } })
            share = budget.begin(host, expected: expected, orders)
        }

        func hasGivenWay() -> Bool { told.toGiveWay.withLock(\.self) }

        /// How often it was told to go on after it had waited.
        func goneOn() -> Int { told.toGoOn.withLock(\.self) }

        func ask(_ bytes: Int) -> ResponseBodyBudget.Answer { budget.take(share, bytes, mayWait: true) }

        /// Takes pieces until there is no room or so many are there; says how many bytes it got.
        func take(_ bytes: Int) -> Int {
            var taken = 0
            while taken < bytes, budget.take(share, ResponseBodyBudgetTests.piece) == .granted {
                taken += ResponseBodyBudgetTests.piece
            }
            return taken
        }
    }

    @Test func oneHostLeavesAQuarter() {
        let budget = ResponseBodyBudget(maximumBytes: Self.maximum)
        let bodies = (0..<64).map { _ in Body(budget, "slow") }
        let taken = bodies.reduce(0) { $0 + $1.take(1 << 20) }
        #expect(taken == Self.maximum / 4 * 3)
        #expect(budget.counts.bytes == taken && budget.counts.refusals > 0 && budget.counts.evictions == 0)
    }

    /// A newcomer gets its share from whoever holds most, and the sums stay right.
    @Test func whoHoldsMostGivesWay() {
        let budget = ResponseBodyBudget(maximumBytes: Self.maximum)
        var bodies: [Body] = []
        for host in 0..<10 {
            let own = (0..<8).map { _ in Body(budget, "slow-\(host)") }
            for body in own { _ = body.take(512 << 10) }
            bodies += own
            #expect(budget.counts.bytes <= Self.maximum)
        }
        let good = Body(budget, "good")
        #expect(good.take(256 << 10) == 256 << 10, "a tenth of the budget is its share")
        #expect(bodies.contains { $0.hasGivenWay() })
        let given = bodies.filter { $0.hasGivenWay() }
        for body in given { #expect(budget.take(body.share, 1) == .refused, "it has given way for good") }
        #expect(!good.hasGivenWay())
        bodies = []
        #expect(budget.counts.bytes == 256 << 10)
    }

    /// Ten thousand names of one owner: what is usual still has room.
    @Test func someIsAlwaysGranted() {
        let budget = ResponseBodyBudget(maximumBytes: Self.maximum)
        let bodies = (0..<1_000).map { Body(budget, "\($0).hostile") }
        for body in bodies { _ = body.take(1 << 20) }
        #expect(bodies.reduce(0) { $0 + ($1.hasGivenWay() ? 0 : 1) } > 0)
        for number in 0..<100 {
            #expect(
                Body(budget, "good-\(number)").take(ResponseBodyBudget.alwaysGranted)
                    == ResponseBodyBudget.alwaysGranted)
        }
        withExtendedLifetime(bodies) {}
    }

    /// The last quarter is for hosts that have sent whole bodies, in the measure of what they sent.
    @Test func whoDeliversIsTrusted() {
        let budget = ResponseBodyBudget(maximumBytes: Self.maximum)
        func deliver(_ host: String, _ bytes: Int) {
            let body = Body(budget, host)
            #expect(body.take(bytes) == bytes)
            budget.complete(body.share, bytes)
        }
        deliver("good", 512 << 10)
        deliver("turncoat", 512 << 10)
        #expect(budget.delivers("good") && budget.delivers("turncoat") && !budget.delivers("stranger"))
        // Breaks off more than it has delivered.
        do { _ = Body(budget, "turncoat").take(1 << 20) }
        #expect(!budget.delivers("turncoat"))
        // A thousand names hold as much as any can, no one more than another.
        let names = (0..<48).map { Body(budget, "\($0).hostile") }
        for body in names { _ = body.take(64 << 10) }
        #expect(budget.counts.bytes == Self.maximum / 4 * 3)
        let (good, stranger, turncoat) = (Body(budget, "good"), Body(budget, "stranger"), Body(budget, "turncoat"))
        let few = ResponseBodyBudget.alwaysGranted
        #expect(stranger.take(1 << 20) == few && turncoat.take(1 << 20) == few)
        #expect(good.take(1 << 20) >= 448 << 10)
        withExtendedLifetime(names) {}
    }

    /// What waits to be judged cannot give way, and has half at most.
    @Test func whatWaitsHasHalf() {
        let budget = ResponseBodyBudget(maximumBytes: Self.maximum)
        var held = (0..<10).compactMap { budget.hold("host-\($0)", 512 << 10) }
        #expect(held.count == 4)
        #expect(budget.hold("small", 16 << 10) != nil)
        #expect(Body(budget, "other").take(512 << 10) == 512 << 10)
        held = []
        #expect(budget.counts.bytes == 0)
        #expect(budget.hold("host", 2 << 20) != nil)
    }

    /// What finds no room waits, and is told when others have ended: who holds least first.
    @Test func whatFindsNoRoomWaits() {
        let budget = ResponseBodyBudget(maximumBytes: Self.maximum)
        var first: Body? = Body(budget, "a", expected: 3 << 20)
        #expect(first?.ask(3 << 20) == .granted)
        let large = Body(budget, "a", expected: 2 << 20)
        #expect(large.ask(64 << 10) == .wait, "its own host has no more room")
        #expect(large.goneOn() == 0 && budget.counts.evictions == 0 && budget.counts.refusals == 0)
        first = nil
        #expect(large.goneOn() == 1 && large.ask(64 << 10) == .granted)
        #expect(large.ask(2 << 20) == .granted)
    }

    /// Of one host no more large bodies begin than can end: none of them waits for another without end.
    @Test func largeBodiesOfAHostComeOneAfterTheOther() {
        let budget = ResponseBodyBudget(maximumBytes: Self.maximum)
        var bodies = (0..<16).map { _ in Body(budget, "good", expected: 1 << 20) }
        var answers = bodies.map { $0.ask(128 << 10) }
        #expect(answers == Array(repeating: .granted, count: 3) + Array(repeating: .wait, count: 13))
        // Small ones go before.
        #expect(Body(budget, "good", expected: 10_000).ask(10_000) == .granted)
        while !bodies.isEmpty {
            for body in bodies.prefix(3) { #expect(body.ask(896 << 10) == .granted) }
            for body in bodies.prefix(3) { budget.complete(body.share, 1 << 20) }
            if bodies.count > 3 { #expect(bodies[3].ask(128 << 10) == .wait, "those have come, and are still there") }
            bodies.removeFirst(min(3, bodies.count))
            answers = bodies.prefix(3).map { $0.ask(128 << 10) }
            #expect(answers.allSatisfy { $0 == .granted })
        }
        #expect(budget.counts.evictions == 0 && budget.counts.refusals == 0 && budget.counts.bytes == 0)
    }

    /// Another host came, and there is less room than was thought: who began first comes to its end.
    @Test func theFirstComesToItsEnd() {
        let budget = ResponseBodyBudget(maximumBytes: Self.maximum)
        let bodies = (0..<3).map { _ in Body(budget, "a", expected: 1 << 20) }
        for body in bodies { #expect(body.ask(512 << 10) == .granted) }
        let other = Body(budget, "b", expected: 1536 << 10)
        #expect(other.ask(1536 << 10) == .granted)
        #expect(bodies[2].ask(512 << 10) == .wait, "nobody is younger")
        #expect(bodies[0].ask(512 << 10) == .granted && bodies[2].hasGivenWay())
        #expect(!bodies[0].hasGivenWay() && !bodies[1].hasGivenWay() && !other.hasGivenWay())
    }

    /// Hosts that send without end make each other give way once; what they send then is not read, until what is there
    /// ends.
    @Test func floodingHostsDoNotTakeTurns() {
        let budget = ResponseBodyBudget(maximumBytes: Self.maximum)
        var bodies: [[Body]] = (0..<10).map { host in
            (0..<8).map { _ in Body(budget, "slow-\(host)", expected: 2 << 20) }
        }
        var read = 0
        for _ in 0..<200 {
            for host in bodies.indices {
                for index in bodies[host].indices {
                    if bodies[host][index].hasGivenWay() {
                        bodies[host][index] = Body(budget, "slow-\(host)", expected: 2 << 20)
                    }
                    if bodies[host][index].ask(64 << 10) == .granted { read += 64 << 10 }
                }
            }
        }
        #expect(read < 8 * Self.maximum, "\(read >> 20) MiB were read, and \(Self.maximum >> 20) are kept")
        #expect(budget.counts.bytes <= Self.maximum)
        let good = Body(budget, "good")
        #expect(good.ask(256 << 10) == .granted)
        bodies = []
        #expect(budget.counts.bytes == 256 << 10)
    }

    /// From many threads at once.
    @Test func theSumsStayRight() async {
        let budget = ResponseBodyBudget(maximumBytes: Self.maximum)
        await withTaskGroup(of: Void.self) { group in
            for host in 0..<8 {
                group.addTask {
                    for round in 0..<200 {
                        let bodies = (0..<4).map { _ in Body(budget, "host-\(host)") }
                        for body in bodies { _ = body.take(((round % 7) + 1) << 16) }
                        budget.complete(bodies[0].share, round)
                        _ = budget.hold("host-\(host)", 100_000)
                    }
                }
            }
        }
        #expect(
            budget.counts.bytes == 0 && budget.counts.largest <= Self.maximum + 8 * ResponseBodyBudget.alwaysGranted)
    }
}
