import Synchronization

/// Holds tasks until it is opened.
package final class Gate: Sendable {
    private struct State {
        var isOpen = false
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    package init() {}

    /// How many tasks wait.
    package var waiting: Int { state.withLock { $0.waiters.count } }

    /// Until the gate is open.
    package func wait() async {
        await withCheckedContinuation { continuation in
            let isOpen = state.withLock { state in
                if !state.isOpen { state.waiters.append(continuation) }
                return state.isOpen
            }
            if isOpen { continuation.resume() }
        }
    }

    /// Lets everybody through, from now on.
    package func open() {
        let waiters = state.withLock { state in
            state.isOpen = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Lets the one through that has waited longest.
    package func openForOne() {
        state.withLock { $0.waiters.isEmpty ? nil : $0.waiters.removeFirst() }?.resume()
    }

    deinit { open() }
}
