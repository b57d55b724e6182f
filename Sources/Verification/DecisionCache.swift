import FoundationEssentials
import OCI
import Synchronization

/// Remembers verdicts for a short time, so that a pod's retries and its replicas cost one verification.
///
/// Passing faults are never kept: only a ``Decision`` can be put in. Entries are bounded; the least recently used
/// goes first.
package final class DecisionCache: Sendable {
    /// What a decision depends on: a new configuration, another namespace or another reference never sees it.
    package struct Key: Hashable, Sendable {
        let generation: UInt64
        let trustGeneration: UInt64
        let namespace: String?
        let reference: String

        /// A key; both generations grow, the one with the configuration, the other with the trusted certificates.
        package init(generation: UInt64, trustGeneration: UInt64, namespace: String?, reference: String) {
            self.generation = generation
            self.trustGeneration = trustGeneration
            self.namespace = namespace
            self.reference = reference
        }

        /// The same, for an image by its digest.
        func by(_ digest: Digest, of image: ImageReference) -> Key {
            Key(
                generation: generation, trustGeneration: trustGeneration, namespace: namespace,
                reference: "\(image.scopeName)@\(digest)")
        }
    }

    private struct Entry {
        let decision: Decision
        let kept: KeptTime
        let life: Duration
        let bytes: Int
        var used: UInt64

        /// Whether it still holds.
        func holds(_ now: ContinuousClock.Instant, _ time: Date) -> Bool {
            kept.age(now, time).map { $0 < life } ?? false
        }
    }

    private struct State {
        var entries: [Key: Entry] = [:]
        var bytes = 0
        var clock: UInt64 = 0
        /// Without what is kept, which is known.
        var counts = CacheCounts()
        /// When expired entries are next looked for.
        var sweep: ContinuousClock.Instant?

        mutating func removeExpired(_ now: ContinuousClock.Instant, _ time: Date) {
            for (key, entry) in entries where !entry.holds(now, time) { remove(key) }
            // A dictionary does not shrink by itself.
            if entries.isEmpty { entries = [:] }
        }

        mutating func decision(for key: Key, _ now: ContinuousClock.Instant, _ time: Date) -> Decision? {
            guard let index = entries.index(forKey: key) else { return nil }
            guard entries.values[index].holds(now, time) else {
                remove(key)
                return nil
            }
            clock += 1
            counts.hits += 1
            entries.values[index].used = clock
            return entries.values[index].decision
        }

        mutating func remove(_ key: Key) {
            if let entry = entries.removeValue(forKey: key) { bytes -= entry.bytes }
        }
    }

    /// How long a decision is kept; zero keeps none.
    package let timeToLive: Duration
    let maximumBytes: Int
    private let state = Mutex(State())

    /// A cache.
    ///
    /// - Parameters:
    ///   - timeToLive: how long a decision is kept, at most; zero or less keeps none.
    ///   - maximumBytes: how many bytes the decisions that are kept may take.
    package init(timeToLive: Duration, maximumBytes: Int = 8 << 20) {
        self.timeToLive = timeToLive
        self.maximumBytes = maximumBytes
    }

    /// What an entry takes in memory, about: the reports as text, the same again as values of which each has a header,
    /// and what a dictionary needs.
    private static func bytes(of decision: Decision, _ key: Key) -> Int {
        512 + 4 * decision.reportsJSON.count + 2 * key.reference.utf8.count + (key.namespace?.utf8.count ?? 0)
    }

    /// The decision under a key, unless it is too old or the clock has been set since.
    package func decision(
        for key: Key, now: ContinuousClock.Instant = .now, time: Date = Date()
    ) -> Decision? {
        state.withLock { state in
            let decision = state.decision(for: key, now, time)
            if decision == nil { state.counts.misses += 1 }
            return decision
        }
    }

    /// The same for whoever asks in another way when there is none: that is not counted as a miss.
    package func decisionAtHand(
        for key: Key, now: ContinuousClock.Instant = .now, time: Date = Date()
    ) -> Decision? {
        state.withLock { $0.decision(for: key, now, time) }
    }

    /// The same for work that was begun because there was none: neither a hit nor a miss, for the question was counted.
    func decisionKeptMeanwhile(
        for key: Key, now: ContinuousClock.Instant = .now, time: Date = Date()
    ) -> Decision? {
        state.withLock { state in
            guard let entry = state.entries[key], entry.holds(now, time) else { return nil }
            return entry.decision
        }
    }

    /// Forgets an admission, because something newer speaks against it.
    func removeAdmission(for key: Key) {
        state.withLock { state in
            if state.entries[key]?.decision.isSuccess == true { state.remove(key) }
        }
    }

    /// How much longer a decision is kept; `nil` when there is none. Neither a hit nor a miss.
    package func remainingLife(for key: Key, now: ContinuousClock.Instant = .now, time: Date = Date()) -> Duration? {
        state.withLock { state in
            guard let entry = state.entries[key], entry.holds(now, time) else { return nil }
            return entry.life - entry.kept.instant.duration(to: now)
        }
    }

    /// Keeps a decision.
    ///
    /// - Parameter validFor: how long the decision can stay true (until the earliest expiry it rests on), which
    ///   shortens its life here; `nil` when nothing is known to change it.
    package func keep(
        _ decision: Decision, for key: Key, validFor: Duration? = nil, now: ContinuousClock.Instant = .now,
        time: Date = Date()
    ) {
        let life = min(timeToLive, validFor ?? timeToLive)
        let bytes = DecisionCache.bytes(of: decision, key)
        state.withLock { state in
            // What was kept before is older, and goes even when the new one cannot stay.
            state.remove(key)
            guard life > .zero, bytes <= maximumBytes else { return }
            state.clock += 1
            if now >= state.sweep ?? now {
                state.removeExpired(now, time)
                state.sweep = now + max(timeToLive, .seconds(1))
            }
            state.entries[key] = Entry(
                decision: decision.withoutDetails, kept: KeptTime(instant: now, time: time), life: life, bytes: bytes,
                used: state.clock)
            state.bytes += bytes
            guard state.bytes > maximumBytes else { return }
            // A tenth at once, so that the scan is paid once per tenth of what fits.
            state.removeExpired(now, time)
            guard state.bytes > maximumBytes else { return }
            for (key, _) in state.entries.sorted(by: { $0.value.used < $1.value.used }) {
                guard state.bytes > maximumBytes - maximumBytes / 10 else { break }
                state.remove(key)
                state.counts.evictions += 1
            }
        }
    }

    /// Forgets what nobody can use any more.
    package func removeExpired(now: ContinuousClock.Instant = .now, time: Date = Date()) {
        state.withLock { $0.removeExpired(now, time) }
    }

    /// Entries, the bytes that they take, hits, misses and evictions so far.
    package var counts: CacheCounts {
        state.withLock { state in
            var counts = state.counts
            (counts.entries, counts.cost) = (state.entries.count, state.bytes)
            return counts
        }
    }
}
