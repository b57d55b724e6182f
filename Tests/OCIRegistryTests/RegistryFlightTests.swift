import Concurrency
import Synchronization
import Testing

@testable import OCI
@testable import OCIRegistry

/// Counts across tasks.
private final class Counter: Sendable {
    private let count = Mutex(0)
    var value: Int { count.withLock { $0 } }
    func next() -> Int {
        count.withLock { count in
            count += 1
            return count
        }
    }
}

@Suite struct RegistryFlightTests {
    static let timeout = RegistryError(.timeout, host: "h", detail: "too late")

    @Test func worksOnceForAll() async throws {
        let flights = SingleFlight<Int, Int, RegistryError>()
        let count = Counter()
        let callers = Counter()
        try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<500 {
                group.addTask {
                    _ = callers.next()
                    return try await flights.value(
                        for: 1, deadline: .now + .seconds(120), workTime: .seconds(120), timeout: Self.timeout
                    ) { _ async throws(RegistryError) -> Int in
                        _ = count.next()
                        while callers.value < 500 { try? await Task.sleep(for: .milliseconds(5)) }
                        try? await Task.sleep(for: .milliseconds(300))
                        return 42
                    }
                }
            }
            for try await value in group { #expect(value == 42) }
        }
        #expect(count.value == 1)
    }

    @Test func outlivesItsFirstCaller() async throws {
        let flights = SingleFlight<Int, Int, RegistryError>()
        let count = Counter()
        let gate = Counter()
        let ask: @Sendable (Duration) async throws -> Int = { waits in
            try await flights.value(
                for: 1, deadline: .now + waits, workTime: .seconds(120), timeout: Self.timeout
            ) { _ async throws(RegistryError) -> Int in
                _ = count.next()
                while gate.value == 0 { try? await Task.sleep(for: .milliseconds(5)) }
                return Task.isCancelled ? -1 : 42
            }
        }
        let cancelled = Task { try await ask(.seconds(120)) }
        try await Task.sleep(for: .milliseconds(50))
        let second = Task { try await ask(.seconds(120)) }
        let hasty = Task { try await ask(.milliseconds(50)) }
        try await Task.sleep(for: .milliseconds(50))
        cancelled.cancel()
        await #expect { try await cancelled.value } throws: { ($0 as? RegistryError)?.kind == .cancelled }
        await #expect { try await hasty.value } throws: { ($0 as? RegistryError)?.kind == .timeout }
        _ = gate.next()
        #expect(try await second.value == 42)
        #expect(count.value == 1)
    }

    @Test func triesAgainWhenSomeoneElsesWorkRanOutOfTime() async throws {
        let flights = SingleFlight<Int, Int, RegistryError>()
        let count = Counter()
        let value = try await flights.value(
            for: 1, deadline: .now + .seconds(120), workTime: .seconds(1), timeout: Self.timeout
        ) { _ async throws(RegistryError) -> Int in
            guard count.next() > 1 else { throw Self.timeout }
            return 1
        }
        #expect(value == 1)
    }

    @Test func answersAtOnceWhenTheTimeIsOver() async {
        let flights = SingleFlight<Int, Int, RegistryError>()
        await #expect {
            try await flights.value(for: 1, deadline: .now - .seconds(1), workTime: .seconds(1), timeout: Self.timeout)
            {
                _ async throws(RegistryError) -> Int in 1
            }
        } throws: { ($0 as? RegistryError)?.kind == .timeout }
    }
}

/// Work that nobody cancels does itself what it is the first to ask for.
@Suite struct DetachedWorkTests {
    @Test func othersShareWhatItDoesItself() async throws {
        let flights = SingleFlight<Int, Int, RegistryError>()
        let count = Counter()
        let gate = Counter()
        let timeout = RegistryError(.timeout, host: "host", detail: "too late")
        let ask: @Sendable (Duration) async throws -> Int = { waits in
            try await flights.value(
                for: 1, deadline: .now + waits, workTime: .seconds(120), timeout: timeout
            ) { _ async throws(RegistryError) -> Int in
                _ = count.next()
                while gate.value == 0 { try? await Task.sleep(for: .milliseconds(5)) }
                return 42
            }
        }
        let first = Task.detached { try await DetachedWork.$isCurrent.withValue(true) { try await ask(.seconds(120)) } }
        while count.value == 0 { await Task.yield() }
        let second = Task { try await ask(.seconds(120)) }
        // One that has less time leaves, whoever does the work.
        await #expect { try await ask(.milliseconds(20)) } throws: { ($0 as? RegistryError)?.kind == .timeout }
        _ = gate.next()
        #expect(try await first.value == 42)
        #expect(try await second.value == 42)
        #expect(count.value == 1)
    }

    /// A child of such a task has its mark, and can be cancelled: those who wait for what it does are not.
    @Test func aCancelledChildCancelsNobodyElse() async throws {
        let flights = SingleFlight<Int, Int, RegistryError>()
        let count = Counter()
        let timeout = RegistryError(.timeout, host: "host", detail: "too late")
        let ask: @Sendable () async throws -> Int = {
            try await flights.value(
                for: 1, deadline: .now + .seconds(120), workTime: .seconds(120), timeout: timeout
            ) { _ async throws(RegistryError) -> Int in
                // The first one, until it is cancelled.
                guard count.next() == 1 else { return 42 }
                do { try await Task.sleep(for: .seconds(120)) } catch {
                    throw RegistryError(.cancelled, host: "host", detail: "the call was cancelled")
                }
                return -1
            }
        }
        try await DetachedWork.$isCurrent.withValue(true) {
            try await withThrowingTaskGroup(of: Int.self) { group in
                group.addTask { try await ask() }
                while count.value == 0 { await Task.yield() }
                let others = [
                    Task.detached { try await ask() },
                    Task.detached { try await DetachedWork.$isCurrent.withValue(true) { try await ask() } },
                ]
                // Should they come later than this, they find nothing to wait for, and are answered all the same.
                try await Task.sleep(for: .milliseconds(50))
                group.cancelAll()
                await #expect { _ = try await group.next() } throws: { ($0 as? RegistryError)?.kind == .cancelled }
                for other in others { #expect(try await other.value == 42) }
            }
        }
    }
}
