import Concurrency
import Synchronization

/// Keeps tokens, gets each once for all who need it, and again ahead of its end in the background.
///
/// Getting a token belongs to nobody who waits: a waiter whose deadline passes leaves, and the work goes on for the
/// others. Whoever leaves is told what went wrong so far, throttling for instance, rather than only that time is over.
final class TokenKeeper<Key: Hashable & Sendable>: Sendable {
    typealias Note = @Sendable (AzureError) -> Void
    typealias Work = @Sendable (ContinuousClock.Instant, @escaping Note) async throws(AzureError) -> AzureToken

    private struct Entry {
        var token: AzureToken
        var nextRenewal: ContinuousClock.Instant
    }

    private struct State {
        /// What went wrong so far in work that is under way.
        var faults: [Key: AzureError] = [:]
        /// Keys whose source asked for a pause, and until when.
        var pauses: [Key: (until: ContinuousClock.Instant, fault: AzureError)] = [:]
    }

    private let workTime: Duration
    private let entries: BoundedCache<Key, Entry>
    private let flights = SingleFlight<Key, AzureToken, AzureError>()
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
        entries = BoundedCache(maximumCost: maximumBytes, maximumEntries: maximumEntries)
        self.workTime = workTime
    }

    /// How many bytes the tokens take at most: their issuers choose the length.
    var maximumBytes: Int { entries.maximumCost }
    /// How many tokens are kept, their bytes, about, and what they were worth so far.
    var counts: CacheCounts { entries.counts }

    /// The token for a key, kept or got by `work`.
    ///
    /// - Parameter timeout: what a caller is told whose deadline passes when nothing is known to have gone wrong.
    func token(
        for key: Key, deadline: ContinuousClock.Instant, timeout: AzureError, work: @escaping Work
    ) async throws(AzureError) -> AzureToken {
        let now = ContinuousClock.now
        let pause = state.withLock { $0.pauses[key] }.flatMap { $0.until > now ? $0 : nil }
        var isDue = false
        let kept = entries.value(for: key, now: now) { entry in
            isDue = now >= entry.nextRenewal && pause == nil
            if isDue { entry.nextRenewal = now + Self.renewalPause }
            return .hit
        }
        if let kept {
            if isDue { flights.start(key, work: got(key, until: now + workTime, work)) }
            return kept.token
        }
        if let (until, fault) = pause {
            // Asking now would only prolong what the source complains about.
            guard until < deadline else { throw fault }
            try? await Task.sleep(until: until, clock: .continuous)
        }
        return try await flights.value(
            for: key, deadline: deadline,
            leavingWith: { departure in
                guard departure == .deadline else {
                    return AzureError(.cancelled, endpoint: timeout.endpoint, detail: "the caller gave up waiting")
                }
                return state.withLock { $0.faults[key] } ?? timeout
            }, work: got(key, until: max(deadline, .now + workTime), work))
    }

    /// Forgets a token, unless another one has taken its place.
    func forget(_ key: Key, value: String) {
        entries.remove(key) { Array($0.token.value.utf8) == Array(value.utf8) }
    }

    /// Work, and what is kept of its outcome.
    private func got(
        _ key: Key, until end: ContinuousClock.Instant, _ work: @escaping Work
    ) -> SingleFlight<Key, AzureToken, AzureError>.Work {
        { [self] () async throws(AzureError) -> AzureToken in
            defer { state.withLock { $0.faults[key] = nil } }
            do throws(AzureError) {
                let token = try await work(end) { [self] fault in state.withLock { $0.faults[key] = fault } }
                state.withLock { $0.pauses[key] = nil }
                entries.insert(
                    Entry(token: token, nextRenewal: token.renewal), for: key, cost: token.value.utf8.count + 512,
                    expires: token.expires)
                return token
            } catch {
                pause(key, error)
                throw error
            }
        }
    }

    /// Asks a source that has throttled no more for as long as it says.
    private func pause(_ key: Key, _ error: AzureError) {
        guard error.kind == .throttled, let wait = error.retryAfter else { return }
        let now = ContinuousClock.now
        state.withLock { state in
            state.pauses = state.pauses.filter { $0.value.until > now }
            guard state.pauses.count < entries.maximumEntries else { return }
            state.pauses[key] = (now + min(wait, Self.longestPause), error)
        }
    }
}
