import TestSupport
import Testing

@testable import Concurrency
@testable import HTTP

/// Hosts that begin bodies and do not end them.
@Suite(.timeLimit(.minutes(2))) struct StallingHostTests {
    private static let deadline = Duration.seconds(30)

    private func withClient(
        budget: ResponseBodyBudget = ResponseBodyBudget(), perHost: Int = 32, all: Int = 256,
        _ body: (HTTPClient) async throws -> Void
    ) async throws {
        var configuration = HTTPClientConfiguration(
            maximumConnectionsPerHost: perHost, maximumConnections: all, environment: [:])
        configuration.budget = budget
        let client = try HTTPClient(configuration: configuration)
        do { try await body(client) } catch {
            await client.shutdown()
            throw error
        }
        await client.shutdown()
    }

    private func eventually(_ condition: () -> Bool) async {
        for _ in 0..<2000 where !condition() { try? await Task.sleep(for: .milliseconds(10)) }
    }

    private func request(_ url: String, limit: Int = 10 << 20) -> HTTPRequest {
        HTTPRequest(.get, url, maximumResponseBytes: limit, deadline: .now + Self.deadline, retry: .none)
    }

    /// A body that is announced, comes but for its last byte, and then nothing.
    private static func stalling(_ bytes: Int) -> [ScriptedServer.Step] {
        [.bytes("HTTP/1.1 200 OK\r\nContent-Length: \(bytes)\r\n\r\n"), .zeros(bytes - 1), .wait(.seconds(40))]
    }

    @Test func whoComesTooSlowlyIsNotWaitedFor() async throws {
        let server = try ScriptedServer { request in
            request.target == "/silent"
                ? Self.stalling(1000)
                : [.bytes("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")]
                    + (0..<200).flatMap { _ in [ScriptedServer.Step.zeros(50), .wait(.milliseconds(200))] }
        }
        defer { server.stop() }
        try await withClient { client in
            for path in ["/silent", "/trickle"] {
                let start = ContinuousClock.now
                do throws(HTTPError) {
                    _ = try await client.send(request(server.url + path))
                    Issue.record("\(path) is answered")
                } catch {
                    #expect(error.kind == .tooSlow && error.isTransient, "\(error)")
                    #expect(error.description.contains("127.0.0.1:\(server.port)"))
                    #expect(error.description.contains("less than 1024 bytes a second"))
                }
                #expect(start.duration(to: .now) < .seconds(15))
            }
        }
    }

    /// Slow, and fast enough.
    @Test func whoIsOnlySlowIsWaitedFor() async throws {
        let server = try ScriptedServer { _ in
            [.bytes("HTTP/1.1 200 OK\r\nContent-Length: 32768\r\n\r\n")]
                + (0..<16).flatMap { _ in [ScriptedServer.Step.wait(.milliseconds(300)), .zeros(2048)] }
        }
        defer { server.stop() }
        try await withClient { client in
            let body = try await client.send(request(server.url)).body
            #expect(body.count == 32_768)
        }
    }

    /// One host holds what it can; another is answered at once, with a large body too.
    @Test func whoStallsGivesWay() async throws {
        let budget = ResponseBodyBudget(maximumBytes: 8 << 20)
        let bad = try ScriptedServer { _ in Self.stalling(1 << 20) }
        let good = try ScriptedServer { _ in
            [.bytes("HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n"), .zeros(3_000_000)]
        }
        defer {
            bad.stop()
            good.stop()
        }
        try await withClient(budget: budget) { client in
            try await withThrowingTaskGroup(of: HTTPError?.self) { group in
                for _ in 0..<24 {
                    group.addTask {
                        do { _ = try await client.send(self.request(bad.url)) } catch let error as HTTPError {
                            return error
                        }
                        return nil
                    }
                }
                await eventually { budget.counts.bytes > 5 << 20 }
                let start = ContinuousClock.now
                for _ in 0..<3 { #expect(try await client.send(request(good.url)).body.count == 3_000_000) }
                #expect(start.duration(to: .now) < .seconds(2))
                var kinds: [HTTPError.Kind: Int] = [:]
                for try await error in group {
                    let error = try #require(error)
                    kinds[error.kind, default: 0] += 1
                    #expect(error.isTransient)
                }
                #expect(kinds[.overBudget, default: 0] > 10, "\(kinds)")
                #expect(budget.counts.largest <= 8 << 20)
            }
            #expect(budget.counts.bytes == 0)
        }
    }

    /// More than there is room for at once, from one host: each comes whole, one after the other.
    @Test(arguments: [true, false]) func whatFindsNoRoomComesLater(isAnnounced: Bool) async throws {
        let budget = ResponseBodyBudget(maximumBytes: 4 << 20)
        let bytes = 1_000_000
        let server = try ScriptedServer { _ in
            isAnnounced
                ? [.bytes("HTTP/1.1 200 OK\r\nContent-Length: \(bytes)\r\n\r\n"), .zeros(bytes)]
                : [.bytes("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"), .zeros(bytes), .close]
        }
        defer { server.stop() }
        try await withClient(budget: budget) { client in
            try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<32 {
                    group.addTask { try await client.send(self.request(server.url)).body.count }
                }
                for try await count in group { #expect(count == bytes) }
            }
            #expect(budget.counts.evictions == 0 && budget.counts.refusals == 0)
            #expect(budget.counts.largest <= 4 << 20)
            await eventually { budget.counts.bytes == 0 }
            #expect(budget.counts.bytes == 0)
        }
    }

    /// Hosts that send more than there is room for are not read without end.
    @Test func whatHasNoRoomIsNotRead() async throws {
        let budget = ResponseBodyBudget(maximumBytes: 8 << 20)
        let servers = try (0..<4).map { _ in try ScriptedServer { _ in Self.stalling(4 << 20) } }
        defer { for server in servers { server.stop() } }
        try await withClient(budget: budget) { client in
            await withTaskGroup(of: Void.self) { group in
                for server in servers {
                    for _ in 0..<8 {
                        group.addTask {
                            // As whoever looks for another signature when one does not come.
                            for _ in 0..<50 { _ = try? await client.send(self.request(server.url)) }
                        }
                    }
                }
                try? await Task.sleep(for: .seconds(2))
                let evictions = budget.counts.evictions
                #expect(evictions < 100, "\(evictions) bodies gave way to others that stall too")
                try? await Task.sleep(for: .seconds(1))
                #expect(budget.counts.evictions - evictions < 20)
                group.cancelAll()
            }
        }
    }

    /// Large heads count too.
    @Test func headsHaveNoRoomOfTheirOwn() async throws {
        let budget = ResponseBodyBudget(maximumBytes: 1 << 20)
        let server = try ScriptedServer { _ in
            let line = "X-Padding: " + String(repeating: "x", count: 8000) + "\r\n"
            return [.bytes("HTTP/1.1 200 OK\r\n" + String(repeating: line, count: 25)), .wait(.seconds(40))]
        }
        defer { server.stop() }
        try await withClient(budget: budget) { client in
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<16 { group.addTask { _ = try? await client.send(self.request(server.url)) } }
                await eventually { budget.counts.refusals > 4 }
                #expect(budget.counts.refusals > 4 && budget.counts.bytes <= 1 << 20)
                group.cancelAll()
            }
        }
    }

    /// Stalled transfers hold their connections, and others get some all the same.
    @Test func connectionsAreLeftForOthers() async throws {
        let servers = try (0..<8).map { _ in try ScriptedServer { _ in [.wait(.seconds(40))] } }
        let good = try ScriptedServer { _ in [.reply(200, body: "good")] }
        defer { for server in servers + [good] { server.stop() } }
        try await withClient(perHost: 8, all: 32) { client in
            await withTaskGroup(of: Void.self) { group in
                for server in servers {
                    for _ in 0..<16 { group.addTask { _ = try? await client.send(self.request(server.url)) } }
                }
                await eventually { servers.allSatisfy { $0.connections > 0 } }
                for _ in 0..<3 {
                    let start = ContinuousClock.now
                    let body = try? await client.send(request(good.url)).body
                    #expect(body == Array("good".utf8))
                    #expect(start.duration(to: .now) < .seconds(2))
                }
                #expect(servers.reduce(0) { $0 + $1.openConnections } <= 32)
                group.cancelAll()
            }
        }
    }
}
