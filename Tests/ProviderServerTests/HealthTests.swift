import ProviderTestSupport
import ServiceMetrics
import TestSupport
import Testing

@testable import ProviderServer

@Suite struct HealthTests {
    @Test func healthAndReadiness() async throws {
        let provider = try await RunningProvider()
        let port = try #require(provider.ports.health)
        #expect(try await TestClient.ask(port: port, method: "GET", path: "/healthz").status == 200)
        #expect(try await TestClient.ask(port: port, method: "GET", path: "/readyz").text == "ok\n")
        #expect(try await TestClient.ask(port: port, method: "HEAD", path: "/readyz").status == 200)
        provider.service.readiness = .notReady("trust store ca:acme is not loaded")
        let reply = try await TestClient.ask(port: port, method: "GET", path: "/readyz")
        #expect(reply.status == 503)
        #expect(reply.text == "not ready: trust store ca:acme is not loaded\n")
        #expect(try await TestClient.ask(port: port, method: "GET", path: "/healthz").status == 200)
        #expect(try await TestClient.ask(port: port, method: "POST", path: "/healthz").status == 405)
        #expect(try await TestClient.ask(port: port, method: "GET", path: "/metrics").status == 404)
    }

    @Test func metricsAreOnTheirOwnAddress() async throws {
        let provider = try await RunningProvider()
        _ = try await provider.connect().verify(["signed"])
        let port = try #require(provider.ports.metrics)
        let reply = try await TestClient.ask(port: port, method: "GET", path: "/metrics")
        #expect(reply.status == 200)
        #expect(reply.headers["content-type"]?.hasPrefix("text/plain; version=0.0.4") == true)
        #expect(reply.text.contains("# TYPE ratify_verification_request histogram"))
        #expect(reply.text.contains("countersign_open_connections"))
        let elsewhere = try await TestClient.ask(
            port: provider.ports.provider, provider.gatekeeper, method: "GET", path: "/metrics")
        #expect(elsewhere.status == 404)
    }

    // MARK: Clients that stall

    /// Many connections with half a head: the oldest make room, and Kubernetes' probe is answered all the time.
    @Test(arguments: ["/readyz", "/metrics"]) func whoAsksIsAnsweredBesideManyWhoDoNot(path: String) async throws {
        let provider = try await RunningProvider {
            $0.maximumPlainConnections = 8
            $0.plainTimeout = .seconds(300)
        }
        let port = try #require(path == "/metrics" ? provider.ports.metrics : provider.ports.health)
        var stalled: [TestClient] = []
        for _ in 0..<10 {
            for _ in 0..<5 {
                stalled.append(try await TestClient.connect(port: port))
                try? await stalled.last?.send("GET \(path) HTTP/1.1\r\nHost: x\r\nX-Slow: ")
            }
            #expect(try await TestClient.ask(port: port, method: "GET", path: path).status == 200)
        }
        for client in stalled.prefix(30) { #expect(await client.isClosed(within: .seconds(60))) }
        #expect(await provider.hasMetric(#"countersign_connections_closed_total{reason="displaced"}"#))
        // The others are not the provider's: it has as many places as before.
        #expect(await provider.hasMetric(#"countersign_open_connections{state="busy"} 0"#))
    }

    @Test(arguments: ["", "GET /readyz HTTP/1.1\r\nX-Slow: "])
    func aClientThatStallsIsNotWaitedForLong(text: String) async throws {
        let provider = try await RunningProvider { $0.plainTimeout = .milliseconds(500) }
        for port in [provider.ports.health, provider.ports.metrics] {
            let client = try await TestClient.connect(port: try #require(port))
            if !text.isEmpty { try await client.send(text) }
            #expect(await client.isClosed(within: .seconds(60)))
        }
    }

    @Test func aConnectionIsKeptForWhoAsksAgain() async throws {
        let provider = try await RunningProvider { $0.plainTimeout = .seconds(300) }
        let client = try await TestClient.connect(port: try #require(provider.ports.metrics))
        for _ in 0..<3 { #expect(try await client.ask("GET", "/metrics").status == 200) }
        let reply = try await client.ask("DELETE", "/metrics")
        #expect(reply.status == 405 && reply.headers["allow"] == "GET, HEAD")
        #expect(await client.isClosed(within: .seconds(60)))
    }

    @Test func withoutAddressesThereIsNothing() async throws {
        let provider = try await RunningProvider {
            $0.healthAddress = nil
            $0.metricsAddress = nil
        }
        #expect(provider.ports.health == nil && provider.ports.metrics == nil)
    }

    @Test func aPortThatIsTakenIsNamed() async throws {
        let provider = try await RunningProvider()
        let port = provider.ports.provider
        await #expect {
            _ = try await RunningProvider { $0.address = ListenAddress(host: "127.0.0.1", port: port) }
        } throws: { error in
            "\(error)".contains("cannot serve provider on 127.0.0.1:\(port)")
        }
    }
}
