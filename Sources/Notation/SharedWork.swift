import Synchronization

/// Does the same work once for everyone who asks for it while it is being done. The work belongs to nobody who waits: it
/// goes on, and fills the cache, when they have left; so it must end by a limit of its own.
final class SharedWork<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private struct State {
        var waiters: [Key: [UInt64: CheckedContinuation<Value?, Never>]] = [:]
        var lastID: UInt64 = 0
    }

    private let state = Mutex(State())

    /// The outcome of the work for a key: of the one under way, or of a new one.
    ///
    /// - Returns: `nil` when the deadline passed or the caller was cancelled first.
    func value(
        for key: Key, deadline: ContinuousClock.Instant, work: @escaping @Sendable () async -> Value
    ) async -> Value? {
        // Nobody would wait for it.
        guard .now < deadline, !Task.isCancelled else { return nil }
        let id = state.withLock { state in
            state.lastID += 1
            return state.lastID
        }
        let timer = Task.detached { [self] in
            try? await Task.sleep(until: deadline, clock: .continuous)
            if !Task.isCancelled { leave(key, id) }
        }
        defer { timer.cancel() }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<Value?, Never>) in
                let isNew = state.withLock { state in
                    let isNew = state.waiters[key] == nil
                    state.waiters[key, default: [:]][id] = continuation
                    return isNew
                }
                if isNew { Task.detached { [self] in finish(key, await work()) } }
                // What happened before the continuation was in its place found nobody to tell.
                if Task.isCancelled || .now >= deadline { leave(key, id) }
            }
        } onCancel: {
            leave(key, id)
        }
    }

    private func leave(_ key: Key, _ id: UInt64) {
        // The key stays while the work goes on, though nobody may wait any more.
        state.withLock { $0.waiters[key]?.removeValue(forKey: id) }?.resume(returning: nil)
    }

    private func finish(_ key: Key, _ value: Value) {
        let waiters = state.withLock { $0.waiters.removeValue(forKey: key) } ?? [:]
        for continuation in waiters.values { continuation.resume(returning: value) }
    }
}
