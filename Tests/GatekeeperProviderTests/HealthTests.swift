import TestSupport
import Testing
import Verification

@testable import GatekeeperProvider

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
