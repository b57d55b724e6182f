import Synchronization

/// Calls back when a time has come, for many who hardly ever need it: nearly every wait ends long before its deadline.
///
/// One sleeping task stands for all of them. A sleeping task for each wait costs a timer of the system, set and taken
/// back, which is more than most of what is waited for.
@usableFromInline
package final class Deadlines: Sendable {
    private struct Entry {
        let deadline: ContinuousClock.Instant
        let action: @Sendable () -> Void
    }

    private struct State {
        var entries: [UInt64: Entry] = [:]
        var lastID: UInt64 = 0
        /// When the sleeping task wakes; no deadline is before it. `nil`: nobody sleeps.
        var alarm: ContinuousClock.Instant?
    }

    /// Those of the whole process.
    @usableFromInline
    package static let shared = Deadlines()

    private let state = Mutex(State())

    /// None yet.
    package init() {}

    /// How many are waited for.
    package var count: Int { state.withLock { $0.entries.count } }

    /// Calls back at a deadline, or soon if it has passed, unless it is removed before.
    @usableFromInline
    package func add(_ deadline: ContinuousClock.Instant, _ action: @escaping @Sendable () -> Void) -> UInt64 {
        let (id, isSooner) = state.withLock { state in
            state.lastID += 1
            state.entries[state.lastID] = Entry(deadline: deadline, action: action)
            let isSooner = state.alarm.map { deadline < $0 } ?? true
            if isSooner { state.alarm = deadline }
            return (state.lastID, isSooner)
        }
        if isSooner { sleep(until: deadline) }
        return id
    }

    /// Calls back no more. What is being called at this moment is not stopped.
    @usableFromInline
    package func remove(_ id: UInt64) { state.withLock { _ = $0.entries.removeValue(forKey: id) } }

    private func sleep(until alarm: ContinuousClock.Instant) {
        Task.detached { [weak self] in
            try? await Task.sleep(until: alarm, clock: .continuous)
            self?.wake(alarm)
        }
    }

    private func wake(_ alarm: ContinuousClock.Instant) {
        let now = ContinuousClock.now
        let (due, next) = state.withLock { state -> ([Entry], ContinuousClock.Instant?) in
            // Whoever was added with a sooner deadline has an alarm, and looks after all others.
            guard state.alarm == alarm else { return ([], nil) }
            let due = state.entries.filter { $0.value.deadline <= now }
            for id in due.keys { state.entries[id] = nil }
            state.alarm = state.entries.values.lazy.map(\.deadline).min()
            return (due.values.sorted { $0.deadline < $1.deadline }, state.alarm)
        }
        for entry in due { entry.action() }
        if let next { sleep(until: next) }
    }
}
