import OCI
import Synchronization

/// Runs the same work once for all who ask for it at the same time.
///
/// The work belongs to no caller: it goes on when the caller that started it gives up, and each caller waits by its
/// own deadline. Once somebody has waited in vain until then, whoever asks afterwards need not wait as long for the same work.
package final class SingleFlight<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private final class Flight: Sendable {
        struct State {
            var value: Value?
            var nextWaiter = 0
            var waiters: [Int: CheckedContinuation<Value?, Never>] = [:]
            /// Waiters that gave up before they were registered.
            var gone: Set<Int> = []
            /// Whether somebody's time ended before the work did.
            var isOverdue = false
        }
        let state = Mutex(State())

        func newWaiter() -> Int {
            state.withLock { state in
                state.nextWaiter += 1
                return state.nextWaiter
            }
        }

        func land(_ value: Value) {
            let waiters = state.withLock { state in
                state.value = value
                defer { state.waiters = [:] }
                return Array(state.waiters.values)
            }
            for waiter in waiters { waiter.resume(returning: value) }
        }

        func wait(_ id: Int) async -> Value? {
            await withCheckedContinuation { continuation in
                // `nil` outside: the continuation is kept, and somebody else resumes it.
                let answer: Value?? = state.withLock { state in
                    if let value = state.value { return .some(value) }
                    if state.gone.remove(id) != nil { return .some(nil) }
                    state.waiters[id] = continuation
                    return nil
                }
                if let answer { continuation.resume(returning: answer) }
            }
        }

        var isOverdue: Bool { state.withLock { $0.isOverdue } }

        /// - Parameter isInVain: whether the waiter has waited for as long as could be asked of it.
        func giveUp(_ id: Int, isInVain: Bool = false) {
            let waiter = state.withLock { state in
                if isInVain { state.isOverdue = true }
                if let waiter = state.waiters.removeValue(forKey: id) { return Optional(waiter) }
                if state.value == nil { state.gone.insert(id) }
                return nil
            }
            waiter?.resume(returning: nil)
        }
    }

    private let flights = Mutex<[Key: Flight]>([:])

    /// How long whoever asks for work that somebody has waited for in vain waits for it; `nil`: as long as anybody.
    private let waitAfterTimeout: Duration?

    /// No work under way.
    ///
    /// - Parameter waitAfterTimeout: how long whoever asks waits, at most, for work under way that somebody has waited for
    ///   until a deadline; `nil`: until its own. New work is always waited for until then.
    package init(waitAfterTimeout: Duration? = nil) { self.waitAfterTimeout = waitAfterTimeout }

    /// How many pieces of work are under way.
    package var count: Int { flights.withLock { $0.count } }

    /// The value for a key: from the work under way, or from new work.
    ///
    /// - Returns: `nil` when the deadline came, or the caller's task was cancelled, before the work was done; or when the work
    ///   is overdue and was not done soon.
    package func value(
        for key: Key, deadline: ContinuousClock.Instant, work: @escaping @Sendable () async -> Value
    ) async -> Value? {
        let (flight, isNew) = flights.withLock { flights in
            if let flight = flights[key] { return (flight, false) }
            let flight = Flight()
            flights[key] = flight
            return (flight, true)
        }
        if isNew {
            // At once, up to its first wait: the way through a queue to another thread costs more than that.
            Task.immediateDetached { [self] in
                let value = await work()
                flights.withLock { flights in _ = flights.removeValue(forKey: key) }
                flight.land(value)
            }
        }
        let waiter = flight.newWaiter()
        var deadline = deadline
        var isLong = false
        if let waitAfterTimeout {
            let short = ContinuousClock.now + waitAfterTimeout
            // Who came with less time than that has not waited in vain: the work has hardly begun for it.
            isLong = deadline >= short
            if !isNew, flight.isOverdue { deadline = min(deadline, short) }
        }
        let timer = Deadlines.shared.add(deadline) { [isLong] in flight.giveUp(waiter, isInVain: isLong) }
        defer { Deadlines.shared.remove(timer) }
        return await withTaskCancellationHandler {
            await flight.wait(waiter)
        } onCancel: {
            flight.giveUp(waiter)
        }
    }
}
