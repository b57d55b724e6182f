import Logging
import Redis
import SharedCache
import TestSupport

extension RedisServer {
    /// How a service is told to share through this server.
    func settings(key: String = "0123456789abcdef0123456789abcdef") throws -> SharedCacheSettings {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        var redis = RedisConfiguration(host: "127.0.0.1", port: port)
        // These machines may be busy.
        redis.timeout = .milliseconds(500)
        redis.backoff = (.milliseconds(20), .milliseconds(200))
        return try SharedCacheSettings(redis: redis, keyFile: directory.write(key + "\n", to: "key"))
    }

    /// Somebody who can read and write all that is in this server.
    func withClient<Value>(_ body: (RedisClient) async throws -> Value) async throws -> Value {
        let client = try RedisClient(
            try settings().redis, logger: Logger(label: "redis") { _ in SwiftLogNoOpLogHandler() })
        let running = Task { await client.run() }
        defer { running.cancel() }
        _ = try await eventually { client.isConnected }
        return try await body(client)
    }
}

extension RedisClient {
    enum Kind: String { case decision, content }

    /// The names of the values of a kind in Redis, once there are so many.
    func names(of kind: Kind, count: Int) async throws -> Set<String> {
        var names: Set<String> = []
        _ = try await eventually {
            let pattern = "countersign:1:\(kind.rawValue):*"
            guard case .array(let found) = try await self.send(["KEYS", pattern].map { Array($0.utf8) }) else {
                return false
            }
            names = Set(found.compactMap { $0.bytes.map { String(decoding: $0, as: UTF8.self) } })
            return names.count == count
        }
        return names
    }
}

extension RunningService {
    func expectConnected() async throws {
        let isConnected = try await hasMetric("countersign_shared_cache_connected 1")
        guard isConnected else { throw RedisServer.Failure(description: "the service is not connected to Redis") }
    }
}
