import Synchronization
import Testing

@testable import Concurrency

@Suite struct KeyedLockTests {
    /// What runs at this moment.
    private final class Activity: Sendable {
        private let state = Mutex((now: 0, most: 0, done: 0))

        var most: Int { state.withLock { $0.most } }
        var done: Int { state.withLock { $0.done } }

        func work() async {
            state.withLock {
                $0.now += 1
                $0.most = max($0.most, $0.now)
            }
            await Task.yield()
            state.withLock {
                $0.now -= 1
                $0.done += 1
            }
        }
    }

    @Test func bodiesForOneKeyRunOneAfterTheOther() async {
        let lock = KeyedLock<String>()
        let activity = Activity()
        await withTaskGroup { group in
            for _ in 0..<50 { group.addTask { await lock.withLock("a") { await activity.work() } } }
        }
        #expect(activity.most == 1)
        #expect(activity.done == 50)
    }

    @Test func anotherKeyDoesNotWait() async {
        let lock = KeyedLock<String>()
        let answer = await lock.withLock("a") { await lock.withLock("b") { 1 } }
        #expect(answer == 1)
    }

    @Test func aBodyThatFailsLetsTheNextOneIn() async throws {
        struct Fault: Error {}
        let lock = KeyedLock<String>()
        await #expect(throws: Fault.self) { try await lock.withLock("a") { throw Fault() } }
        #expect(await lock.withLock("a") { 2 } == 2)
    }
}
