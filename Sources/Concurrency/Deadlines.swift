import Synchronization

/// A timer for many deadlines, nearly all of which are removed before they are due.
///
/// One sleeping task serves all of them. A sleeping task for each wait would set and cancel a system timer, which costs
/// more than most of what is waited for.
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

    /// The deadlines of the whole process.
    @usableFromInline
    package static let shared = Deadlines()

    private let state = Mutex(State())

    /// None yet.
    package init() {}

    /// How many deadlines are pending.
    package var count: Int { state.withLock { $0.entries.count } }

    /// Adds a deadline: the action is called when it has passed, unless ``remove(_:)`` comes first. The action must not
    /// block: it runs in the task that serves all deadlines.
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

    /// Removes a deadline. An action that is being called at this moment is not stopped.
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
            // A sooner deadline was added meanwhile: its own alarm serves all others.
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
