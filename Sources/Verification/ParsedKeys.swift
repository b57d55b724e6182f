import OCI
import Synchronization

/// Keys that have been parsed: the same few images are asked about again and again, and parsing one costs as much as all else
/// that an answer from memory needs.
///
/// What a key means depends on nothing but its bytes. So nothing has to go when a configuration changes; when there are
/// too many, all go.
package final class ParsedKeys: Sendable {
    private struct State {
        var keys: [ExactText: VerificationKey] = [:]
        var bytes = 0
        var hits = 0
        var misses = 0
        var evictions = 0
    }

    /// The bytes of the texts that are kept at most.
    package static let maximumBytes = 256 << 10
    private let state = Mutex(State())

    /// Nothing parsed yet.
    package init() {}

    /// How many are kept, and what they were worth so far.
    package var counts: CacheCounts {
        state.withLock { state in
            var counts = CacheCounts()
            (counts.hits, counts.misses, counts.evictions) = (state.hits, state.misses, state.evictions)
            (counts.entries, counts.cost) = (state.keys.count, state.bytes)
            return counts
        }
    }

    /// The key of a verify request, ``VerificationKey/init(parsing:)``.
    package func key(_ text: String) throws(VerificationKeyError) -> VerificationKey {
        let exact = ExactText(text)
        let known = state.withLock { state in
            let known = state.keys[exact]
            if known == nil { state.misses += 1 } else { state.hits += 1 }
            return known
        }
        if let known { return known }
        let key = try VerificationKey(parsing: text)
        // White space around a reference has no bound of its own.
        let bytes = text.utf8.count + 64
        guard bytes <= ParsedKeys.maximumBytes / 64 else { return key }
        state.withLock { state in
            if state.bytes + bytes > ParsedKeys.maximumBytes {
                state.evictions += state.keys.count
                (state.keys, state.bytes) = ([:], 0)
            }
            if state.keys.updateValue(key, forKey: exact) == nil { state.bytes += bytes }
        }
        return key
    }

    /// The key of an image that a resource names, ``VerificationKey/init(image:namespace:)``, for the cluster's
    /// configuration.
    package func image(_ text: String) throws(VerificationKeyError) -> VerificationKey {
        let key = try key(text)
        if let namespace = key.namespace { throw .namespaced(namespace) }
        return key
    }
}
