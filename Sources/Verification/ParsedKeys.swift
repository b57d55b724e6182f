import Concurrency

/// Keys that have been parsed: the same few images are asked about again and again, and parsing one costs as much as
/// all else that an answer from memory needs.
///
/// What a key means depends on nothing but its bytes. So nothing has to go when a configuration changes.
package final class ParsedKeys: Sendable {
    /// The bytes of the texts that are kept at most.
    package static let maximumBytes = 256 << 10
    private let keys = BoundedCache<ExactText, VerificationKey>(maximumCost: ParsedKeys.maximumBytes)

    /// Nothing parsed yet.
    package init() {}

    /// How many are kept, and what they were worth so far.
    package var counts: CacheCounts { keys.counts }

    /// The key of a verify request, ``VerificationKey/init(parsing:)``.
    package func key(_ text: String) throws(VerificationKeyError) -> VerificationKey {
        let exact = ExactText(text)
        if let known = keys.value(for: exact) { return known }
        let key = try VerificationKey(parsing: text)
        // White space around a reference has no bound of its own.
        let bytes = text.utf8.count + 64
        if bytes <= ParsedKeys.maximumBytes / 64 { keys.insert(key, for: exact, cost: bytes) }
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
