import Concurrency

/// Keys that have been parsed: the same few images are asked about again and again, and parsing one costs as much as
/// all else that an answer from memory needs.
///
/// What a key means depends on nothing but its bytes. So nothing has to go when a configuration changes.
package final class ImageKeyCache: Sendable {
    /// The bytes of the texts that are kept at most.
    package static let maximumBytes = 256 << 10
    private let keys = BoundedCache<ExactText, ImageKey>(maximumCost: ImageKeyCache.maximumBytes)

    /// Nothing parsed yet.
    package init() {}

    /// How many are kept, and what they were worth so far.
    package var counts: CacheCounts { keys.counts }

    /// The key of a verify request, ``ImageKey/init(parsing:)``.
    package func key(_ text: String) throws(ImageKeyError) -> ImageKey {
        let exact = ExactText(text)
        if let known = keys.value(for: exact) { return known }
        let key = try ImageKey(parsing: text)
        // White space around a reference has no bound of its own.
        let bytes = text.utf8.count + 64
        if bytes <= ImageKeyCache.maximumBytes / 64 { keys.insert(key, for: exact, cost: bytes) }
        return key
    }

    /// The key of an image that a resource names, ``ImageKey/init(image:namespace:)``, for the cluster's
    /// configuration.
    package func image(_ text: String) throws(ImageKeyError) -> ImageKey {
        let key = try key(text)
        if let namespace = key.namespace { throw .namespaced(namespace) }
        return key
    }
}
