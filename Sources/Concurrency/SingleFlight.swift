import Synchronization

/// Why a caller stopped waiting before the work was done.
@usableFromInline
package enum Departure: Hashable, Sendable {
    /// The caller's deadline passed, or the work was overdue already and did not finish within `waitAfterTimeout`.
    case deadline
    /// The caller's task was cancelled.
    case cancelled
}

/// Coalesces concurrent requests: the same work is done once for all callers that ask for it while it is being done.
///
/// No caller owns the work. A caller that is cancelled, or whose deadline passes, leaves, and the work goes on for the
/// others and for the cache that it fills. So the work must end by a limit of its own. Each caller waits until its own
/// deadline.
///
/// It is `@inlinable` so that other modules specialise it for their types and their work.
@usableFromInline
package final class SingleFlight<Key: Hashable & Sendable, Value: Sendable, Failure: Error>: Sendable {
    /// The work.
    @usableFromInline
    package typealias Work = @Sendable () async throws(Failure) -> Value

    /// How one caller's wait ends.
    @usableFromInline
    enum Outcome: Sendable {
        case finished(Result<Value, Failure>)
        case left(Departure)
        /// The caller that did the work in its own task was cancelled: ask anew.
        case abandoned
    }

    /// One piece of work under way, and who waits for it.
    @usableFromInline
    final class Flight: Sendable {
        @usableFromInline
        struct State: Sendable {
            @usableFromInline var end: Outcome?
            @usableFromInline var lastWaiter = 0
            @usableFromInline var waiters: [Int: CheckedContinuation<Outcome, Never>] = [:]
            /// The callers that left before they began to wait.
            @usableFromInline var departed: [Int: Departure] = [:]
            /// Whether a caller has waited for long enough, and in vain.
            @usableFromInline var isOverdue = false

            @inlinable init() {}
        }

        @usableFromInline let state: Mutex<State>

        @inlinable init() { state = Mutex(State()) }

        /// Takes a number for a caller. `end` is set if the work is done already.
        @inlinable
        func enter() -> (waiter: Int, isOverdue: Bool, end: Outcome?) {
            state.withLock { state in
                state.lastWaiter += 1
                return (state.lastWaiter, state.isOverdue, state.end)
            }
        }

        @inlinable
        func wait(_ waiter: Int) async -> Outcome {
            await withCheckedContinuation { continuation in
                // `nil`: the continuation is kept, and somebody else resumes it.
                let outcome = state.withLock { state -> Outcome? in
                    if let end = state.end { return end }
                    if let departure = state.departed.removeValue(forKey: waiter) { return .left(departure) }
                    state.waiters[waiter] = continuation
                    return nil
                }
                if let outcome { continuation.resume(returning: outcome) }
            }
        }

        /// - Parameter isInVain: whether the caller came with enough time, so that the work is overdue from now on.
        @inlinable
        func leave(_ waiter: Int, _ departure: Departure, isInVain: Bool = false) {
            let continuation = state.withLock { state in
                if isInVain { state.isOverdue = true }
                if let continuation = state.waiters.removeValue(forKey: waiter) { return Optional(continuation) }
                if state.end == nil { state.departed[waiter] = departure }
                return nil
            }
            continuation?.resume(returning: .left(departure))
        }

        @inlinable
        func land(_ end: Outcome) {
            let waiters = state.withLock { state in
                state.end = end
                state.departed = [:]
                defer { state.waiters = [:] }
                return state.waiters
            }
            for continuation in waiters.values { continuation.resume(returning: end) }
        }
    }

    @usableFromInline let flights = Mutex<[Key: Flight]>([:])

    /// How long a caller waits for work that is overdue; `nil`: until its deadline, as for any work.
    @usableFromInline let waitAfterTimeout: Duration?

    /// No work under way.
    ///
    /// - Parameter waitAfterTimeout: how long a caller waits, at most, for work under way on which another caller has
    ///   timed out; `nil`: until its own deadline. The caller that starts the work always waits until its deadline.
    @inlinable
    package init(waitAfterTimeout: Duration? = nil) { self.waitAfterTimeout = waitAfterTimeout }

    /// How many pieces of work are under way.
    @inlinable package var count: Int { flights.withLock { $0.count } }

    /// The value for a key: from the work that is under way, or from new work.
    ///
    /// - Parameter deadline: until when this caller waits; `nil`: until the work is done.
    /// - Returns: `nil` when this caller left before the work was done, for whatever reason.
    @inlinable
    package func value(
        for key: Key, deadline: ContinuousClock.Instant?, work: @escaping Work
    ) async throws(Failure) -> Value? {
        guard case .finished(let result) = await outcome(key, deadline, inOwnTask: false, work) else { return nil }
        return try result.get()
    }

    /// The value for a key: from the work that is under way, or from new work.
    ///
    /// - Parameters:
    ///   - deadline: until when this caller waits.
    ///   - inOwnTask: whether new work is done in this caller's task. It is then cancelled with that task, and the
    ///     callers that wait for it ask anew.
    ///   - failure: the error to throw when this caller leaves before the work is done.
    @inlinable
    package func value(
        for key: Key, deadline: ContinuousClock.Instant, inOwnTask: Bool = false,
        leavingWith failure: (Departure) -> Failure,
        work: @escaping Work
    ) async throws(Failure) -> Value {
        switch await outcome(key, deadline, inOwnTask: inOwnTask, work) {
        case .finished(let result): return try result.get()
        case .left(let departure): throw failure(departure)
        case .abandoned: throw failure(.cancelled)
        }
    }

    /// Starts work without waiting for it, unless it is under way.
    @inlinable
    package func start(_ key: Key, work: @escaping Work) {
        let (flight, isNew) = flight(key)
        if isNew { begin(key, flight, work) }
    }

    @inlinable
    func outcome(
        _ key: Key, _ deadline: ContinuousClock.Instant?, inOwnTask: Bool, _ work: @escaping Work
    ) async -> Outcome {
        while true {
            let isLate = deadline.map { $0 <= .now } ?? false
            let (flight, isNew) = flight(key)
            if isNew, inOwnTask {
                let result = await Self.result(of: work)
                if case .failure = result, Task.isCancelled {
                    finish(key, flight, .abandoned)
                } else {
                    finish(key, flight, .finished(result))
                }
                return .finished(result)
            }
            if isNew { begin(key, flight, work) }
            if isLate { return .left(.deadline) }
            let outcome = await wait(flight, isNew: isNew, deadline)
            if case .abandoned = outcome { continue }
            return outcome
        }
    }

    /// The flight that is under way, or a new one, whose work the caller must start.
    @inlinable
    func flight(_ key: Key) -> (Flight, isNew: Bool) {
        flights.withLock { flights in
            if let flight = flights[key] { return (flight, false) }
            let flight = Flight()
            flights[key] = flight
            return (flight, true)
        }
    }

    @inlinable
    func begin(_ key: Key, _ flight: Flight, _ work: @escaping Work) {
        // Runs here up to its first suspension: the way through a queue to another thread costs more than that.
        Task.immediate { [self] in finish(key, flight, .finished(await Self.result(of: work))) }
    }

    @inlinable
    static func result(of work: Work) async -> Result<Value, Failure> {
        do { return .success(try await work()) } catch { return .failure(error) }
    }

    @inlinable
    func finish(_ key: Key, _ flight: Flight, _ end: Outcome) {
        flights.withLock { flights in _ = flights.removeValue(forKey: key) }
        flight.land(end)
    }

    @inlinable
    func wait(_ flight: Flight, isNew: Bool, _ deadline: ContinuousClock.Instant?) async -> Outcome {
        let (waiter, isOverdue, end) = flight.enter()
        if let end { return end }
        var deadline = deadline
        var isLong = false
        if let waitAfterTimeout, let whole = deadline {
            let short = ContinuousClock.now + waitAfterTimeout
            // A caller with less time than that does not make the work overdue: it hardly waited.
            isLong = whole >= short
            if !isNew, isOverdue { deadline = min(whole, short) }
        }
        let timer = deadline.map { deadline in
            Deadlines.shared.add(deadline) { [isLong] in flight.leave(waiter, .deadline, isInVain: isLong) }
        }
        defer { if let timer { Deadlines.shared.remove(timer) } }
        return await withTaskCancellationHandler {
            await flight.wait(waiter)
        } onCancel: {
            flight.leave(waiter, .cancelled)
        }
    }
}
