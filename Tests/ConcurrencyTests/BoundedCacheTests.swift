import Testing

@testable import Concurrency

@Suite struct BoundedCacheTests {
    @Test func forgetsWhatWasNotUsedForTheLongestTime() {
        let cache = BoundedCache<Int, String>(maximumCost: 3)
        for number in 1...3 { cache.insert("\(number)", for: number) }
        #expect(cache.value(for: 1) == "1")
        cache.insert("4", for: 4)
        #expect(cache.value(for: 2) == nil)
        #expect(cache.value(for: 1) == "1")
        #expect(cache.value(for: 3) == "3")
        #expect(cache.value(for: 4) == "4")
        #expect(cache.counts.hits == 4)
        #expect(cache.counts.misses == 1)
        #expect(cache.counts.entries == 3)
    }

    @Test func staysWithinItsCost() {
        let cache = BoundedCache<Int, Int>(maximumCost: 100)
        for number in 0..<1000 { cache.insert(number, for: number % 37, cost: number % 60) }
        #expect(cache.counts.cost <= 100)
        cache.insert(1, for: 1, cost: 101)
        #expect(cache.counts.cost <= 100)
        let off = BoundedCache<Int, Int>(maximumCost: 0)
        off.insert(1, for: 1)
        #expect(off.value(for: 1) == nil)
        #expect(off.counts.misses == 0)
    }

    @Test func forgetsWhatHasExpired() {
        let cache = BoundedCache<Int, Int>(maximumCost: 10)
        let now = ContinuousClock.now
        cache.insert(1, for: 1, expires: now + .seconds(5))
        #expect(cache.value(for: 1, now: now + .seconds(4)) == 1)
        #expect(cache.value(for: 1, now: now + .seconds(5)) == nil)
        #expect(cache.counts.entries == 0)
    }

    @Test func removesOnlyWhatIsMeant() {
        let cache = BoundedCache<Int, Int>(maximumCost: 10)
        cache.insert(1, for: 1)
        cache.remove(1) { $0 == 2 }
        #expect(cache.value(for: 1) == 1)
        cache.remove(1)
        #expect(cache.value(for: 1) == nil)
    }

    @Test func placesAreUsedAgain() {
        let cache = BoundedCache<Int, Int>(maximumCost: 8)
        for round in 0..<100 {
            cache.insert(round, for: round)
            if round % 3 == 0 { cache.remove(round - 1) }
            if round % 10 == 9 { cache.removeAll { key, _ in key % 2 == 0 } }
            if round % 7 == 0 { _ = cache.value(for: round - 2) }
            #expect(cache.counts.entries <= 8)
            #expect(cache.counts.cost == cache.counts.entries)
            #expect(cache.value(for: round) == (round % 10 == 9 && round % 2 == 0 ? nil : round))
        }
        cache.removeAll { _, _ in true }
        #expect(cache.counts.entries == 0 && cache.counts.cost == 0)
        cache.insert(1, for: 1)
        #expect(cache.value(for: 1) == 1)
    }

    @Test func whatHasExpiredMakesRoomFirst() {
        let cache = BoundedCache<Int, Int>(maximumCost: 8)
        let now = ContinuousClock.now
        for number in 0..<4 { cache.insert(number, for: number) }
        for number in 4..<8 { cache.insert(number, for: number, expires: now + .seconds(1)) }
        cache.insert(8, for: 8, now: now + .seconds(1))
        #expect(cache.counts.entries == 5 && cache.counts.evictions == 0)
        #expect((0..<4).allSatisfy { cache.value(for: $0) == $0 })
        for number in 9..<20 { cache.insert(number, for: number, now: now + .seconds(2)) }
        #expect(cache.counts.entries == 8 && cache.counts.evictions == 8)
    }

    @Test func boundedInNumberToo() {
        let cache = BoundedCache<Int, Int>(maximumCost: 1000, maximumEntries: 3)
        for number in 0..<10 { cache.insert(number, for: number, cost: 10) }
        #expect(cache.counts.entries == 3 && cache.counts.cost == 30 && cache.counts.evictions == 7)
        cache.insert(10, for: 10, cost: 990)
        #expect(cache.counts.entries == 2 && cache.counts.cost == 1000)
        #expect(cache.value(for: 9) == 9 && cache.value(for: 10) == 10)
    }

    @Test func aSmallerBoundHoldsAtOnce() {
        let cache = BoundedCache<Int, Int>(maximumCost: 10)
        for number in 0..<10 { cache.insert(number, for: number) }
        cache.maximumCost = 4
        #expect(cache.counts.entries == 4 && cache.maximumCost == 4)
        #expect(cache.value(for: 5) == nil && cache.value(for: 6) == 6)
        #expect(cache.evict(3) == 3 && cache.value(for: 6) == 6)
        #expect(cache.evict(3) == 1 && cache.counts.entries == 0)
    }

    /// What is too large to be kept leaves nothing older in its place, and pushes nothing else out.
    @Test func theFormerValueGoesInAnyCase() {
        let cache = BoundedCache<Int, Int>(maximumCost: 10)
        cache.insert(1, for: 1)
        cache.insert(2, for: 2)
        cache.insert(3, for: 1, cost: 11)
        #expect(cache.value(for: 1) == nil && cache.value(for: 2) == 2)
    }

    @Test func whoAsksJudgesWhatIsKept() {
        let cache = BoundedCache<Int, Int>(maximumCost: 10)
        cache.insert(1, for: 1)
        #expect(cache.value(for: 1) { _ in .miss } == nil)
        #expect(cache.peek(1) == 1)
        cache.change(1) { $0 += 1 }
        let answer = cache.value(for: 1) { value in
            value += 1
            return .hit
        }
        #expect(answer == 3 && cache.entries { $0 == 3 }.map(\.key) == [1])
        #expect(cache.value(for: 2, countsMisses: false) == nil)
        #expect(cache.value(for: 1) { _ in .expired } == nil)
        #expect(cache.counts.hits == 1 && cache.counts.misses == 2 && cache.counts.entries == 0)
        #expect(cache.counts.evictions == 0)
    }
}
