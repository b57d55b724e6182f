import Synchronization
import TestSupport
import Testing

@testable import Concurrency

@Suite(.timeLimit(.minutes(5))) struct SingleFlightTests {
    final class Counter: Sendable {
        private let value = Mutex(0)
        func increment() { value.withLock { $0 += 1 } }
        var count: Int { value.withLock { $0 } }
    }

    @Test func runsTheWorkOnceForAllWhoAskTogether() async {
        let flights = SingleFlight<String, Int, Never>()
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
        let flights = SingleFlight<String, Int, Never>()
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
        let flights = SingleFlight<String, Int, Never>()
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
        let flights = SingleFlight<String, Int, Never>(waitAfterTimeout: .milliseconds(100))
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
        let flights = SingleFlight<String, Int, Never>(waitAfterTimeout: .milliseconds(50))
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
        let flights = SingleFlight<String, Int, Never>(waitAfterTimeout: .milliseconds(200))
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

    private enum Fault: Error { case failed, late, cancelled }

    private func ask(
        _ flights: SingleFlight<String, Int, Fault>, deadline: Duration = .seconds(300), inOwnTask: Bool = false,
        _ work: @escaping @Sendable () async throws(Fault) -> Int
    ) async -> Result<Int, Fault> {
        do throws(Fault) {
            return .success(
                try await flights.value(
                    for: "a", deadline: .now + deadline, inOwnTask: inOwnTask,
                    leavingWith: { $0 == .cancelled ? .cancelled : .late }, work: work))
        } catch { return .failure(error) }
    }

    @Test func aFailureIsEverybodys() async throws {
        let flights = SingleFlight<String, Int, Fault>()
        let gate = Gate()
        let work: @Sendable () async throws(Fault) -> Int = { () async throws(Fault) -> Int in
            await gate.wait()
            throw .failed
        }
        async let first = ask(flights, work)
        async let second = ask(flights, work)
        while gate.waiting < 1 { try await Task.sleep(for: .milliseconds(1)) }
        #expect(await ask(flights, deadline: .milliseconds(20), work) == .failure(.late))
        gate.open()
        #expect(await (first, second) == (.failure(.failed), .failure(.failed)))
    }

    /// Whoever waits for work that ends with the task of another one asks anew.
    @Test func aCancellationIsNobodyElses() async throws {
        let flights = SingleFlight<String, Int, Fault>()
        let counter = Counter()
        let owner = Task {
            await ask(flights, inOwnTask: true) { () async throws(Fault) -> Int in
                counter.increment()
                do { try await Task.sleep(for: Self.long) } catch { throw .cancelled }
                return 1
            }
        }
        while counter.count < 1 { try await Task.sleep(for: .milliseconds(1)) }
        let others = (0..<3).map { number in
            Task { await ask(flights, inOwnTask: number == 0) { () async throws(Fault) -> Int in 2 } }
        }
        try await Task.sleep(for: .milliseconds(50))
        owner.cancel()
        #expect(await owner.value == .failure(.cancelled))
        for other in others { #expect(await other.value == .success(2)) }
        #expect(flights.count == 0)
    }

    @Test func workCanBeBegunBeforeAnybodyWaits() async throws {
        let flights = SingleFlight<String, Int, Never>()
        let gate = Gate()
        for number in 1...2 {
            flights.start("a") {
                await gate.wait()
                return number
            }
        }
        #expect(flights.count == 1)
        async let value = flights.value(for: "a", deadline: nil) { 3 }
        gate.open()
        #expect([1, 3].contains(await value))
    }

    @Test func whoComesTooLateWaitsForNothing() async {
        let flights = SingleFlight<String, Int, Fault>()
        #expect(await ask(flights, deadline: .seconds(-1)) { () async throws(Fault) -> Int in 1 } == .failure(.late))
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
