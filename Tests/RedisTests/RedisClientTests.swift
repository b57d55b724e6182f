import Foundation
import Logging
import TestSupport
import Testing

@testable import Redis

/// The client against a real server.
@Suite(.enabled(if: RedisServer.isInstalled, "redis-server is not installed"))
struct RedisClientTests {
    private func withClient<Value>(
        _ configuration: RedisConfiguration, isConnected: Bool = true, _ body: (RedisClient) async throws -> Value
    ) async throws -> Value {
        let client = try RedisClient(configuration, logger: Logger(label: "redis") { _ in SwiftLogNoOpLogHandler() })
        let running = Task { await client.run() }
        defer { running.cancel() }
        if isConnected { #expect(await eventually { client.isConnected }) }
        return try await body(client)
    }

    private func eventually(_ condition: () async -> Bool) async -> Bool {
        let end = ContinuousClock.now + .seconds(20)
        while await !condition() {
            guard ContinuousClock.now < end else { return false }
            try? await Task.sleep(for: .milliseconds(10))
        }
        return true
    }

    private func configuration(_ server: RedisServer) -> RedisConfiguration {
        var configuration = RedisConfiguration(host: "127.0.0.1", port: server.port)
        // These machines may be busy.
        configuration.timeout = .seconds(2)
        configuration.backoff = (.milliseconds(20), .milliseconds(200))
        return configuration
    }

    @Test func valuesOfAnyBytes() async throws {
        let server = try await RedisServer()
        try await withClient(configuration(server)) { client in
            let value = (0..<100_000).map { UInt8(truncatingIfNeeded: $0) }
            #expect(try await client.get("k") == nil)
            try await client.set("k", value, life: .seconds(60))
            #expect(try await client.get("k") == value)
            try await client.set("short", [1], life: .milliseconds(30))
            try await Task.sleep(for: .milliseconds(60))
            #expect(try await client.get("short") == nil)
            await #expect { try await client.send([Array("NONSENSE".utf8)]) } throws: {
                ($0 as? RedisError)?.kind == .refused
            }
        }
    }

    @Test func manyCommandsAtOnceKeepTheirReplies() async throws {
        let server = try await RedisServer()
        try await withClient(configuration(server)) { client in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<500 {
                    group.addTask {
                        let value = Array("value \(number)".utf8)
                        try await client.set("k\(number)", value, life: .seconds(60))
                        #expect(try await client.get("k\(number)") == value)
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test func passwordsAndUsers() async throws {
        var options = RedisServer.Options()
        options.password = "sesame"
        let server = try await RedisServer(options)
        var settings = configuration(server)
        settings.password = "sesame"
        try await withClient(settings) { client in
            let value = try await client.get("k")
            #expect(value == nil)
        }
        settings.password = "wrong"
        try await withClient(settings, isConnected: false) { client in
            try await Task.sleep(for: .milliseconds(300))
            await #expect {
                try await client.get("k")
            } throws: {
                "\($0)".contains("AUTH was refused") && !"\($0)".contains("wrong\"")
            }
        }
        options.user = "countersign"
        let second = try await RedisServer(options)
        settings = configuration(second)
        settings.user = "countersign"
        settings.password = "sesame"
        try await withClient(settings) { client in
            let value = try await client.get("k")
            #expect(value == nil)
        }
    }

    @Test func tlsOnlyToTheServerThatIsMeant() async throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let authority = try CertificateAuthority(name: "redis-ca")
        let identity = try authority.issue(.server("localhost"))
        var options = RedisServer.Options()
        options.tls = (identity.chainPEM, try identity.keyPEM)
        let server = try await RedisServer(options)
        var settings = configuration(server)
        settings.host = "localhost"
        settings.security = .tls(authorities: directory.write(authority.certificate.pem, to: "ca.pem"))
        try await withClient(settings) { client in
            try await client.set("k", [1], life: .seconds(10))
            #expect(try await client.get("k") == [1])
        }
        let stranger = try CertificateAuthority(name: "redis-ca")
        settings.security = .tls(authorities: directory.write(stranger.certificate.pem, to: "stranger.pem"))
        try await withClient(settings, isConnected: false) { client in
            try await Task.sleep(for: .milliseconds(300))
            #expect(!client.isConnected)
        }
        settings.security = .tls(authorities: directory.path("missing.pem"))
        #expect(throws: RedisError.self) {
            try RedisClient(settings, logger: Logger(label: "redis") { _ in SwiftLogNoOpLogHandler() })
        }
    }

    @Test func aServerThatIsGoneFailsAtOnceAndIsFoundAgain() async throws {
        let server = try await RedisServer()
        try await withClient(configuration(server)) { client in
            try await client.set("k", [1], life: .seconds(60))
            server.kill()
            #expect(await eventually { !client.isConnected })
            let start = ContinuousClock.now
            for _ in 0..<100 { await #expect(throws: RedisError.self) { try await client.get("k") } }
            #expect(.now - start < .seconds(60), "a wait for each would be 200 s")
            var options = RedisServer.Options()
            options.port = server.port
            let second = try await RedisServer(options)
            defer { second.stop() }
            #expect(await eventually { (try? await client.get("k")) == .some(nil) && client.isConnected })
        }
    }

    @Test func aServerThatHangsCostsOneWait() async throws {
        let server = try await RedisServer()
        var settings = configuration(server)
        settings.timeout = .milliseconds(200)
        settings.connectTimeout = .milliseconds(500)
        try await withClient(settings) { client in
            _ = try await client.get("k")
            server.freeze()
            await #expect { try await client.get("k") } throws: { ($0 as? RedisError)?.kind == .timeout }
            let start = ContinuousClock.now
            for _ in 0..<50 { await #expect(throws: RedisError.self) { try await client.get("k") } }
            #expect(.now - start < .seconds(8), "a wait for each would be 10 s")
            server.thaw()
            #expect(await eventually { (try? await client.get("k")) == .some(nil) && client.isConnected })
        }
    }

    @Test func aServerThatIsNoRedis() async throws {
        let server = try ScriptedServer { _ in [.reply(400)] }
        defer { server.stop() }
        var settings = RedisConfiguration(host: "127.0.0.1", port: server.port)
        settings.connectTimeout = .milliseconds(300)
        try await withClient(settings, isConnected: false) { client in
            try await Task.sleep(for: .milliseconds(400))
            #expect(!client.isConnected)
            await #expect(throws: RedisError.self) { try await client.get("k") }
        }
    }
}
