import FoundationEssentials
import Redis

/// The cache that replicas share.
package struct SharedCacheSettings: Sendable {
    /// Where Redis is.
    package var redis: RedisConfiguration
    /// The key of the codes that prove where a decision comes from.
    package var key: [UInt8]

    /// Reads the key.
    ///
    /// - Throws: ``SharedCacheError`` when it cannot be read or is too short.
    package init(redis: RedisConfiguration, keyFile: String) throws(SharedCacheError) {
        self.redis = redis
        guard let data = try? Data(contentsOf: URL(filePath: keyFile)) else {
            throw SharedCacheError(description: "--cache-key-file: \(keyFile) cannot be read")
        }
        // A line feed at the end is an editor's, not the key's.
        key = Array(data)
        while let last = key.last, last == 0x0A || last == 0x0D { key.removeLast() }
        guard (RedisDecisions.minimumKeyBytes...4096).contains(key.count) else {
            throw SharedCacheError(
                description:
                    "--cache-key-file: \(keyFile) has \(key.count) bytes; expected \(RedisDecisions.minimumKeyBytes) to 4096, as openssl rand -hex 32 makes them"
            )
        }
    }
}

/// Why the shared cache cannot be used.
package struct SharedCacheError: Error, Sendable, CustomStringConvertible {
    /// What is wrong and what to do.
    package let description: String
}
