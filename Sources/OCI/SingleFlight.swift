import Synchronization

/// Whether the task is work of nobody's own, which goes on when those who wait for it have left.
///
/// What such a task is the first to ask for it does itself, in one piece with what comes next, instead of waiting for another
/// task that does it: a task and the way back from it cost more than most of what is done here.
package enum DetachedWork {
    /// Set by whoever makes such a task. Its children have it too: should one of them be cancelled, who waits for what it was
    /// doing is not told so, but asks anew.
    @TaskLocal package static var isCurrent = false
}

/// Does the same work once for everyone who asks while it is being done.
///
/// The work belongs to nobody who waits: a waiter that is cancelled, or whose deadline passes, leaves, and the work
/// goes on for the others and for the cache that it fills. It ends by a deadline of its own.
final class SingleFlight<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private typealias Outcome = Result<Value, RegistryError>

    private struct State {
        /// `nil`: who did the work was cancelled.
        var waiters: [Key: [UInt64: CheckedContinuation<Outcome?, Never>]] = [:]
        var lastID: UInt64 = 0
    }

    private let state = Mutex(State())

    /// The outcome of the work for this key: of the one that is under way, or of a new one.
    ///
    /// - Parameters:
    ///   - deadline: when this caller stops waiting, with `timeout` for its error.
    ///   - workTime: how long the work may take, if that is longer than this caller waits.
    func value(
        for key: Key, deadline: ContinuousClock.Instant, workTime: Duration,
        timeout: @escaping @Sendable @autoclosure () -> RegistryError,
        work: @escaping @Sendable (ContinuousClock.Instant) async throws(RegistryError) -> Value
    ) async throws(RegistryError) -> Value {
        var isFirstTry = true
        while true {
            guard let outcome = await join(key, deadline, workTime, timeout, work) else { continue }
            // Work that someone else began earlier may run out of time before this caller does: once more, then.
            if case .failure(let error) = outcome, error.kind == .timeout, isFirstTry, .now < deadline,
                !Task.isCancelled
            {
                isFirstTry = false
                continue
            }
            return try outcome.get()
        }
    }

    private func join(
        _ key: Key, _ deadline: ContinuousClock.Instant, _ workTime: Duration,
        _ timeout: @escaping @Sendable () -> RegistryError,
        _ work: @escaping @Sendable (ContinuousClock.Instant) async throws(RegistryError) -> Value
    ) async -> Outcome? {
        if DetachedWork.isCurrent, deadline >= .now + workTime / 2, begin(key) {
            let outcome = await Self.outcome(of: work, deadline)
            if case .failure = outcome, Task.isCancelled {
                finish(key, nil)
            } else {
                finish(key, outcome)
            }
            return outcome
        }
        let id = state.withLock { state in
            state.lastID += 1
            return state.lastID
        }
        let timer = Deadlines.shared.add(deadline) { [self] in leave(key, id, .failure(timeout())) }
        defer { Deadlines.shared.remove(timer) }
        let cancelled = { @Sendable () -> RegistryError in
            let timeout = timeout()
            return RegistryError(
                .cancelled, host: timeout.host, subject: timeout.subject, detail: "the caller gave up waiting")
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<Outcome?, Never>) in
                let isNew = state.withLock { state in
                    let isNew = state.waiters[key] == nil
                    state.waiters[key, default: [:]][id] = continuation
                    return isNew
                }
                // Whatever happened before the continuation was in place found nobody to tell.
                if Task.isCancelled { leave(key, id, .failure(cancelled())) }
                if .now >= deadline { leave(key, id, .failure(timeout())) }
                if isNew {
                    // At once, up to its first wait: the way through a queue to another thread costs more than that.
                    Task.immediate { [self] in
                        let outcome = await Self.outcome(of: work, max(deadline, .now + workTime))
                        finish(key, outcome)
                    }
                }
            }
        } onCancel: {
            leave(key, id, .failure(cancelled()))
        }
    }

    /// Whether nobody does it yet; who asks does it then.
    private func begin(_ key: Key) -> Bool {
        state.withLock { state in
            guard state.waiters[key] == nil else { return false }
            state.waiters[key] = [:]
            return true
        }
    }

    private static func outcome(
        of work: (ContinuousClock.Instant) async throws(RegistryError) -> Value, _ deadline: ContinuousClock.Instant
    ) async -> Outcome {
        do { return .success(try await work(deadline)) } catch { return .failure(error) }
    }

    private func leave(_ key: Key, _ id: UInt64, _ outcome: Outcome) {
        // The key stays while the work goes on, though nobody may wait any more.
        let continuation = state.withLock { $0.waiters[key]?.removeValue(forKey: id) }
        continuation?.resume(returning: outcome)
    }

    private func finish(_ key: Key, _ outcome: Outcome?) {
        let waiters = state.withLock { $0.waiters.removeValue(forKey: key) } ?? [:]
        for continuation in waiters.values { continuation.resume(returning: outcome) }
    }
}
