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
}
