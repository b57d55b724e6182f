import Logging
import NIOCore
import ProviderTestSupport
import ServiceMetrics
import TestSupport
import Testing

@testable import ProviderServer

@Suite struct OpenConnectionsTests {
    private func connections(_ maximum: Int) -> OpenConnections {
        OpenConnections(maximum: maximum, metrics: MetricsRegistry(), logger: Logger(label: "test"))
    }

    private func source(_ address: String) throws -> OpenConnections.Source {
        OpenConnections.Source(try SocketAddress(ipAddress: address, port: 1))
    }

    /// Who opens connections without end takes what is for everybody, and no more.
    @Test func theLastQuarterIsForThoseWhoHoldFew() throws {
        let (connections, greedy, modest) = (connections(80), try source("10.0.0.1"), try source("10.0.0.2"))
        for _ in 0..<60 { #expect(connections.open(greedy) == nil) }
        #expect(connections.open(greedy) == .source)
        for _ in 0..<10 { #expect(connections.open(modest) == nil) }
        #expect(connections.open(modest) == .source)
        for number in 3..<13 { #expect(connections.open(try source("10.0.0.\(number)")) == nil) }
        #expect(connections.open(try source("10.0.0.99")) == .full)
        #expect(connections.count == 80)
        connections.closed(greedy)
        #expect(connections.open(greedy) == .source)
        #expect(connections.open(try source("10.0.0.99")) == nil)
        for _ in 0..<59 { connections.closed(greedy) }
        #expect(connections.open(greedy) == nil)
    }

    @Test func oneIsAlwaysPossible() throws {
        let connections = connections(1)
        #expect(connections.open(try source("::1")) == nil)
        #expect(connections.open(try source("::1")) == .full)
        connections.closed(try source("::1"))
        #expect(connections.open(try source("::1")) == nil)
    }

    @Test func whoIsTheSame() throws {
        #expect(try source("10.0.0.1") != source("10.0.0.2"))
        #expect(try source("2001:db8::1") == source("2001:db8::2"))
        #expect(try source("2001:db8::1") != source("2001:db8:0:1::1"))
        #expect(try source("::ffff:10.0.0.1") != source("::ffff:10.0.0.2"))
        #expect(try source("::ffff:10.0.0.1") == source("::ffff:10.0.0.1"))
        #expect(OpenConnections.Source(nil) == OpenConnections.Source(nil))
    }

    /// Beyond the end a client is told at once, with nothing spent on it; who is in stays in.
    @Test func beyondTheMaximum() async throws {
        let provider = try await RunningProvider { $0.maximumConnections = 8 }
        // All of them come from one address: six, and nothing of the last quarter.
        var clients: [TestClient] = []
        for _ in 0..<6 {
            clients.append(try await provider.connect())
            _ = try await clients.last?.verify(["signed"])
        }
        for _ in 0..<3 {
            let refused = try await TestClient.connect(port: provider.ports.provider)
            #expect(await refused.isClosed(within: .seconds(60)))
        }
        await #expect(throws: (any Error).self) { try await provider.connect().verify(["signed"]) }
        #expect(await provider.hasMetric(#"countersign_connections_refused_total{reason="source"} 4"#))
        #expect(await provider.hasLogged("connection refused", "most of 8 are open", "--max-connections"))
        for client in clients { #expect(try await client.verify(["signed"]).status == 200) }
        clients.removeLast().close()
        #expect(await provider.hasMetric(#"countersign_open_connections{state="idle"} 5"#))
        #expect(try await provider.connect().verify(["signed"]).status == 200)
    }
}
