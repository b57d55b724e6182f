import Synchronization

/// A cache with a bound that evicts the least recently used entries, and counts its hits and misses.
///
/// When it is full, what has expired goes first, then what was not used for the longest time.
///
/// It is `@inlinable` so that other modules specialise it for their types. A type that is only `package` is not inlined
/// into other modules, whatever its methods say; hence `@usableFromInline`.
@usableFromInline
package final class BoundedCache<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    /// How a lookup judges the value that it found.
    @usableFromInline
    package enum Use: Sendable {
        /// The value is returned, and counts as used.
        case hit
        /// The value is not returned, but stays for other callers.
        case miss
        /// The value is removed.
        case expired
    }

    @usableFromInline
    struct Content: Sendable {
        @usableFromInline let key: Key
        @usableFromInline var value: Value

        @inlinable
        init(key: Key, value: Value) {
            self.key = key
            self.value = value
        }

        /// Changes the value in its place.
        @inlinable
        mutating func change<Answer>(_ body: (inout Value) -> Answer) -> Answer { body(&value) }
    }

    /// An entry, linked to those used just before and after it. Free places are linked through `older`.
    @usableFromInline
    struct Slot: Sendable {
        @usableFromInline var content: Content?
        @usableFromInline var cost = 0
        @usableFromInline var expires: ContinuousClock.Instant?
        @usableFromInline var older = Slot.none
        @usableFromInline var newer = Slot.none

        @inlinable static var none: Int32 { -1 }

        @inlinable
        init(content: Content? = nil, cost: Int = 0, expires: ContinuousClock.Instant? = nil, older: Int32 = -1) {
            self.content = content
            self.cost = cost
            self.expires = expires
            self.older = older
        }

        @inlinable
        func hasExpired(_ now: ContinuousClock.Instant) -> Bool { expires.map { $0 <= now } ?? false }
    }

    @usableFromInline
    struct State: Sendable {
        @usableFromInline var maximumCost: Int
        @usableFromInline var places: [Key: Int32] = [:]
        @usableFromInline var slots: [Slot] = []
        @usableFromInline var free = Slot.none
        @usableFromInline var newest = Slot.none
        @usableFromInline var oldest = Slot.none
        @usableFromInline var cost = 0
        @usableFromInline var counts = CacheCounts()
        /// How many entries have an expiry.
        @usableFromInline var ending = 0
        /// How many entries have come since what has expired was last looked for.
        @usableFromInline var addedSinceSweep = Int.max / 2

        @inlinable init(maximumCost: Int) { self.maximumCost = maximumCost }

        @inlinable
        mutating func unlink(_ place: Int32) {
            let (older, newer) = (slots[Int(place)].older, slots[Int(place)].newer)
            if newer == Slot.none { newest = older } else { slots[Int(newer)].older = older }
            if older == Slot.none { oldest = newer } else { slots[Int(older)].newer = newer }
        }

        @inlinable
        mutating func linkAsNewest(_ place: Int32) {
            slots[Int(place)].older = newest
            slots[Int(place)].newer = Slot.none
            if newest == Slot.none { oldest = place } else { slots[Int(newest)].newer = place }
            newest = place
        }

        @inlinable
        mutating func use(_ place: Int32) {
            guard newest != place else { return }
            unlink(place)
            linkAsNewest(place)
        }

        @inlinable
        mutating func remove(_ place: Int32) {
            guard let key = slots[Int(place)].content?.key else { return }
            unlink(place)
            places[key] = nil
            cost -= slots[Int(place)].cost
            if slots[Int(place)].expires != nil { ending -= 1 }
            slots[Int(place)] = Slot(older: free)
            free = place
        }

        @inlinable
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
            if slot.expires != nil { ending += 1 }
            addedSinceSweep += 1
            linkAsNewest(place)
        }

        @inlinable
        mutating func removeAll(where condition: (Slot, Content) -> Bool) {
            for place in slots.indices {
                if let content = slots[place].content, condition(slots[place], content) { remove(Int32(place)) }
            }
            // Memory that a burst needed is not kept for ever.
            if places.isEmpty { (places, slots, free) = ([:], [], Slot.none) }
        }

        /// Makes room for one more entry with this cost.
        @inlinable
        mutating func makeRoom(for cost: Int, maximumEntries: Int, _ now: ContinuousClock.Instant) {
            func isFull(_ state: State) -> Bool {
                state.cost > state.maximumCost - cost || state.places.count > maximumEntries - 1
            }
            guard isFull(self) else { return }
            // Once an eighth of the entries is new, so that a full cache is not searched for each insertion.
            if ending > 0, addedSinceSweep > places.count / 8 {
                removeAll { slot, _ in slot.hasExpired(now) }
                addedSinceSweep = 0
            }
            while isFull(self), oldest != Slot.none {
                remove(oldest)
                counts.evictions += 1
            }
        }
    }

    /// How many entries are kept at most, whatever they cost.
    @usableFromInline package let maximumEntries: Int
    @usableFromInline let state: Mutex<State>

    /// A cache.
    ///
    /// - Parameters:
    ///   - maximumCost: the sum of the entries' costs stays within it; 0 keeps nothing.
    ///   - maximumEntries: how many there are at most, whatever they cost.
    @inlinable
    package init(maximumCost: Int, maximumEntries: Int = .max) {
        self.maximumEntries = maximumEntries
        state = Mutex(State(maximumCost: maximumCost))
    }

    /// What the sum of the entries' costs stays within. Less than before makes room at once.
    @inlinable package var maximumCost: Int {
        get { state.withLock { $0.maximumCost } }
        set {
            state.withLock { state in
                state.maximumCost = newValue
                state.makeRoom(for: 0, maximumEntries: .max, .now)
            }
        }
    }

    /// The value of a key that has not expired.
    ///
    /// - Parameters:
    ///   - countsMisses: whether a miss is counted; `false` for a caller that looks again by another method.
    ///   - judge: judges the value, and may change it. It runs under the lock: it must not call this cache.
    @inlinable
    package func value(
        for key: Key, now: ContinuousClock.Instant = .now, countsMisses: Bool = true,
        judge: (inout Value) -> Use = { _ in .hit }
    ) -> Value? {
        state.withLock { state in
            guard state.maximumCost > 0 else { return nil }
            if let place = state.places[key] {
                let use =
                    state.slots[Int(place)].hasExpired(now)
                    ? .expired : state.slots[Int(place)].content?.change(judge) ?? .expired
                switch use {
                case .hit:
                    state.use(place)
                    state.counts.hits += 1
                    return state.slots[Int(place)].content?.value
                case .miss: break
                case .expired: state.remove(place)
                }
            }
            if countsMisses { state.counts.misses += 1 }
            return nil
        }
    }

    /// The value of a key that has not expired. Neither hit nor miss is counted, and the entry's age stays as it is.
    @inlinable
    package func peek(_ key: Key, now: ContinuousClock.Instant = .now) -> Value? {
        state.withLock { state in
            guard let place = state.places[key], !state.slots[Int(place)].hasExpired(now) else { return nil }
            return state.slots[Int(place)].content?.value
        }
    }

    /// Changes the value of a key, if there is one. That does not count as a use.
    @inlinable
    package func change(_ key: Key, _ body: (inout Value) -> Void) {
        state.withLock { state in
            guard let place = state.places[key] else { return }
            state.slots[Int(place)].content?.change(body)
        }
    }

    /// Stores a value in place of the previous one, and evicts the least recently used entries to make room. The
    /// previous value goes even when the new one is too large to be stored.
    @inlinable
    package func insert(
        _ value: Value, for key: Key, cost: Int = 1, expires: ContinuousClock.Instant? = nil,
        now: @autoclosure () -> ContinuousClock.Instant = .now
    ) {
        state.withLock { state in
            if let place = state.places[key] { state.remove(place) }
            guard cost <= state.maximumCost, maximumEntries > 0 else { return }
            if state.cost > state.maximumCost - cost || state.places.count >= maximumEntries {
                state.makeRoom(for: cost, maximumEntries: maximumEntries, now())
            }
            state.add(Slot(content: Content(key: key, value: value), cost: cost, expires: expires), for: key)
        }
    }

    /// Removes a key if its value meets a condition.
    @inlinable
    package func remove(_ key: Key, where condition: (Value) -> Bool = { _ in true }) {
        state.withLock { state in
            guard let place = state.places[key], let value = state.slots[Int(place)].content?.value, condition(value)
            else { return }
            state.remove(place)
        }
    }

    /// Removes the entries that meet a condition.
    @inlinable
    package func removeAll(where condition: (Key, Value) -> Bool) {
        state.withLock { state in state.removeAll { _, content in condition(content.key, content.value) } }
    }

    /// Removes what has expired, and the values that meet a condition.
    @inlinable
    package func removeExpired(now: ContinuousClock.Instant = .now, or condition: (Value) -> Bool = { _ in false }) {
        state.withLock { state in
            state.removeAll { slot, content in slot.hasExpired(now) || condition(content.value) }
            state.addedSinceSweep = 0
        }
    }

    /// Removes the `count` least recently used entries, or all if there are fewer.
    ///
    /// - Returns: how many were removed.
    @inlinable
    package func evict(_ count: Int) -> Int {
        state.withLock { state in
            var gone = 0
            while gone < count, state.oldest != Slot.none {
                state.remove(state.oldest)
                gone += 1
            }
            state.counts.evictions += gone
            return gone
        }
    }

    /// The entries that meet a condition. That does not count as a use.
    @inlinable
    package func entries(where condition: (Value) -> Bool) -> [(key: Key, value: Value)] {
        state.withLock { state in
            state.slots.compactMap { slot in
                slot.content.flatMap { condition($0.value) ? ($0.key, $0.value) : nil }
            }
        }
    }

    /// Hits, misses and what is kept now.
    @inlinable package var counts: CacheCounts {
        state.withLock { state in
            var counts = state.counts
            counts.entries = state.places.count
            counts.cost = state.cost
            return counts
        }
    }
}
