import Synchronization

/// Limits how many verifications run at once, overall and for one registry. The others wait in a queue: first come,
/// first served within a registry, round robin between registries. So a slow registry holds up only its own images.
///
/// References come from strangers, and one slow registry may have any number of names. So half of all places are first
/// come, first served. Of the other half a registry that already has a thirty-second of all places gets no more while
/// others work. The last eighth is for registries that have answered fast before.
package final class ConcurrencyLimiter: Sendable {
    /// How many may run, and how many may wait.
    package struct Limits: Sendable, Equatable {
        /// Verifications under way at once.
        package var overall: Int
        /// Verifications under way at once for one registry.
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

    /// The answer to a request for a place.
    package enum Answer: Sendable, Equatable {
        case granted
        /// No place will be free in time, with the reason.
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
        /// How long a place is held, on average; `nil` before the first one was released.
        var meanTime: Duration?
    }

    private struct State {
        var limits = Limits()
        var working = 0
        var queued = 0
        var lastID: UInt64 = 0
        var hosts: [String: Host] = [:]
        /// The hosts with waiting work, the next one in turn first.
        var turns: [String] = []
        var refused: UInt64 = 0
        /// Registries that released their last place within ``ConcurrencyLimiter/soon``, and when that was.
        var prompt: [String: ContinuousClock.Instant] = [:]

        /// Whether there is a place for a registry, as far as the others are concerned.
        func hasPlace(for name: String) -> Bool {
            let own = hosts[name]?.working ?? 0
            let few = limits.overall / 32
            if few > 0, own >= few, own < working, working >= limits.overall / 2 { return false }
            return working < limits.overall - limits.overall / 8
                || (working < limits.overall && prompt[name] != nil)
        }

        /// Records how long a registry held a place.
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

    /// A registry that holds a place for less than this counts as fast.
    private static let soon = Duration.seconds(3)
    /// How many fast registries are remembered: references name any number.
    private static let mostPrompt = 512

    private let state = Mutex(State())

    /// All places free.
    package init() {}

    /// How many run and wait now, and how many were refused so far.
    package var counts: (working: Int, waiting: Int, refused: UInt64) {
        state.withLock { ($0.working, $0.queued, $0.refused) }
    }

    /// Does some work for a registry as soon as there is a place.
    ///
    /// - Parameters:
    ///   - callerDeadline: when the caller needs the result. If no place can be expected by then, the call is refused
    ///     at once.
    ///   - deadline: when the wait for a place ends.
    ///   - overloaded: makes the result of a refusal from its reason.
    ///   - work: what to do; its place is released afterwards.
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

    /// Does some work in the background, if the limiter is nearly idle: nobody waits, and less than a quarter of the
    /// places is taken, overall and for this registry. It never queues.
    ///
    /// - Returns: `nil` when the limiter is too busy.
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

    /// The answer, if there is one without waiting; `nil` to wait.
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
        // In the mean time of one, as many finish as run now.
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

    /// The next waiter that may run: the first one of the first host in turn for which there is a place.
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
