import Synchronization

/// A cache that keeps the most recently used entries within a bound, and counts what it was worth.
final class BoundedCache<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    /// An entry, linked to those used just before and after it. Free places are linked through `older`.
    private struct Slot {
        var key: Key?
        var value: Value?
        var cost = 0
        var expires: ContinuousClock.Instant?
        var older = Slot.none
        var newer = Slot.none

        static var none: Int32 { -1 }
    }

    private struct State {
        var places: [Key: Int32] = [:]
        var slots: [Slot] = []
        var free = Slot.none
        var newest = Slot.none
        var oldest = Slot.none
        var cost = 0
        var counts = CacheCounts()

        mutating func unlink(_ place: Int32) {
            let (older, newer) = (slots[Int(place)].older, slots[Int(place)].newer)
            if newer == Slot.none { newest = older } else { slots[Int(newer)].older = older }
            if older == Slot.none { oldest = newer } else { slots[Int(older)].newer = newer }
        }

        mutating func linkAsNewest(_ place: Int32) {
            slots[Int(place)].older = newest
            slots[Int(place)].newer = Slot.none
            if newest == Slot.none { oldest = place } else { slots[Int(newest)].newer = place }
            newest = place
        }

        mutating func remove(_ place: Int32) {
            guard let key = slots[Int(place)].key else { return }
            unlink(place)
            places[key] = nil
            cost -= slots[Int(place)].cost
            slots[Int(place)] = Slot(older: free)
            free = place
        }

        mutating func add(_ slot: Slot, for key: Key) {
            let place: Int32
            if free == Slot.none {
                place = Int32(slots.count)
                slots.append(slot)
            } else {
                place = free
                free = slots[Int(place)].older
                slots[Int(place)] = slot
            }
            places[key] = place
            cost += slot.cost
            linkAsNewest(place)
        }

        mutating func removeAll(where condition: (Slot) -> Bool) {
            for place in slots.indices where slots[place].key != nil && condition(slots[place]) {
                remove(Int32(place))
            }
            // What a burst has needed is not held for ever.
            if places.isEmpty { (places, slots, free) = ([:], [], Slot.none) }
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
            guard let place = state.places[key] else {
                state.counts.misses += 1
                return nil
            }
            if let expires = state.slots[Int(place)].expires, expires <= now {
                state.remove(place)
                state.counts.misses += 1
                return nil
            }
            if state.newest != place {
                state.unlink(place)
                state.linkAsNewest(place)
            }
            state.counts.hits += 1
            return state.slots[Int(place)].value
        }
    }

    /// Keeps a value, at the expense of those that were not used for the longest time.
    func insert(_ value: Value, for key: Key, cost: Int = 1, expires: ContinuousClock.Instant? = nil) {
        guard cost <= maximumCost else { return }
        state.withLock { state in
            if let place = state.places[key] { state.remove(place) }
            while state.cost + cost > maximumCost, state.oldest != Slot.none {
                state.remove(state.oldest)
                state.counts.evictions += 1
            }
            state.add(Slot(key: key, value: value, cost: cost, expires: expires), for: key)
        }
    }

    /// Forgets a key if its value is of a kind.
    func remove(_ key: Key, where condition: (Value) -> Bool = { _ in true }) {
        state.withLock { state in
            guard let place = state.places[key], let value = state.slots[Int(place)].value, condition(value) else {
                return
            }
            state.remove(place)
        }
    }

    /// Forgets the keys of a kind.
    func removeAll(where condition: (Key) -> Bool) {
        state.withLock { state in state.removeAll { $0.key.map(condition) ?? false } }
    }

    /// Hits, misses and what is kept now.
    var counts: CacheCounts {
        state.withLock { state in
            var counts = state.counts
            counts.entries = state.places.count
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
    /// The sum of the entries' costs: their bytes, about.
    public var cost = 0

    /// All zero.
    public init() {}
}
