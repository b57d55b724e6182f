import ProviderTestSupport
import TestSupport
import Testing

@testable import ProviderServer

@Suite struct GracefulShutdownTests {
    @Test func whatIsInFlightIsAnswered() async throws {
        let provider = try await RunningProvider()
        let busy = try await provider.connect()
        let idle = try await provider.connect()
        _ = try await idle.verify(["signed"])
        async let reply = busy.verify(["held"])
        while provider.service.gate.waiting == 0 { try await Task.sleep(for: .milliseconds(5)) }

        await provider.shutDown()
        #expect(await idle.isClosed(within: .seconds(10)))
        await #expect(throws: (any Error).self) { try await provider.connect().verify(["signed"]) }
        provider.service.gate.open()
        #expect(try await reply.status == 200)
        try await provider.stopped()
        #expect(await busy.isClosed(within: .seconds(10)))
    }

    @Test func itDoesNotWaitForEver() async throws {
        let provider = try await RunningProvider(StubService(verificationTimeout: .seconds(120))) {
            $0.shutdownGrace = .milliseconds(300)
        }
        let client = try await provider.connect()
        let request = Task { try await client.verify(["stuck"]) }
        while provider.service.keys.isEmpty { try await Task.sleep(for: .milliseconds(5)) }
        let start = ContinuousClock.now
        await provider.shutDown()
        try await provider.stopped()
        #expect(await provider.hasLogged("verdict=fault", "key=stuck"))
        #expect(ContinuousClock.now - start < .seconds(60))
        _ = try? await request.value
    }

    @Test func readinessSaysNoWhileItStillServes() async throws {
        let provider = try await RunningProvider { $0.shutdownDelay = .seconds(4) }
        let health = try #require(provider.ports.health)
        #expect(try await TestClient.ask(port: health, method: "GET", path: "/readyz").status == 200)
        await provider.shutDown()
        var reply = try await TestClient.ask(port: health, method: "GET", path: "/readyz")
        let end = ContinuousClock.now + .seconds(3)
        while reply.status == 200, ContinuousClock.now < end {
            reply = try await TestClient.ask(port: health, method: "GET", path: "/readyz")
        }
        #expect(reply.status == 503)
        #expect(reply.text.contains("the provider is stopping"))
        #expect(try await provider.connect().verify(["signed"]).status == 200)
        try await provider.stopped()
    }
}
