import Concurrency
import Synchronization

/// Manifests and blobs in memory, within one bound for all the clients that are given it: however many stores a
/// configuration has, the process keeps no more.
///
/// Clients do not see what others have put in: each has its own credentials, and knowing a digest opens no repository.
package final class ContentCache: Sendable {
    private struct Key: Hashable, Sendable {
        let owner: UInt64
        let content: ContentKey
    }

    /// What one client has in the cache. It is removed when the client goes.
    final class Part: Sendable {
        private let cache: ContentCache
        private let owner: UInt64
        private let hits = Atomic<Int>(0)
        private let misses = Atomic<Int>(0)

        fileprivate init(_ cache: ContentCache, owner: UInt64) {
            self.cache = cache
            self.owner = owner
        }

        deinit { cache.entries.removeAll { [owner] key, _ in key.owner == owner } }

        /// The content of a key.
        func value(for key: ContentKey) -> [UInt8]? {
            let value = cache.entries.value(for: Key(owner: owner, content: key))
            if value == nil { misses.add(1, ordering: .relaxed) } else { hits.add(1, ordering: .relaxed) }
            return value
        }

        /// Keeps content.
        func insert(_ content: [UInt8], for key: ContentKey) {
            cache.entries.insert(
                content, for: Key(owner: owner, content: key), cost: ContentCache.cost(of: content, key))
        }

        /// The client's own hits and misses; of all clients, what is kept and what made room.
        var counts: CacheCounts {
            var counts = cache.counts
            counts.hits = hits.load(ordering: .relaxed)
            counts.misses = misses.load(ordering: .relaxed)
            return counts
        }
    }

    private let entries: BoundedCache<Key, [UInt8]>
    private let owners = Atomic<UInt64>(0)

    /// A cache of so many bytes; 0 keeps nothing.
    package init(maximumBytes: Int) { entries = BoundedCache(maximumCost: maximumBytes) }

    /// What it was worth, to all.
    package var counts: CacheCounts { entries.counts }

    /// A part for another client.
    func part() -> Part { Part(self, owner: owners.add(1, ordering: .relaxed).newValue) }

    /// The bytes, and what the key and the cache's own book-keeping take.
    private static func cost(of content: [UInt8], _ key: ContentKey) -> Int {
        content.count + key.scope.utf8.count + key.digest.hex.utf8.count + 320
    }
}
