import NIOCore
import ProviderTestSupport
import TestSupport
import Testing

@testable import ProviderServer

@Suite struct ConnectionTimeoutsTests {
    @Test func anIdleConnectionIsClosed() async throws {
        let provider = try await RunningProvider { $0.idleTimeout = .seconds(2) }
        let client = try await provider.connect()
        _ = try await client.verify(["signed"])
        #expect(await client.isClosed(within: .seconds(10)))
    }

    @Test func aConnectionWithRequestsStaysOpen() async throws {
        let provider = try await RunningProvider { $0.idleTimeout = .seconds(3) }
        let client = try await provider.connect()
        for _ in 0..<16 {
            _ = try await client.verify(["signed"])
            try await Task.sleep(for: .milliseconds(250))
        }
        #expect(client.channel.isActive)
    }

    @Test func aRequestThatTakesLongerThanTheIdleTimeoutIsAnswered() async throws {
        let provider = try await RunningProvider { $0.idleTimeout = .seconds(2) }
        let client = try await provider.connect()
        async let reply = client.verify(["held"])
        try await Task.sleep(for: .seconds(4))
        provider.service.gate.open()
        #expect(try await reply.status == 200)
    }

    @Test func aHandshakeHasAnEnd() async throws {
        let provider = try await RunningProvider { $0.handshakeTimeout = .milliseconds(300) }
        let client = try await TestClient.connect(port: provider.ports.provider)
        #expect(await client.isClosed(within: .seconds(10)))
        #expect(await provider.hasMetric(#"connections_closed_total{reason="handshake timeout"} 1"#))
        #expect(await provider.hasLogged("did not finish the handshake in time"))
    }

    @Test func aHeadThatTricklesHasAnEnd() async throws {
        let provider = try await RunningProvider {
            $0.headerTimeout = .milliseconds(400)
            $0.handshakeTimeout = .seconds(60)
            $0.idleTimeout = .seconds(60)
        }
        let client = try await provider.connect()
        try await client.send("POST /ratify/gatekeeper/v1/verify HTTP/1.1\r\n")
        let isClosed = await trickle("X-More: 1\r\n", to: client)
        #expect(isClosed)
        #expect(await provider.hasMetric(#"connections_closed_total{reason="head timeout"} 1"#))
    }

    @Test func aBodyThatTricklesHasAnEnd() async throws {
        let provider = try await RunningProvider {
            $0.bodyTimeout = .milliseconds(400)
            $0.handshakeTimeout = .seconds(60)
            $0.headerTimeout = .seconds(60)
            $0.idleTimeout = .seconds(60)
        }
        let client = try await provider.connect()
        try await client.send("POST /ratify/gatekeeper/v1/verify HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
        let isClosed = await trickle(" ", to: client)
        #expect(isClosed)
        #expect(await provider.hasMetric(#"connections_closed_total{reason="body timeout"} 1"#))
    }

    @Test func tooManyIdleConnectionsDisplaceTheLongestIdle() async throws {
        let provider = try await RunningProvider { $0.maximumIdleConnections = 3 }
        var clients: [TestClient] = []
        for _ in 0..<5 {
            let client = try await provider.connect()
            _ = try await client.verify(["signed"])
            clients.append(client)
        }
        #expect(await clients[0].isClosed(within: .seconds(10)))
        #expect(await clients[1].isClosed(within: .seconds(10)))
        for client in clients[2...] { #expect(try await client.verify(["signed"]).status == 200) }
        #expect(await provider.hasMetric(#"connections_closed_total{reason="displaced"} 2"#))
    }

    /// TLS says that the end is one: what a client has read before is all there was.
    @Test func aDisplacedConnectionEndsAsTLSWantsIt() async throws {
        let provider = try await RunningProvider { $0.maximumIdleConnections = 1 }
        let first = try await provider.connect()
        #expect(try await first.verify(["signed"]).status == 200)
        let second = try await provider.connect()
        #expect(try await second.verify(["signed"]).status == 200)
        #expect(await first.isClosed(within: .seconds(60)))
        await #expect {
            _ = try await first.reply()
        } throws: { error in
            if case TestClient.Failure.closed = error { true } else { false }
        }
        #expect(await provider.hasMetric(#"countersign_open_connections{state="idle"} 1"#))
    }

    /// Whatever the event loop: each listens by itself, and they end together.
    @Test func connectionsOfAllEventLoopsAreAnsweredUntilTheEnd() async throws {
        let provider = try await RunningProvider()
        var clients: [TestClient] = []
        for _ in 0..<24 { clients.append(try await provider.connect()) }
        for client in clients { #expect(try await client.verify(["signed"]).status == 200) }
        #expect(await provider.hasMetric(#"countersign_open_connections{state="idle"} 24"#))
        await provider.shutDown()
        try await provider.stopped()
        for client in clients { #expect(await client.isClosed(within: .seconds(60))) }
        await #expect(throws: (any Error).self) { _ = try await provider.connect().verify(["signed"]) }
    }

    /// A connection that is about to ask must not go for others that came after it: its call would fail.
    @Test func aBurstOfConnectionsDisplacesNoneThatHasNotAskedYet() async throws {
        let provider = try await RunningProvider { $0.maximumIdleConnections = 2 }
        var clients: [TestClient] = []
        for _ in 0..<10 { clients.append(try await provider.connect()) }
        for client in clients { #expect(try await client.verify(["signed"]).status == 200) }
    }

    @Test func connectionsWithoutARequestAreBoundedToo() async throws {
        let provider = try await RunningProvider { $0.maximumIdleConnections = 1 }
        var clients: [TestClient] = []
        for _ in 0..<(IdleConnections.freshFactor + 2) { clients.append(try await provider.connect()) }
        // Which two is not certain: their handshakes end on several threads.
        #expect(await provider.hasMetric(#"connections_closed_total{reason="displaced"} 2"#))
        #expect(
            await provider.hasMetric(#"countersign_open_connections{state="idle"} \#(IdleConnections.freshFactor)"#))
        clients.removeAll()
    }

    @Test func connectionsAreCounted() async throws {
        let provider = try await RunningProvider()
        let client = try await provider.connect()
        _ = try await client.verify(["signed"])
        #expect(await provider.hasMetric(#"countersign_open_connections{state="idle"} 1"#))
        async let reply = client.verify(["held"])
        while provider.service.gate.waiting == 0 { try await Task.sleep(for: .milliseconds(5)) }
        #expect(await provider.hasMetric(#"countersign_open_connections{state="busy"} 1"#))
        provider.service.gate.open()
        _ = try await reply
        client.close()
        #expect(await provider.hasMetric(#"countersign_open_connections{state="idle"} 0"#))
        #expect(await provider.hasMetric(#"countersign_open_connections{state="busy"} 0"#))
    }

    /// Sends a little again and again; whether the server closed the connection meanwhile.
    private func trickle(_ text: String, to client: TestClient) async -> Bool {
        for _ in 0..<200 {
            do { try await client.send(text) } catch { return true }
            if await client.isClosed(within: .milliseconds(50)) { return true }
        }
        return false
    }
}
