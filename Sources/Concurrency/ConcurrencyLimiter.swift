import Synchronization

/// Who may work now: so many verifications overall, so many for one registry. The others wait in a queue, in order for
/// each registry and by turns between registries, so that a slow one holds up its own images only.
///
/// References come from strangers, and one slow registry may have any number of names. So half of all places are for
/// whoever comes first; of the other half nobody who has a few, a thirty-second of all, gets another one as long as
/// others work; and the last eighth is for registries that have worked fast before.
package final class ConcurrencyLimiter: Sendable {
    /// How many work and wait.
    package struct Limits: Sendable, Equatable {
        /// Verifications under way at once.
        package var overall: Int
        /// Of these, for one registry.
        package var perRegistry: Int
        /// How many may wait.
        package var queued: Int

        /// Limits.
        package init(overall: Int = 256, perRegistry: Int = 32, queued: Int = 4096) {
            self.overall = overall
            self.perRegistry = perRegistry
            self.queued = queued
        }
    }

    /// What became of the wish for a place.
    package enum Answer: Sendable, Equatable {
        case granted
        /// There is none in time, and why.
        case overloaded(String)
    }

    private struct Waiter {
        let id: UInt64
        let continuation: CheckedContinuation<Answer, Never>
    }

    /// What is known of a registry that has work under way or waiting.
    private struct Host {
        var working = 0
        var waiting: [Waiter] = []
        /// How long a place is held, on average; `nil` before the first one was given back.
        var meanTime: Duration?
    }

    private struct State {
        var limits = Limits()
        var working = 0
        var queued = 0
        var lastID: UInt64 = 0
        var hosts: [String: Host] = [:]
        /// The hosts that have somebody waiting, whose turn it is first.
        var turns: [String] = []
        var refused: UInt64 = 0
        /// Registries that gave a place back soon when they last gave one back, and when that was.
        var prompt: [String: ContinuousClock.Instant] = [:]

        /// Whether there is a place for a registry, as far as the others are concerned.
        func hasPlace(for name: String) -> Bool {
            let own = hosts[name]?.working ?? 0
            let few = limits.overall / 32
            if few > 0, own >= few, own < working, working >= limits.overall / 2 { return false }
            return working < limits.overall - limits.overall / 8
                || (working < limits.overall && prompt[name] != nil)
        }

        /// Takes note of how long a registry held a place.
        mutating func remember(_ name: String, held: Duration) {
            guard held < ConcurrencyLimiter.soon else {
                prompt[name] = nil
                return
            }
            prompt[name] = .now
            guard prompt.count > ConcurrencyLimiter.mostPrompt else { return }
            // Half of them at once, so that this is done seldom.
            let median = prompt.values.sorted()[prompt.count / 2]
            prompt = prompt.filter { $0.value > median }
        }
    }

    /// How long a place is held at a registry that answers.
    private static let soon = Duration.seconds(3)
    /// How many registries are remembered for that: references name any number.
    private static let mostPrompt = 512

    private let state = Mutex(State())

    /// All places free.
    package init() {}

    /// How many work and wait now, and how many were turned away so far.
    package var counts: (working: Int, waiting: Int, refused: UInt64) {
        state.withLock { ($0.working, $0.queued, $0.refused) }
    }

    /// Works at a registry when there is a place.
    ///
    /// - Parameters:
    ///   - callerDeadline: when who asks needs the answer; without a chance of a place by then the answer comes at
    ///     once.
    ///   - deadline: when nobody needs it any more.
    ///   - work: what to do; its place is free afterwards.
    package func work<Value>(
        at host: String, limits: Limits, callerDeadline: ContinuousClock.Instant, deadline: ContinuousClock.Instant,
        overloaded: (String) -> Value, _ work: () async -> Value
    ) async -> Value {
        switch await acquire(host, limits, callerDeadline: callerDeadline, deadline: deadline) {
        case .overloaded(let reason): return overloaded(reason)
        case .granted:
            let start = ContinuousClock.now
            let value = await work()
            release(host, held: start.duration(to: .now))
            return value
        }
    }

    /// Works at a registry when nobody needs the place: none waits, and three of four places stay free, overall and of
    /// this registry. Others come first, so there is no queue for this.
    ///
    /// - Returns: `nil` when there is no such place now.
    package func workIfIdle<Value>(at host: String, limits: Limits, _ work: () async -> Value) async -> Value? {
        let isGranted = state.withLock { state in
            state.limits = limits
            let working = state.hosts[host]?.working ?? 0
            guard state.queued == 0, working * 4 < limits.perRegistry, state.working * 4 < limits.overall else {
                return false
            }
            state.hosts[host, default: Host()].working += 1
            state.working += 1
            return true
        }
        guard isGranted else { return nil }
        let start = ContinuousClock.now
        let value = await work()
        release(host, held: start.duration(to: .now))
        return value
    }

    private func acquire(
        _ host: String, _ limits: Limits, callerDeadline: ContinuousClock.Instant, deadline: ContinuousClock.Instant
    ) async -> Answer {
        let id = state.withLock { state in
            state.limits = limits
            state.lastID += 1
            return state.lastID
        }
        // Without a queue there is no timer to set.
        if let answer = state.withLock({ ConcurrencyLimiter.decide(host, callerDeadline, &$0) }) { return answer }
        let timer = Task { [self] in
            try? await Task.sleep(until: deadline, clock: .continuous)
            if !Task.isCancelled { leave(host, id) }
        }
        defer { timer.cancel() }
        return await withCheckedContinuation { continuation in
            // Decided once more, under the lock that also enters the queue.
            let answer = state.withLock { state -> Answer? in
                if let answer = ConcurrencyLimiter.decide(host, callerDeadline, &state) { return answer }
                state.hosts[host, default: Host()].waiting.append(Waiter(id: id, continuation: continuation))
                if !state.turns.contains(host) { state.turns.append(host) }
                state.queued += 1
                return nil
            }
            if let answer { continuation.resume(returning: answer) }
            if .now >= deadline { leave(host, id) }
        }
    }

    /// What can be said at once; `nil`: wait.
    private static func decide(
        _ name: String, _ callerDeadline: ContinuousClock.Instant, _ state: inout State
    ) -> Answer? {
        let host = state.hosts[name] ?? Host()
        let limits = state.limits
        if host.waiting.isEmpty, host.working < limits.perRegistry, state.hasPlace(for: name) {
            state.hosts[name, default: host].working += 1
            state.working += 1
            return .granted
        }
        guard state.queued < limits.queued else {
            state.refused += 1
            return .overloaded(
                "overloaded: \(state.queued) images wait already; ask again in a moment (or add replicas, or raise executor.maximumQueued)"
            )
        }
        // As many leave in the mean time as there are places.
        if let mean = host.meanTime, host.working > 0 {
            let wait = mean * Double(host.waiting.count + 1) / Double(host.working)
            if ContinuousClock.now + wait > callerDeadline {
                state.refused += 1
                return .overloaded(
                    "overloaded: \(host.waiting.count) images of this registry wait already, and one takes \(Int(mean.milliseconds)) ms; ask again in a moment"
                )
            }
        }
        return nil
    }

    private func leave(_ name: String, _ id: UInt64) {
        let waiter = state.withLock { state -> Waiter? in
            guard let index = state.hosts[name]?.waiting.firstIndex(where: { $0.id == id }) else { return nil }
            state.queued -= 1
            state.refused += 1
            let waiter = state.hosts[name]?.waiting.remove(at: index)
            if state.hosts[name]?.waiting.isEmpty == true { state.turns.removeAll { $0 == name } }
            return waiter
        }
        waiter?.continuation.resume(
            returning: .overloaded("overloaded: no place was free in time; ask again in a moment"))
    }

    private func release(_ name: String, held: Duration) {
        let next = state.withLock { state -> [Waiter] in
            state.working -= 1
            state.remember(name, held: held)
            if var host = state.hosts[name] {
                host.working -= 1
                host.meanTime = host.meanTime.map { $0 * 0.8 + held * 0.2 } ?? held
                // Forgotten when idle: hosts are as many as references name.
                state.hosts[name] = host.working == 0 && host.waiting.isEmpty ? nil : host
            }
            var granted: [Waiter] = []
            while state.working < state.limits.overall, let waiter = ConcurrencyLimiter.next(&state) {
                granted.append(waiter)
            }
            return granted
        }
        for waiter in next { waiter.continuation.resume(returning: .granted) }
    }

    /// The next one who may work: the first of the first host in turn that has a place of its own.
    private static func next(_ state: inout State) -> Waiter? {
        for (index, name) in state.turns.enumerated() {
            guard var host = state.hosts[name], host.working < state.limits.perRegistry, !host.waiting.isEmpty,
                state.hasPlace(for: name)
            else { continue }
            let waiter = host.waiting.removeFirst()
            host.working += 1
            state.working += 1
            state.queued -= 1
            state.turns.remove(at: index)
            if !host.waiting.isEmpty { state.turns.append(name) }
            state.hosts[name] = host
            return waiter
        }
        return nil
    }
}
