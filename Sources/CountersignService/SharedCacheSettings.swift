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
    /// - Throws: ``CountersignServerError`` when it cannot be read or is too short.
    package init(redis: RedisConfiguration, keyFile: String) throws(CountersignServerError) {
        self.redis = redis
        guard let data = try? Data(contentsOf: URL(filePath: keyFile)) else {
            throw CountersignServerError(description: "--cache-key-file: \(keyFile) cannot be read")
        }
        // A line feed at the end is an editor's, not the key's.
        key = Array(data)
        while let last = key.last, last == 0x0A || last == 0x0D { key.removeLast() }
        guard (RedisDecisions.minimumKeyBytes...4096).contains(key.count) else {
            throw CountersignServerError(
                description:
                    "--cache-key-file: \(keyFile) has \(key.count) bytes; expected \(RedisDecisions.minimumKeyBytes) to 4096, as openssl rand -hex 32 makes them"
            )
        }
    }
}
