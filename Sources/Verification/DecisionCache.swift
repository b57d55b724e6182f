import Concurrency
import FoundationEssentials
import OCI
import Synchronization

/// Remembers verdicts for a short time, so that a pod's retries and its replicas cost one verification.
///
/// Transient faults are never kept: only a ``Decision`` can be put in. Entries are bounded; the least recently used
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

        /// Whether it still holds.
        func holds(_ now: ContinuousClock.Instant, _ time: Date) -> Bool {
            kept.age(now, time).map { $0 < life } ?? false
        }
    }

    /// How long a decision is kept; zero keeps none.
    package let timeToLive: Duration
    private let entries: BoundedCache<Key, Entry>
    /// When expired entries are next looked for.
    private let sweep = Mutex<ContinuousClock.Instant?>(nil)

    /// How many bytes the decisions that are kept may take.
    var maximumBytes: Int { entries.maximumCost }

    /// A cache.
    ///
    /// - Parameters:
    ///   - timeToLive: how long a decision is kept, at most; zero or less keeps none.
    ///   - maximumBytes: how many bytes the decisions that are kept may take.
    package init(timeToLive: Duration, maximumBytes: Int = 8 << 20) {
        self.timeToLive = timeToLive
        entries = BoundedCache(maximumCost: maximumBytes)
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
        entries.value(for: key, now: now) { $0.holds(now, time) ? .hit : .expired }?.decision
    }

    /// The same, without counting a hit or a miss: for work that was begun because of a miss, which was counted.
    func decisionKeptMeanwhile(
        for key: Key, now: ContinuousClock.Instant = .now, time: Date = Date()
    ) -> Decision? {
        guard let entry = entries.peek(key, now: now), entry.holds(now, time) else { return nil }
        return entry.decision
    }

    /// Forgets an admission, because something newer speaks against it.
    func removeAdmission(for key: Key) { entries.remove(key) { $0.decision.isSuccess } }

    /// How much longer a decision is kept; `nil` when there is none. Neither a hit nor a miss.
    package func remainingLife(for key: Key, now: ContinuousClock.Instant = .now, time: Date = Date()) -> Duration? {
        guard let entry = entries.peek(key, now: now), entry.holds(now, time) else { return nil }
        return entry.life - entry.kept.instant.duration(to: now)
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
        // What was kept before is older, and goes even when the new one cannot stay.
        guard life > .zero else { return entries.remove(key) }
        let isDue = sweep.withLock { sweep in
            guard now >= sweep ?? now else { return false }
            sweep = now + max(timeToLive, .seconds(1))
            return true
        }
        if isDue { removeExpired(now: now, time: time) }
        entries.insert(
            Entry(decision: decision.withoutDetails, kept: KeptTime(instant: now, time: time), life: life), for: key,
            cost: DecisionCache.bytes(of: decision, key), expires: now + life, now: now)
    }

    /// Forgets what nobody can use any more.
    package func removeExpired(now: ContinuousClock.Instant = .now, time: Date = Date()) {
        entries.removeExpired(now: now) { !$0.holds(now, time) }
    }

    /// Entries, the bytes that they take, hits, misses and evictions so far.
    package var counts: CacheCounts { entries.counts }
}
