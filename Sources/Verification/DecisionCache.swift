import FoundationEssentials
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
    }

    private struct Entry {
        let decision: Decision
        let expires: ContinuousClock.Instant
        var used: UInt64
    }

    private struct State {
        var entries: [Key: Entry] = [:]
        var clock: UInt64 = 0
        var hits: UInt64 = 0
        var misses: UInt64 = 0
    }

    /// How long a decision is kept; zero keeps none.
    package let timeToLive: Duration
    private let capacity: Int
    private let state = Mutex(State())

    /// A cache.
    ///
    /// - Parameters:
    ///   - timeToLive: how long a decision is kept, at most; zero or less keeps none.
    ///   - capacity: how many decisions are kept at once.
    package init(timeToLive: Duration, capacity: Int = 10_000) {
        self.timeToLive = timeToLive
        self.capacity = max(capacity, 1)
    }

    /// The decision under a key, unless it is too old.
    package func decision(for key: Key, now: ContinuousClock.Instant = .now) -> Decision? {
        state.withLock { state in
            guard let entry = state.entries[key] else {
                state.misses += 1
                return nil
            }
            guard now < entry.expires else {
                state.entries[key] = nil
                state.misses += 1
                return nil
            }
            state.clock += 1
            state.entries[key]?.used = state.clock
            state.hits += 1
            return entry.decision
        }
    }

    /// Keeps a decision.
    ///
    /// - Parameter validFor: how long the decision can stay true (until the earliest expiry it rests on), which
    ///   shortens its life here; `nil` when nothing is known to change it.
    package func keep(
        _ decision: Decision, for key: Key, validFor: Duration? = nil, now: ContinuousClock.Instant = .now
    ) {
        let life = min(timeToLive, validFor ?? timeToLive)
        guard life > .zero else { return }
        state.withLock { state in
            state.clock += 1
            state.entries[key] = Entry(decision: decision, expires: now + life, used: state.clock)
            guard state.entries.count > capacity else { return }
            // A tenth at once, so that the scan is paid once per capacity/10 insertions.
            state.entries = state.entries.filter { now < $0.value.expires }
            guard state.entries.count > capacity else { return }
            let surplus = state.entries.count - capacity + capacity / 10
            for (key, _) in state.entries.sorted(by: { $0.value.used < $1.value.used }).prefix(surplus) {
                state.entries[key] = nil
            }
        }
    }

    /// Entries, hits and misses so far.
    package var statistics: (entries: Int, hits: UInt64, misses: UInt64) {
        state.withLock { ($0.entries.count, $0.hits, $0.misses) }
    }
}
