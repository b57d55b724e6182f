import TestSupport
import Testing

@testable import Concurrency
@testable import HTTP

/// Bodies that wait for room share one connection with those that have some: HTTP/2, as the large registries speak it.
@Suite(.timeLimit(.minutes(2))) struct HTTP2BudgetTests {
    private static let large = 1_000_000

    private func withClient(
        _ maximumBytes: Int, _ body: (HTTPClient, ResponseBodyBudget, TLSServer) async throws -> Void
    ) async throws {
        let server = try await TLSServer.start(http2Files: ["large": Self.large, "small": 2000])
        defer { server.stop() }
        let budget = ResponseBodyBudget(maximumBytes: maximumBytes)
        var configuration = HTTPClientConfiguration(
            extraCABundle: server.authorityFile, trustsSystemStore: false, maximumConnectionsPerHost: 1,
            environment: [:])
        configuration.budget = budget
        let client = try HTTPClient(configuration: configuration)
        do { try await body(client, budget, server) } catch {
            await client.shutdown()
            throw error
        }
        await client.shutdown()
    }

    private func request(_ server: TLSServer, _ path: String) -> HTTPRequest {
        HTTPRequest(.get, server.url + path, maximumResponseBytes: 10 << 20, deadline: .now + .seconds(30))
    }

    /// Sixteen bodies over one connection, with room for three: each comes whole.
    @Test func whatWaitsDoesNotStopTheOthers() async throws {
        try await withClient(4 << 20) { client, budget, server in
            // It listens in a moment.
            #expect(try await client.send(request(server, "small")).body.count == 2000)
            let start = ContinuousClock.now
            try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<16 {
                    group.addTask { try await client.send(self.request(server, "large")).body.count }
                }
                for try await count in group { #expect(count == Self.large) }
            }
            #expect(start.duration(to: .now) < .seconds(3))
            #expect(budget.counts.largest <= 4 << 20)
        }
    }
}
