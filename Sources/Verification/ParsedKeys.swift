import OCI
import Synchronization

/// Keys that have been parsed: the same few images are asked about again and again, and parsing one costs as much as all else
/// that an answer from memory needs.
///
/// What a key means depends on nothing but its bytes. So nothing has to go when a configuration changes; when there are
/// too many, all go.
final class ParsedKeys: Sendable {
    /// A key, and its reference as text.
    struct Parsed: Sendable {
        let key: VerificationKey
        let reference: String
    }

    private struct State {
        var keys: [ExactText: Parsed] = [:]
        var bytes = 0
        var hits = 0
        var misses = 0
        var evictions = 0
    }

    /// The bytes of the texts that are kept at most.
    static let maximumBytes = 256 << 10
    private let state = Mutex(State())

    /// How many are kept, and what they were worth so far.
    var counts: CacheCounts {
        state.withLock { state in
            var counts = CacheCounts()
            (counts.hits, counts.misses, counts.evictions) = (state.hits, state.misses, state.evictions)
            (counts.entries, counts.cost) = (state.keys.count, state.bytes)
            return counts
        }
    }

    /// The key that a text is.
    func parse(_ text: String) throws(VerificationKeyError) -> Parsed {
        let exact = ExactText(text)
        let known = state.withLock { state in
            let known = state.keys[exact]
            if known == nil { state.misses += 1 } else { state.hits += 1 }
            return known
        }
        if let known { return known }
        let key = try VerificationKey(parsing: text)
        let parsed = Parsed(key: key, reference: key.reference.description)
        // White space around a reference has no bound of its own.
        let bytes = text.utf8.count + 64
        guard bytes <= ParsedKeys.maximumBytes / 64 else { return parsed }
        state.withLock { state in
            if state.bytes + bytes > ParsedKeys.maximumBytes {
                state.evictions += state.keys.count
                (state.keys, state.bytes) = ([:], 0)
            }
            if state.keys.updateValue(parsed, forKey: exact) == nil { state.bytes += bytes }
        }
        return parsed
    }
}
