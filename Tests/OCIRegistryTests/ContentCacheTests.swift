import HTTP
import TestSupport
import Testing

@testable import OCI
@testable import OCIRegistry

/// What clients keep in common, and what strangers may make them keep.
@Suite struct ContentCacheTests {
    private func key(_ number: Int) -> ContentKey {
        ContentKey(kind: .blob, scope: "registry.example/app", digest: Digest(of: Array("\(number)".utf8)))
    }

    @Test func clientsDoNotSeeEachOthersContent() {
        let cache = ContentCache(maximumBytes: 1 << 20)
        let (mine, yours) = (cache.part(), cache.part())
        mine.insert([1, 2, 3], for: key(1))
        #expect(mine.value(for: key(1)) == [1, 2, 3])
        #expect(yours.value(for: key(1)) == nil)
        #expect(mine.counts.hits == 1 && mine.counts.misses == 0)
        #expect(yours.counts.hits == 0 && yours.counts.misses == 1)
    }

    @Test func oneBoundHoldsForAll() {
        let cache = ContentCache(maximumBytes: 64 << 10)
        let parts = (0..<4).map { _ in cache.part() }
        for number in 0..<1000 { parts[number % 4].insert([UInt8](repeating: 7, count: 500), for: key(number)) }
        #expect(cache.counts.cost <= 64 << 10)
        #expect((40...80).contains(cache.counts.entries))
        #expect(cache.counts.evictions == 1000 - cache.counts.entries)
        // Who used it last keeps it.
        #expect(parts[3].value(for: key(999)) != nil)
        #expect(parts[0].value(for: key(0)) == nil)
    }

    @Test func contentGoesWithItsClient() {
        let cache = ContentCache(maximumBytes: 1 << 20)
        let stays = cache.part()
        stays.insert([1], for: key(1))
        do {
            let goes = cache.part()
            goes.insert([2], for: key(2))
            #expect(cache.counts.entries == 2)
        }
        #expect(cache.counts.entries == 1)
        #expect(stays.value(for: key(1)) == [1])
    }

    /// Registries choose how long their challenges, tokens and annotations are.
    @Test func longAnswersCountByTheirLength() throws {
        let long = String(repeating: "a", count: 10_000)
        var descriptor = Sample.subject
        let short = descriptor.cacheCost
        descriptor.annotations = ["note": long]
        #expect(descriptor.cacheCost > short + 10_000)
        let realm = try HTTPURL(parsing: "https://tokens.example/\(long)")
        let scheme = AuthorizationScheme.bearer(
            realm: realm, service: long, scope: long, privateAddresses: .refused)
        #expect(scheme.cacheCost > 30_000)
        let question = TokenQuestion(
            endpoint: "registry.example", realm: realm, service: long, scope: long, credential: .anonymous,
            privateAddresses: .refused)
        #expect(question.cacheCost > 30_000)
    }
}
