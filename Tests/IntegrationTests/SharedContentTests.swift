import Redis
import SharedCache
import StrictJSON
import TestSupport
import Testing

/// Replicas that share manifests and envelopes through a real Redis, and custom resources by which they share verdicts.
@Suite(.enabled(if: RedisServer.isInstalled, "redis-server is not installed"))
struct SharedContentTests {
    /// The same stores, but not the same configuration: content is shared, verdicts are not.
    private func configuration(_ number: Int) throws -> ConfigurationText {
        var configuration = try ConfigurationText.trustingRelease()
        configuration.verificationTimeout += number
        return configuration
    }

    /// How many manifests and blobs were fetched by digest.
    private func fetches(_ registry: FaultyRegistry) -> Int {
        registry.requests.count {
            $0.method == "GET" && ($0.path.contains("/blobs/") || $0.path.contains("/manifests/sha256:"))
        }
    }

    private func hits(_ count: Int, _ result: String = "hit") -> String {
        #"countersign_shared_content_total{result="\#(result)"} \#(count)"#
    }

    @Test func aColdReplicaFetchesNothingThatAnotherHas() async throws {
        let server = try await RedisServer()
        try await withRegistry { registry in
            let app = try Repository("\(registry.endpoint)/app")
            try await app.push("signed", signedBy: try Signers.shared.get().release)
            registry.forgetRequests()
            let shared = try server.settings()
            try await withService(try configuration(0), shared: shared) { first in
                try await first.expectConnected()
                expectAdmitted(try await first.verify(app.name("signed")))
            }
            let count = fetches(registry)
            let all = registry.requests.count
            #expect(count >= 2)
            _ = try await server.withClient { try await $0.names(of: .content, count: count) }

            registry.forgetRequests()
            try await withService(try configuration(1), shared: shared) { second in
                try await second.expectConnected()
                expectAdmitted(try await second.verify(app.name("signed")))
                #expect(fetches(registry) == 0)
                // What the tag means and which signatures there are it has asked for itself.
                #expect(registry.requests.count == all - count)
                #expect(try await second.hasMetric(hits(count)))
            }
            // Another store, even of the same registry, is not given what this one was let see.
            var other = try configuration(2)
            other.stores = [["name": "oras", "cacheEnabled": true]]
            registry.forgetRequests()
            try await withService(other, shared: shared) { third in
                try await third.expectConnected()
                expectAdmitted(try await third.verify(app.name("signed")))
                #expect(fetches(registry) == count)
                #expect(try await third.hasMetric(hits(count, "miss")))
            }
            // Whom the registry does not let in finds nothing.
            registry.inject(.status(403))
            try await withService(try configuration(3), shared: shared) { fourth in
                try await fourth.expectConnected()
                #expect(try await !fourth.verify(app.name("signed")).admits())
                #expect(!fourth.metrics.render().contains("countersign_shared_content_total{"))
            }
        }
    }

    @Test func whatIsNotWhatItsDigestSaysIsIgnored() async throws {
        let server = try await RedisServer()
        try await withRegistry { registry in
            let app = try Repository("\(registry.endpoint)/app")
            try await app.push("signed", signedBy: try Signers.shared.get().release)
            let shared = try server.settings()
            registry.forgetRequests()
            try await withService(try configuration(0), shared: shared) { first in
                try await first.expectConnected()
                expectAdmitted(try await first.verify(app.name("signed")))
            }
            let count = fetches(registry)
            try await server.withClient { client in
                let names = try await client.names(of: .content, count: count).sorted()
                var contents: [[UInt8]] = []
                for name in names { contents.append(try #require(try await client.get(name))) }
                // The one in the other's place; changed; longer than is ever read.
                let forgeries = [
                    Array(contents.dropFirst()) + contents.prefix(1), contents.map { $0.dropLast() + [0] },
                    contents.map { $0 + [UInt8](repeating: 0x20, count: RedisContent.maximumBytes) },
                ]
                for (number, forged) in forgeries.enumerated() {
                    for (name, content) in zip(names, forged) {
                        try await client.set(name, content, life: .seconds(60))
                    }
                    registry.forgetRequests()
                    try await withService(try configuration(1 + number), shared: shared) { service in
                        try await service.expectConnected()
                        expectAdmitted(try await service.verify(app.name("signed")))
                        #expect(fetches(registry) == count)
                        #expect(try await service.hasMetric(hits(count, "invalid")))
                        #expect(try await service.hasLogged("is not what its digest says"))
                    }
                    // What was right is there again.
                    #expect(
                        try await eventually {
                            for (name, content) in zip(names, contents) {
                                guard try await client.get(name) == content else { return false }
                            }
                            return true
                        })
                }
            }
        }
    }

    @Test func withoutRedisEverythingIsFetched() async throws {
        let server = try await RedisServer()
        try await withRegistry { registry in
            let app = try Repository("\(registry.endpoint)/app")
            try await app.push("signed", signedBy: try Signers.shared.get().release)
            try await app.push("unsigned", signedBy: nil)
            let shared = try server.settings()
            try await withService(try configuration(0), shared: shared) { first in
                try await first.expectConnected()
                expectAdmitted(try await first.verify(app.name("signed")))
            }
            try await withService(try configuration(1), shared: shared) { second in
                try await second.expectConnected()
                // First it only stops answering, then it is gone.
                server.freeze()
                registry.forgetRequests()
                expectAdmitted(try await second.verify(app.name("signed")))
                #expect(fetches(registry) >= 2)
                server.kill()
                expectDenied(try await second.verify(app.name("unsigned")))
                #expect(try await second.hasMetric("countersign_shared_cache_connected 0"))
            }
        }
    }

    // MARK: Custom resources

    @Test func replicasOfOneClusterShareWhatTheSameResourcesDecide() async throws {
        let server = try await RedisServer()
        try await withResources(services: 2, shared: try server.settings()) { cluster, app, services in
            try cluster.applyAll()
            let v1 = app.name("v1")
            func hits(_ service: ResourceService) -> Double {
                service.metric(#"countersign_shared_cache_total{result="hit"}"#) ?? 0
            }
            for service in services {
                #expect(try await service.isReady())
                #expect(try await eventually { service.metric("countersign_shared_cache_connected") == 1 })
            }
            expectAdmitted(try await services[0].verify(v1))
            try await server.withClient { client in
                _ = try await client.names(of: .decision, count: 1)
                expectAdmitted(try await services[1].verify(v1))
                #expect(hits(services[1]) == 1)
                #expect(services[1].metric("countersign_verifications_total") == nil)

                // Another specification: the verdict that is still in Redis is nobody's any more.
                cluster.applyVerifier(scopes: ["example.com/other"])
                for service in services {
                    expectDenied(try await service.verify(v1) { $0.denies() }, nil, "trust policy")
                }
                _ = try await client.names(of: .decision, count: 2)
                #expect(services.map { $0.metric("countersign_verifications_total") ?? 0 }.reduce(0, +) >= 2)

                // The former one again, and its verdict; a namespace with a verifier of its own has its own.
                cluster.applyVerifier()
                cluster.applyVerifier(scopes: ["example.com/other"], in: "team")
                for service in services {
                    expectAdmitted(try await service.verify(v1) { $0.admits() })
                    expectDenied(try await service.verify("[team]\(v1)") { $0.denies() })
                    expectAdmitted(try await service.verify(v1))
                }
                #expect(hits(services[1]) >= 2)
            }
        }
    }
}
