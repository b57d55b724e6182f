import OCI
import Synchronization

/// Keeps tokens, gets each once for all who need it, and again ahead of its end in the background.
///
/// Getting a token belongs to nobody who waits: a waiter whose deadline passes leaves, and the work goes on for the
/// others. Whoever leaves is told what went wrong so far, throttling for instance, rather than only that time is over.
final class TokenKeeper<Key: Hashable & Sendable>: Sendable {
    typealias Note = @Sendable (AzureError) -> Void
    typealias Work = @Sendable (ContinuousClock.Instant, @escaping Note) async throws(AzureError) -> AzureToken
    private typealias Outcome = Result<AzureToken, AzureError>

    private struct Entry {
        var token: AzureToken
        var lastUse: UInt64
        var nextRenewal: ContinuousClock.Instant

        /// The bytes that it takes, about.
        var bytes: Int { token.value.utf8.count + 512 }
    }

    private struct Flight {
        var waiters: [UInt64: CheckedContinuation<Outcome, Never>] = [:]
        var lastFault: AzureError?
    }

    private struct State {
        var entries: [Key: Entry] = [:]
        var flights: [Key: Flight] = [:]
        /// Keys whose source asked for a pause, and until when.
        var pauses: [Key: (until: ContinuousClock.Instant, fault: AzureError)] = [:]
        var counter: UInt64 = 0
        var bytes = 0
        var counts = CacheCounts()

        mutating func remove(_ key: Key) {
            if let entry = entries.removeValue(forKey: key) { bytes -= entry.bytes }
        }

        mutating func next() -> UInt64 {
            counter += 1
            return counter
        }
    }

    private let maximumEntries: Int
    /// How many bytes the tokens take at most: their issuers choose the length.
    let maximumBytes: Int
    private let workTime: Duration
    private let state = Mutex(State())

    /// How long after a renewal that failed the next one is tried.
    private static var renewalPause: Duration { .seconds(30) }
    /// The longest pause that a source may ask for.
    private static var longestPause: Duration { .seconds(60) }

    /// - Parameters:
    ///   - maximumEntries: how many tokens are kept.
    ///   - maximumBytes: how many bytes they take at most.
    ///   - workTime: how long getting one may go on, if that is longer than its callers wait.
    init(maximumEntries: Int, maximumBytes: Int = 2 << 20, workTime: Duration) {
        self.maximumEntries = maximumEntries
        self.maximumBytes = maximumBytes
        self.workTime = workTime
    }

    /// How many tokens are kept, their bytes, about, and what they were worth so far.
    var counts: CacheCounts {
        state.withLock { state in
            var counts = state.counts
            (counts.entries, counts.cost) = (state.entries.count, state.bytes)
            return counts
        }
    }

    /// The token for a key, kept or got by `work`.
    ///
    /// - Parameter timeout: what a caller is told whose deadline passes when nothing is known to have gone wrong.
    func token(
        for key: Key, deadline: ContinuousClock.Instant, timeout: AzureError, work: @escaping Work
    ) async throws(AzureError) -> AzureToken {
        let now = ContinuousClock.now
        let (kept, isDue, pause) = state.withLock {
            state -> (AzureToken?, Bool, (ContinuousClock.Instant, AzureError)?) in
            let pause = state.pauses[key].flatMap { $0.until > now ? ($0.until, $0.fault) : nil }
            guard var entry = state.entries[key], entry.token.expires > now else {
                state.counts.misses += 1
                return (nil, false, pause)
            }
            state.counts.hits += 1
            entry.lastUse = state.next()
            let isDue = now >= entry.nextRenewal && pause == nil && state.flights[key] == nil
            if isDue {
                entry.nextRenewal = now + Self.renewalPause
                state.flights[key] = Flight()
            }
            state.entries[key] = entry
            return (entry.token, isDue, nil)
        }
        if let kept {
            if isDue { begin(key, now + workTime, work) }
            return kept
        }
        if let (until, fault) = pause {
            // Asking now would only prolong what the source complains about.
            guard until < deadline else { throw fault }
            try? await Task.sleep(until: until, clock: .continuous)
        }
        return try await wait(key, deadline, timeout, work).get()
    }

    /// Forgets a token, unless another one has taken its place.
    func forget(_ key: Key, value: String) {
        state.withLock { state in
            if state.entries[key].map({ Array($0.token.value.utf8) == Array(value.utf8) }) == true {
                state.remove(key)
            }
        }
    }

    private func wait(
        _ key: Key, _ deadline: ContinuousClock.Instant, _ timeout: AzureError, _ work: @escaping Work
    ) async -> Outcome {
        let id = state.withLock { $0.next() }
        let timer = Task { [self] in
            try? await Task.sleep(until: deadline, clock: .continuous)
            if !Task.isCancelled { leave(key, id, timeout) }
        }
        defer { timer.cancel() }
        let cancelled = AzureError(.cancelled, endpoint: timeout.endpoint, detail: "the caller gave up waiting")
        return await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<Outcome, Never>) in
                let isNew = state.withLock { state in
                    let isNew = state.flights[key] == nil
                    state.flights[key, default: Flight()].waiters[id] = continuation
                    return isNew
                }
                if isNew { begin(key, max(deadline, .now + workTime), work) }
                // Whatever happened before the continuation was in place found nobody to tell.
                if Task.isCancelled { leave(key, id, cancelled) }
                if .now >= deadline { leave(key, id, timeout) }
            }
        } onCancel: {
            leave(key, id, cancelled)
        }
    }

    private func begin(_ key: Key, _ deadline: ContinuousClock.Instant, _ work: @escaping Work) {
        Task { [self] in
            let outcome: Outcome
            do throws(AzureError) {
                outcome = .success(
                    try await work(deadline) { [self] fault in state.withLock { $0.flights[key]?.lastFault = fault } })
            } catch { outcome = .failure(error) }
            finish(key, outcome)
        }
    }

    private func leave(_ key: Key, _ id: UInt64, _ error: AzureError) {
        let (continuation, fault) = state.withLock { state in
            (state.flights[key]?.waiters.removeValue(forKey: id), state.flights[key]?.lastFault)
        }
        continuation?.resume(returning: .failure(error.kind == .timeout ? fault ?? error : error))
    }

    private func keep(_ token: AzureToken, _ key: Key, _ state: inout State) {
        state.remove(key)
        let entry = Entry(token: token, lastUse: state.next(), nextRenewal: token.renewal)
        guard entry.bytes <= maximumBytes else { return }
        while state.entries.count >= maximumEntries || state.bytes + entry.bytes > maximumBytes,
            let oldest = state.entries.min(by: { $0.value.lastUse < $1.value.lastUse })?.key
        {
            state.remove(oldest)
            state.counts.evictions += 1
        }
        state.entries[key] = entry
        state.bytes += entry.bytes
    }

    private func finish(_ key: Key, _ outcome: Outcome) {
        let now = ContinuousClock.now
        let waiters = state.withLock { state in
            switch outcome {
            case .success(let token):
                state.pauses[key] = nil
                keep(token, key, &state)
            case .failure(let error):
                if error.kind == .throttled, let wait = error.retryAfter {
                    state.pauses = state.pauses.filter { $0.value.until > now }
                    if state.pauses.count < maximumEntries {
                        state.pauses[key] = (now + min(wait, Self.longestPause), error)
                    }
                }
            }
            return state.flights.removeValue(forKey: key)?.waiters ?? [:]
        }
        for continuation in waiters.values { continuation.resume(returning: outcome) }
    }
}
