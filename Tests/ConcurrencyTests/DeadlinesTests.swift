import Synchronization
import Testing

@testable import Concurrency

/// One sleeping task for many deadlines.
@Suite struct DeadlinesTests {
    private final class Calls: Sendable {
        private let names = Mutex<[String]>([])
        var all: [String] { names.withLock { $0 } }
        func add(_ name: String) { names.withLock { $0.append(name) } }
        func has(_ count: Int) async -> Bool {
            let end = ContinuousClock.now + .seconds(60)
            while all.count < count, .now < end { try? await Task.sleep(for: .milliseconds(2)) }
            return all.count >= count
        }
    }

    @Test func eachIsCalledOnceInTheirOrder() async {
        let deadlines = Deadlines()
        let calls = Calls()
        let now = ContinuousClock.now
        _ = deadlines.add(now + .milliseconds(300)) { calls.add("second") }
        // Sooner than the one that is slept for.
        _ = deadlines.add(now + .milliseconds(20)) { calls.add("first") }
        _ = deadlines.add(now + .milliseconds(600)) { calls.add("third") }
        #expect(await calls.has(3))
        #expect(calls.all == ["first", "second", "third"])
        #expect(deadlines.count == 0)
        // After everything has ended, too.
        _ = deadlines.add(.now) { calls.add("fourth") }
        #expect(await calls.has(4))
    }

    @Test func whatIsRemovedIsNotCalled() async {
        let deadlines = Deadlines()
        let calls = Calls()
        let now = ContinuousClock.now
        let ids = (0..<100).map { number in deadlines.add(now + .milliseconds(50)) { calls.add("\(number)") } }
        for id in ids.dropLast() { deadlines.remove(id) }
        #expect(await calls.has(1))
        #expect(calls.all == ["99"])
        #expect(deadlines.count == 0)
    }
}
