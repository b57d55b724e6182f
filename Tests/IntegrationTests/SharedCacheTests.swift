import Foundation
import Logging
import OCI
import Redis
import SharedCache
import StrictJSON
import Synchronization
import TestSupport
import Testing

/// Replicas that share verdicts through a real Redis.
@Suite(.enabled(if: RedisServer.isInstalled, "redis-server is not installed"))
struct SharedCacheTests {
    @Test func theSecondReplicaAsksNobody() async throws {
        let server = try await RedisServer()
        let signers = try Signers.shared.get()
        try await withRegistry { registry in
            let app = try Repository("\(registry.endpoint)/app")
            try await app.push("signed", signedBy: signers.release)
            try await app.push("unsigned", signedBy: nil)
            let configuration = try ConfigurationText.trustingRelease()
            let shared = try server.settings()
            try await withService(configuration, shared: shared) { first in
                try await first.expectConnected()
                #expect(try await first.verify(app.name("signed")).admits())
                #expect(try await !first.verify(app.name("unsigned")).admits())
            }
            _ = try await server.withClient { try await $0.names(of: .decision, count: 2) }
            registry.forgetRequests()
            try await withService(configuration, shared: shared) { second in
                try await second.expectConnected()
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
                try await third.expectConnected()
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
            let shared = try server.settings()
            try await server.withClient { client in
                var good = ""
                var bad = ""
                try await withService(configuration, shared: shared) { service in
                    try await service.expectConnected()
                    _ = try await service.verify(app.name("signed"))
                    let first = try await client.names(of: .decision, count: 1)
                    good = try #require(first.first)
                    _ = try await service.verify(app.name("unsigned"))
                    bad = try #require(try await client.names(of: .decision, count: 2).subtracting(first).first)
                }
                let admission = try #require(try await client.get(good))
                let denial = try #require(try await client.get(bad))
                /// A replica with another key, who would like to admit everything.
                var forged: [UInt8] = []
                try await withService(
                    configuration, shared: try server.settings(key: String(repeating: "x", count: 32))
                ) {
                    try await client.set(bad, [], life: .seconds(60))
                    try await $0.expectConnected()
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
                        try await service.expectConnected()
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

    /// What another replica has denied is denied here too when the registry is down, though it was admitted here
    /// before.
    @Test func aDenialOfAnotherReplicaEndsAnEarlierAdmission() async throws {
        let server = try await RedisServer()
        try await withRegistry { registry in
            let app = try Repository("\(registry.endpoint)/app")
            let image = try await app.push("v1", signedBy: try Signers.shared.get().release)
            var configuration = try ConfigurationText.trustingRelease()
            configuration.staleIfError = "10m"
            let shared = try server.settings()
            try await withService(configuration, shared: shared) { first in
                try await first.expectConnected()
                expectAdmitted(try await first.verify(app.name(image)))
                registry.removeReferrers(of: image.digest, in: "app")
                try await withService(configuration, shared: shared) { second in
                    try await second.expectConnected()
                    expectDenied(try await second.verify(app.name("v1")), nil, "no signature")
                }
                _ = try await server.withClient { try await $0.names(of: .decision, count: 2) }
                registry.inject(.status(503))
                expectDenied(try await first.verify(app.name("v1")), nil, "no signature")
                #expect(try await first.hasMetric(#"countersign_shared_cache_total{result="hit"} 1"#))
                // The admission that was kept under the digest went with it, and nothing stands in for it.
                try await server.withClient { client in
                    for name in try await client.names(of: .decision, count: 2) {
                        try await client.set(name, [], life: .seconds(60))
                    }
                }
                expectFault(try await first.verify(app.name(image)), nil, "503")
            }
        }
    }

    /// A directory of this machine is not another machine's, however the type of its store is written.
    @Test(arguments: ["oci-layout", "OCI-Layout", "OCI-LAYOUT"])
    func verdictsOnADirectoryAreNotShared(_ type: String) async throws {
        let server = try await RedisServer()
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let mine = try Repository("r.example/app", layout: directory.path("mine"))
        try await mine.push("v1", signedBy: try Signers.shared.get().release)
        let theirs = try Repository("r.example/app", layout: directory.path("theirs"))
        try await theirs.push("v1", signedBy: nil)
        var configuration = try ConfigurationText.trustingRelease()
        configuration.stores = [["name": .string(type), "path": .string(directory.path("layout"))]]
        let shared = try server.settings()
        // Two replicas with one configuration, and a directory of that name on each machine.
        for (own, isSigned) in [("mine", true), ("theirs", false)] {
            unlink(directory.path("layout"))
            #expect(symlink(directory.path(own), directory.path("layout")) == 0)
            try await withService(configuration, shared: shared) { service in
                try await service.expectConnected()
                #expect(try await service.verify(mine.name("v1")).admits() == isSigned)
            }
        }
    }

    @Test func transientFaultsAreNotShared() async throws {
        let server = try await RedisServer()
        try await withRegistry { registry in
            let app = try Repository("\(registry.endpoint)/app")
            try await app.push("signed", signedBy: try Signers.shared.get().release)
            try await withService(try .trustingRelease(), shared: try server.settings()) { service in
                try await service.expectConnected()
                registry.inject(.status(503))
                #expect(try await service.verify(app.name("signed")).systemError != nil)
                registry.clearFaults()
                #expect(try await service.verify(app.name("signed"), until: { $0.admits() }).admits())
            }
            _ = try await server.withClient { try await $0.names(of: .decision, count: 1) }
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
                try .trustingRelease(), remembers: .milliseconds(40), shared: try server.settings()
            ) { service in
                try await service.expectConnected()
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
