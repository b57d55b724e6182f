import Synchronization

/// A cache that keeps the most recently used entries within a bound, and counts what it was worth.
final class BoundedCache<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private struct Entry {
        var value: Value
        var cost: Int
        var expires: ContinuousClock.Instant?
        var older: Key?
        var newer: Key?
    }

    /// The entries, linked through their keys from the newest to the oldest use.
    private struct State {
        var entries: [Key: Entry] = [:]
        var newest: Key?
        var oldest: Key?
        var cost = 0
        var counts = CacheCounts()

        mutating func unlink(_ key: Key) {
            guard let entry = entries[key] else { return }
            if let newer = entry.newer { entries[newer]?.older = entry.older } else { newest = entry.older }
            if let older = entry.older { entries[older]?.newer = entry.newer } else { oldest = entry.newer }
        }

        mutating func linkAsNewest(_ key: Key) {
            entries[key]?.older = newest
            entries[key]?.newer = nil
            if let newest { entries[newest]?.newer = key } else { oldest = key }
            newest = key
        }

        mutating func remove(_ key: Key) {
            unlink(key)
            if let entry = entries.removeValue(forKey: key) { cost -= entry.cost }
        }
    }

    private let maximumCost: Int
    private let state = Mutex(State())

    /// - Parameter maximumCost: the sum of the entries' costs stays within it; 0 keeps nothing.
    init(maximumCost: Int) { self.maximumCost = maximumCost }

    /// The value of a key that has not expired.
    func value(for key: Key, now: ContinuousClock.Instant = .now) -> Value? {
        guard maximumCost > 0 else { return nil }
        return state.withLock { state in
            guard let entry = state.entries[key] else {
                state.counts.misses += 1
                return nil
            }
            if let expires = entry.expires, expires <= now {
                state.remove(key)
                state.counts.misses += 1
                return nil
            }
            state.unlink(key)
            state.linkAsNewest(key)
            state.counts.hits += 1
            return entry.value
        }
    }

    /// Keeps a value, at the expense of those that were not used for the longest time.
    func insert(_ value: Value, for key: Key, cost: Int = 1, expires: ContinuousClock.Instant? = nil) {
        guard cost <= maximumCost else { return }
        state.withLock { state in
            state.remove(key)
            while state.cost + cost > maximumCost, let oldest = state.oldest {
                state.remove(oldest)
                state.counts.evictions += 1
            }
            state.entries[key] = Entry(value: value, cost: cost, expires: expires)
            state.cost += cost
            state.linkAsNewest(key)
        }
    }

    /// Forgets a key if its value is of a kind.
    func remove(_ key: Key, where condition: (Value) -> Bool = { _ in true }) {
        state.withLock { state in
            if let entry = state.entries[key], condition(entry.value) { state.remove(key) }
        }
    }

    /// Hits, misses and what is kept now.
    var counts: CacheCounts {
        state.withLock { state in
            var counts = state.counts
            counts.entries = state.entries.count
            counts.cost = state.cost
            return counts
        }
    }
}

/// What a cache was worth, and what it holds.
public struct CacheCounts: Hashable, Sendable {
    /// How often the answer was there.
    public var hits = 0
    /// How often it was not.
    public var misses = 0
    /// How many entries made room for others.
    public var evictions = 0
    /// How many entries are kept.
    public var entries = 0
    /// The sum of the entries' costs: bytes, for contents.
    public var cost = 0

    /// All zero.
    public init() {}
}
