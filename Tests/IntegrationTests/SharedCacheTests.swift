import CountersignService
import Foundation
import Logging
import OCI
import Redis
import StrictJSON
import Synchronization
import TestSupport
import Testing

/// Replicas that share verdicts through a real Redis.
@Suite(.enabled(if: RedisServer.isInstalled, "redis-server is not installed"))
struct SharedCacheTests {
    private func settings(_ server: RedisServer, key: String = "0123456789abcdef0123456789abcdef") throws
        -> SharedCacheSettings
    {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        var redis = RedisConfiguration(host: "127.0.0.1", port: server.port)
        // These machines may be busy.
        redis.timeout = .milliseconds(500)
        redis.backoff = (.milliseconds(20), .milliseconds(200))
        return try SharedCacheSettings(redis: redis, keyFile: directory.write(key + "\n", to: "key"))
    }

    private func withClient<Value>(
        _ server: RedisServer, _ body: (RedisClient) async throws -> Value
    ) async throws -> Value {
        let client = try RedisClient(
            try settings(server).redis, logger: Logger(label: "redis") { _ in SwiftLogNoOpLogHandler() })
        let running = Task { await client.run() }
        defer { running.cancel() }
        _ = try await eventually { client.isConnected }
        return try await body(client)
    }

    /// The names of the values in Redis, once there are so many.
    private func names(_ client: RedisClient, count: Int) async throws -> Set<String> {
        var names: Set<String> = []
        _ = try await eventually {
            guard case .array(let found) = try await client.send(["KEYS", "*"].map { Array($0.utf8) }) else {
                return false
            }
            names = Set(found.compactMap { $0.bytes.map { String(decoding: $0, as: UTF8.self) } })
            return names.count == count
        }
        return names
    }

    private func expectConnected(_ service: RunningService) async throws {
        #expect(try await service.hasMetric("countersign_shared_cache_connected 1"))
    }

    @Test func theSecondReplicaAsksNobody() async throws {
        let server = try await RedisServer()
        let signers = try Signers.shared.get()
        try await withRegistry { registry in
            let app = try Repository("\(registry.endpoint)/app")
            try await app.push("signed", signedBy: signers.release)
            try await app.push("unsigned", signedBy: nil)
            let configuration = try ConfigurationText.trustingRelease()
            let shared = try settings(server)
            try await withService(configuration, shared: shared) { first in
                try await expectConnected(first)
                #expect(try await first.verify(app.name("signed")).admits())
                #expect(try await !first.verify(app.name("unsigned")).admits())
            }
            _ = try await withClient(server) { try await names($0, count: 2) }
            registry.forgetRequests()
            try await withService(configuration, shared: shared) { second in
                try await expectConnected(second)
                let answer = try await second.verify(app.name("signed"))
                #expect(answer.admits())
                #expect(answer.json.text.contains("CN=release"))
                let denial = try await second.verify(app.name("unsigned"))
                #expect(!denial.admits() && denial.json.text.contains("no signature is associated with"))
                #expect(registry.requests.isEmpty)
                #expect(try await second.hasMetric(#"countersign_shared_cache_total{result="hit"} 2"#))
            }
            // Another configuration, another verdict: nothing is shared with it.
            var other = ConfigurationText.trusting(signers.strangerAuthority.certificate.pem)
            other.verificationTimeout += 1
            try await withService(other, shared: shared) { third in
                try await expectConnected(third)
                #expect(try await !third.verify(app.name("signed")).admits())
                #expect(!registry.requests.isEmpty)
            }
        }
    }

    @Test func whatAStrangerWritesIsIgnored() async throws {
        let server = try await RedisServer()
        let signers = try Signers.shared.get()
        try await withRegistry { registry in
            let app = try Repository("\(registry.endpoint)/app")
            try await app.push("signed", signedBy: signers.release)
            try await app.push("unsigned", signedBy: nil)
            let configuration = try ConfigurationText.trustingRelease()
            let shared = try settings(server)
            try await withClient(server) { client in
                var good = ""
                var bad = ""
                try await withService(configuration, shared: shared) { service in
                    try await expectConnected(service)
                    _ = try await service.verify(app.name("signed"))
                    let first = try await names(client, count: 1)
                    good = try #require(first.first)
                    _ = try await service.verify(app.name("unsigned"))
                    bad = try #require(try await names(client, count: 2).subtracting(first).first)
                }
                let admission = try #require(try await client.get(good))
                let denial = try #require(try await client.get(bad))
                /// A replica with another key, who would like to admit everything.
                var forged: [UInt8] = []
                try await withService(
                    configuration, shared: try settings(server, key: String(repeating: "x", count: 32))
                ) {
                    try await client.set(bad, [], life: .seconds(60))
                    try await expectConnected($0)
                    _ = try await $0.verify(app.name("unsigned"))
                    _ = try await eventually { try await client.get(bad)?.isEmpty == false }
                    forged = try #require(try await client.get(bad))
                }
                var turned = denial
                let place = try #require(turned.firstRange(of: Array("\"isSuccess\":false".utf8)))
                turned.replaceSubrange(place, with: Array("\"isSuccess\":true".utf8))
                var prolonged = denial
                prolonged[38] ^= 0x10
                for (what, value) in [
                    ("another image's", admission), ("another key's", forged), ("turned", turned),
                    ("prolonged", prolonged), ("cut", Array(denial.dropLast())), ("nothing", []),
                    ("garbage", [1, 2, 3]),
                    ("bare", Array(#"{"isSuccess":true}"#.utf8)),
                ] {
                    registry.forgetRequests()
                    try await withService(configuration, shared: shared) { service in
                        try await expectConnected(service)
                        try await client.set(bad, value, life: .seconds(60))
                        #expect(try await !service.verify(app.name("unsigned")).admits(), "\(what)")
                        #expect(!registry.requests.isEmpty, "\(what)")
                        #expect(
                            try await service.hasMetric(#"countersign_shared_cache_total{result="invalid"} 1"#),
                            "\(what)")
                        #expect(try await service.hasLogged("was not made by a replica with this key"), "\(what)")
                    }
                }
            }
        }
    }

    @Test func passingFaultsAreNotShared() async throws {
        let server = try await RedisServer()
        try await withRegistry { registry in
            let app = try Repository("\(registry.endpoint)/app")
            try await app.push("signed", signedBy: try Signers.shared.get().release)
            try await withService(try .trustingRelease(), shared: try settings(server)) { service in
                try await expectConnected(service)
                registry.inject(.status(503))
                #expect(try await service.verify(app.name("signed")).systemError != nil)
                registry.clearFaults()
                #expect(try await service.verify(app.name("signed"), until: { $0.admits() }).admits())
            }
            _ = try await withClient(server) { try await names($0, count: 1) }
        }
    }

    @Test func theLossOfRedisInTheMiddleOfALoadIsNotNoticed() async throws {
        let server = try await RedisServer()
        let signers = try Signers.shared.get()
        try await withRegistry { registry in
            let app = try Repository("\(registry.endpoint)/app")
            for number in 0..<8 { try await app.push("signed\(number)", signedBy: signers.release) }
            try await app.push("unsigned", signedBy: nil)
            // Remembered so briefly that Redis is asked again and again.
            try await withService(
                try .trustingRelease(), remembers: .milliseconds(40), shared: try settings(server)
            ) { service in
                try await expectConnected(service)
                let end = ContinuousClock.now + .seconds(2)
                let wrong = try await withThrowingTaskGroup(of: Int.self) { group in
                    for number in 0..<8 {
                        group.addTask {
                            var wrong = 0
                            while .now < end {
                                let answer = try await service.verify(app.name("signed\(number)"), app.name("unsigned"))
                                let items = answer.json["response"]?["items"]?.array ?? []
                                let verdicts = items.map { $0["value"]?["isSuccess"]?.bool }
                                if verdicts != [true, false] { wrong += 1 }
                            }
                            return wrong
                        }
                    }
                    group.addTask {
                        try await Task.sleep(for: .milliseconds(700))
                        server.kill()
                        return 0
                    }
                    return try await group.reduce(0, +)
                }
                #expect(wrong == 0)
                #expect(try await service.hasMetric("countersign_shared_cache_connected 0"))
                #expect(try await service.hasLogged("Redis is not to be had"))
            }
        }
    }

    @Test(arguments: [
        (["--cache-type", "redis"], "needs --cache-redis"),
        (["--cache-type", "redis", "--cache-redis", "localhost:6379"], "needs --cache-key-file"),
        (["--cache-type", "redis", "--cache-redis", "6379", "--cache-key-file", "KEY"], "expected HOST:PORT"),
        (["--cache-type", "redis", "--cache-redis", "localhost:6379", "--cache-key-file", "SHORT"], "5 bytes"),
        (
            ["--cache-type", "redis", "--cache-redis", "localhost:6379", "--cache-key-file", "MISSING"],
            "cannot be read"
        ),
        (
            [
                "--cache-type", "redis", "--cache-redis", "localhost:6379", "--cache-key-file", "KEY",
                "--cache-redis-ca", "MISSING",
            ],
            "no certificates can be read"
        ), (["--cache-redis", "localhost:6379"], "no meaning without --cache-type redis"),
    ])
    func wrongFlags(_ flags: [String], _ expected: String) async throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        directory.write(String(repeating: "k", count: 40), to: "KEY")
        directory.write("short", to: "SHORT")
        let config = directory.write(try ConfigurationText.trustingRelease().json.bytes, to: "config.json")
        let flags = flags.map { ["KEY", "SHORT", "MISSING"].contains($0) ? directory.path($0) : $0 }
        let outcome = try await Command.run(["serve", "-c", config, "--http", "127.0.0.1:0"] + flags)
        #expect(outcome.status == 2 && outcome.errors.contains(expected), "\(outcome)")
    }
}
