import Synchronization

/// Why somebody has left before the work was done.
@usableFromInline
package enum Departure: Hashable, Sendable {
    /// The caller's deadline has come, or the work is overdue and was not done soon.
    case deadline
    /// The caller's task was cancelled.
    case cancelled
}

/// Does the same work once for everyone who asks for it while it is being done.
///
/// The work belongs to nobody who waits: a caller that is cancelled, or whose deadline passes, leaves, and the work
/// goes on for the others and for the cache that it fills. So it must end by a limit of its own. Each caller waits
/// until its own deadline.
///
/// Other rooms have copies of it for their types, with their own work in it: that is why it is inlinable.
@usableFromInline
package final class SingleFlight<Key: Hashable & Sendable, Value: Sendable, Failure: Error>: Sendable {
    /// What is done once.
    @usableFromInline
    package typealias Work = @Sendable () async throws(Failure) -> Value

    /// What becomes of one caller's wait.
    @usableFromInline
    enum Outcome: Sendable {
        case finished(Result<Value, Failure>)
        case left(Departure)
        /// Who did the work in its own task was cancelled: ask anew.
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
            /// Those who left before they were waiting.
            @usableFromInline var departed: [Int: Departure] = [:]
            /// Whether somebody's time ended before the work did.
            @usableFromInline var isOverdue = false

            @inlinable init() {}
        }

        @usableFromInline let state: Mutex<State>

        @inlinable init() { state = Mutex(State()) }

        /// Takes a number for a caller. The end is there if the work is done already.
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

        /// - Parameter isInVain: whether the caller has waited for as long as could be asked of it.
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

    /// How long whoever asks for work that somebody has waited for in vain waits for it; `nil`: as long as anybody.
    @usableFromInline let waitAfterTimeout: Duration?

    /// No work under way.
    ///
    /// - Parameter waitAfterTimeout: how long whoever asks waits, at most, for work under way that somebody has waited
    ///   for until a deadline; `nil`: until its own. New work is always waited for until then.
    @inlinable
    package init(waitAfterTimeout: Duration? = nil) { self.waitAfterTimeout = waitAfterTimeout }

    /// How many pieces of work are under way.
    @inlinable package var count: Int { flights.withLock { $0.count } }

    /// The value for a key: of the work that is under way, or of new work.
    ///
    /// - Parameter deadline: when this caller leaves; `nil`: when the work is done.
    /// - Returns: `nil` when this caller left before the work was done, for whatever reason.
    @inlinable
    package func value(
        for key: Key, deadline: ContinuousClock.Instant?, work: @escaping Work
    ) async throws(Failure) -> Value? {
        guard case .finished(let result) = await outcome(key, deadline, inOwnTask: false, work) else { return nil }
        return try result.get()
    }

    /// The value for a key: of the work that is under way, or of new work.
    ///
    /// - Parameters:
    ///   - deadline: when this caller leaves.
    ///   - inOwnTask: whether new work is done in this caller's task, which is then cancelled with it; those who wait
    ///     for it ask anew in that case.
    ///   - failure: what this caller is told when it leaves before the work is done.
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

    /// Begins work that nobody waits for yet, unless it is under way.
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

    /// The work under way, or a new one, which is for the caller to begin.
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
        // At once, up to its first wait: the way through a queue to another thread costs more than that.
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
            // Who came with less time than that has not waited in vain: the work has hardly begun for it.
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
