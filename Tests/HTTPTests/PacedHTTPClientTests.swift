import Synchronization
import Testing

@testable import HTTP

/// A host that allows so many requests in each window, and everybody who asks it.
@Suite struct PacedHTTPClientTests {
    /// Stands in for the network: answers so many requests a window, refuses the others.
    private final class LimitingHost: HTTPSending {
        struct State {
            var window = ContinuousClock.now
            var count = 0
            var answered = 0
            var refused = 0
        }

        let limit: Int
        let window: Duration
        let state = Mutex(State())

        /// - Parameter window: how long a window is; whoever is refused is told to wait as long.
        init(limit: Int, window: Duration = .seconds(1)) { (self.limit, self.window) = (limit, window) }

        func send(_ request: HTTPRequest) async throws(HTTPError) -> HTTPResponse {
            try? await Task.sleep(for: .milliseconds(2))
            let isAnswered = state.withLock { state in
                if state.window + window <= .now { (state.window, state.count) = (.now, 0) }
                state.count += 1
                let isAnswered = state.count <= limit
                if isAnswered { state.answered += 1 } else { state.refused += 1 }
                return isAnswered
            }
            guard isAnswered else {
                throw HTTPError(
                    kind: .throttled, host: "registry.example", method: request.method, attempts: 1,
                    detail: "too many requests, status 429", retryAfter: window)
            }
            return HTTPResponse(status: 200, url: request.url)
        }
    }

    private func request(_ deadline: Duration, host: String = "registry.example") -> HTTPRequest {
        HTTPRequest(.get, "https://\(host)/v2/", deadline: .now + deadline)
    }

    @Test func aHundredAtOnceAllGetThereAndFewAreRefused() async throws {
        let host = LimitingHost(limit: 60)
        let client = PacedHTTPClient(host, maximumInFlight: 16)
        try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<150 { group.addTask { try await client.send(request(.seconds(30))).status } }
            for try await status in group { #expect(status == 200) }
        }
        let (answered, refused) = host.state.withLock { ($0.answered, $0.refused) }
        #expect(answered == 150)
        // Those that were under way when the first was refused, a few times over; not each that waited.
        #expect(refused <= 80, "\(refused)")
    }

    /// Who owns a domain has any number of hosts in it.
    @Test func hostsThatRefuseAreNotRememberedWithoutEnd() async throws {
        let client = PacedHTTPClient(LimitingHost(limit: 0))
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<(3 * PacedHTTPClient.maximumHosts) {
                if number >= 64 { await group.next() }
                group.addTask { _ = try? await client.send(request(.seconds(1), host: "h\(number).example")) }
            }
        }
        #expect(client.rememberedHosts <= PacedHTTPClient.maximumHosts)
    }

    @Test func whatCannotWaitFailsAtOnceAndSaysWhy() async throws {
        let host = LimitingHost(limit: 0, window: .seconds(60))
        let client = PacedHTTPClient(host)
        let start = ContinuousClock.now
        for _ in 0..<3 {
            let error = await #expect(throws: HTTPError.self) { try await client.send(request(.seconds(30))) }
            #expect(error?.kind == .throttled && error?.isTransient == true)
            #expect(error?.description.contains("429") == true)
        }
        #expect(ContinuousClock.now - start < .seconds(25))
        #expect(host.state.withLock { $0.refused } == 1, "only the first one was sent")
        #expect(client.limit(of: "registry.example")?.contains("throttled") == true)
        #expect(client.limit(of: "other.example") == nil)
    }

    @Test func otherHostsAreNotHeldUp() async throws {
        let host = LimitingHost(limit: 1, window: .seconds(60))
        let client = PacedHTTPClient(host)
        _ = try await client.send(request(.seconds(30)))
        await #expect(throws: HTTPError.self) { try await client.send(request(.seconds(30))) }
        host.state.withLock { $0.count = 0 }
        let start = ContinuousClock.now
        #expect(try await client.send(request(.seconds(30), host: "other.example")).status == 200)
        #expect(ContinuousClock.now - start < .seconds(25))
    }

    @Test func oneThatIsCancelledLeavesTheQueue() async throws {
        let host = LimitingHost(limit: 0, window: .seconds(60))
        let client = PacedHTTPClient(host)
        await #expect(throws: HTTPError.self) { try await client.send(request(.seconds(30))) }
        let start = ContinuousClock.now
        let task = Task { try await client.send(request(.seconds(600))) }
        try await Task.sleep(for: .milliseconds(50))
        task.cancel()
        let error = await #expect(throws: HTTPError.self) { try await task.value }
        #expect(error?.kind == .cancelled)
        #expect(ContinuousClock.now - start < .seconds(25))
    }

    @Test func withoutRetriesARefusalIsTheCallers() async throws {
        let host = LimitingHost(limit: 0)
        var request = request(.seconds(60))
        request.retry = .none
        let error = await #expect(throws: HTTPError.self) { try await PacedHTTPClient(host).send(request) }
        #expect(error?.kind == .throttled && error?.retryAfter == .seconds(1))
    }
}
