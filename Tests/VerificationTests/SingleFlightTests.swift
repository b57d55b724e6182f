import Synchronization
import TestSupport
import Testing

@testable import Verification

@Suite(.timeLimit(.minutes(5))) struct SingleFlightTests {
    final class Counter: Sendable {
        private let value = Mutex(0)
        func increment() { value.withLock { $0 += 1 } }
        var count: Int { value.withLock { $0 } }
    }

    @Test func runsTheWorkOnceForAllWhoAskTogether() async {
        let flights = SingleFlight<String, Int>()
        let counter = Counter()
        let values = await withTaskGroup(of: Int?.self) { group in
            for _ in 0..<500 {
                group.addTask {
                    await flights.value(for: "a", deadline: .now + .seconds(10)) {
                        counter.increment()
                        try? await Task.sleep(for: .milliseconds(300))
                        return 7
                    }
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(counter.count == 1)
        #expect(values.allSatisfy { $0 == 7 })
        #expect(flights.count == 0)
    }

    @Test func eachWaitsByItsOwnDeadlineAndTheWorkGoesOn() async throws {
        let flights = SingleFlight<String, Int>()
        let counter = Counter()
        let gate = Gate()
        let work: @Sendable () async -> Int = {
            await gate.wait()
            counter.increment()
            return 1
        }
        async let patient = flights.value(for: "a", deadline: .now + .seconds(300), work: work)
        let hasty = await flights.value(for: "a", deadline: .now + .milliseconds(50), work: work)
        #expect(hasty == nil)
        gate.open()
        #expect(await patient == 1)
        #expect(counter.count == 1)
    }

    @Test func theWorkOutlivesTheCallerThatStartedIt() async throws {
        let flights = SingleFlight<String, Int>()
        let counter = Counter()
        let gate = Gate()
        let first = Task {
            await flights.value(for: "a", deadline: .now + .seconds(300)) {
                await gate.wait()
                counter.increment()
                return 1
            }
        }
        while gate.waiting < 1 { try await Task.sleep(for: .milliseconds(1)) }
        first.cancel()
        #expect(await first.value == nil)
        // Who joins waits with it; alone it would have had its answer at once.
        #expect(await flights.value(for: "a", deadline: .now + .milliseconds(50)) { 2 } == nil)
        gate.open()
        while counter.count < 1 { try await Task.sleep(for: .milliseconds(1)) }
        #expect(counter.count == 1)
    }

    /// Long enough that no machine is so busy.
    private static let long = Duration.seconds(100)

    @Test func whatSomebodyWaitedForInVainIsNotWaitedForLongAgain() async throws {
        let flights = SingleFlight<String, Int>(waitAfterTimeout: .milliseconds(100))
        let gate = Gate()
        let work: @Sendable () async -> Int = {
            await gate.wait()
            return 1
        }
        let start = ContinuousClock.now
        #expect(await flights.value(for: "a", deadline: start + .milliseconds(500), work: work) == nil)
        #expect(start.duration(to: .now) >= .milliseconds(500), "the first one has its whole time")
        for _ in 0..<3 {
            let start = ContinuousClock.now
            #expect(await flights.value(for: "a", deadline: start + Self.long, work: work) == nil)
            #expect(start.duration(to: .now) >= .milliseconds(100) && start.duration(to: .now) < Self.long / 2)
        }
        // Nothing of that is about other work.
        let other = ContinuousClock.now
        #expect(await flights.value(for: "b", deadline: other + .milliseconds(500), work: work) == nil)
        #expect(other.duration(to: .now) >= .milliseconds(500))
        gate.open()
        #expect(try await eventually { flights.count == 0 })
        // Nor about new work for the same key.
        let second = Gate()
        let next = ContinuousClock.now
        let late = await flights.value(for: "a", deadline: next + .milliseconds(500)) {
            await second.wait()
            return 2
        }
        #expect(late == nil && next.duration(to: .now) >= .milliseconds(500))
        second.open()
    }

    @Test func whoWaitsAlreadyGoesOnWaiting() async throws {
        let flights = SingleFlight<String, Int>(waitAfterTimeout: .milliseconds(50))
        let gate = Gate()
        let work: @Sendable () async -> Int = {
            await gate.wait()
            return 1
        }
        async let hasty = flights.value(for: "a", deadline: .now + .milliseconds(300), work: work)
        async let patient = flights.value(for: "a", deadline: .now + .seconds(300), work: work)
        #expect(await hasty == nil)
        try await Task.sleep(for: .milliseconds(300))
        gate.open()
        #expect(await patient == 1)
    }

    /// One that left, or had hardly any time, says nothing of the work.
    @Test func whoDidNotWaitMakesNobodyHasty() async throws {
        let flights = SingleFlight<String, Int>(waitAfterTimeout: .milliseconds(200))
        let gate = Gate()
        let work: @Sendable () async -> Int = {
            await gate.wait()
            return 1
        }
        #expect(await flights.value(for: "a", deadline: .now + .milliseconds(20), work: work) == nil)
        #expect(await flights.value(for: "a", deadline: .now - .seconds(1), work: work) == nil)
        let gone = Task { await flights.value(for: "a", deadline: .now + .seconds(300), work: work) }
        try await Task.sleep(for: .milliseconds(50))
        gone.cancel()
        #expect(await gone.value == nil)
        async let patient = flights.value(for: "a", deadline: .now + .seconds(300), work: work)
        try await Task.sleep(for: .milliseconds(600))
        gate.open()
        #expect(await patient == 1)
    }

    private func eventually(_ condition: () -> Bool) async throws -> Bool {
        let end = ContinuousClock.now + Self.long
        while !condition() {
            guard ContinuousClock.now < end else { return false }
            try await Task.sleep(for: .milliseconds(5))
        }
        return true
    }
}
