import Foundation
import HTTP
import TestSupport
import Testing

/// When a call is tried again, how often, and when not.
@Suite struct RetryTests {
    private let quick = RetryPolicy(
        maximumAttempts: 4, baseBackoff: .milliseconds(10), maximumBackoff: .milliseconds(40))

    @Test func lostConnectionsAreRetriedForGET() async throws {
        let server = try ScriptedServer(answers: [[.reset], [.close], [.reply(200, body: "ok")]])
        defer { server.stop() }
        try await withClient { client in
            let response = try await client.send(.init(.get, server.url, deadline: soon, retry: quick))
            #expect(response.status == 200)
            #expect(response.attempts == 3)
        }
        #expect(server.requests.count == 3)
    }

    @Test func lostConnectionsAreNotRetriedForPOST() async throws {
        let server = try ScriptedServer(answers: [[.reset], [.reply(200)]])
        defer { server.stop() }
        let error = await failure(.init(.post, server.url, body: [1], deadline: soon, retry: quick))
        #expect(error?.kind == .connectionLost)
        #expect(error?.attempts == 1)
        #expect(server.requests.count == 1)
    }

    @Test func postsAreNotSentAgainFromAPooledConnectionThatBreaks() async throws {
        let server = try ScriptedServer { $0.method == "GET" ? [.reply(200)] : [.close] }
        defer { server.stop() }
        try await withClient { client in
            _ = try await client.send(.init(.get, server.url, deadline: soon))
            await #expect(throws: HTTPError.self) {
                try await client.send(.init(.post, server.url, deadline: soon, retry: quick))
            }
        }
        #expect(server.requests.filter { $0.method == "POST" }.count == 1)
    }

    @Test func postsAreRetriedWhenTheCallerSaysSo() async throws {
        let server = try ScriptedServer(answers: [[.reset], [.reply(500)], [.reply(200)]])
        defer { server.stop() }
        var policy = quick
        policy.retriesNonIdempotent = true
        try await withClient { client in
            let response = try await client.send(.init(.post, server.url, body: [1], deadline: soon, retry: policy))
            #expect(response.attempts == 3)
        }
        #expect(server.requests.allSatisfy { $0.body == [1] })
    }

    @Test func answersCutShortAreRetried() async throws {
        let server = try ScriptedServer(answers: [
            [.bytes("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"), .close], [.reply(200, body: "whole")],
        ])
        defer { server.stop() }
        try await withClient { client in
            let response = try await client.send(.init(.get, server.url, deadline: soon, retry: quick))
            #expect(response.body == Array("whole".utf8))
            #expect(response.attempts == 2)
        }
    }

    @Test(arguments: [500, 502, 503, 504])
    func serverErrorsAreRetriedAndThenThrown(status: Int) async throws {
        let server = try ScriptedServer(answers: [[.reply(status, body: "a secret of the server")]])
        defer { server.stop() }
        let error = await failure(.init(.get, server.url, deadline: soon, retry: quick))
        #expect(error?.kind == .status(status))
        #expect(error?.attempts == 4)
        #expect(error?.isTransient == true)
        #expect(error?.host == "127.0.0.1:\(server.port)")
        #expect(error?.description.contains("secret") == false)
        #expect(server.requests.count == 4)
        #expect(server.connections == 1)
    }

    @Test func otherServerErrorsAreThrownAtOnce() async throws {
        let server = try ScriptedServer(answers: [[.reply(501)]])
        defer { server.stop() }
        let error = await failure(.init(.get, server.url, deadline: soon, retry: quick))
        #expect(error?.kind == .status(501))
        #expect(error?.attempts == 1)
    }

    @Test func bodiesOfErrorsNeitherCountNorDelay() async throws {
        let server = try ScriptedServer(answers: [
            [.bytes("HTTP/1.1 500 X\r\nConnection: close\r\n\r\n"), .zeros(50_000_000), .close], [.reply(200)],
        ])
        defer { server.stop() }
        try await withClient { client in
            let response = try await client.send(
                .init(.get, server.url, maximumResponseBytes: 10, deadline: soon, retry: quick))
            #expect(response.attempts == 2)
        }
    }

    @Test func retryAfterIsHonoured() async throws {
        let server = try ScriptedServer(answers: [[.reply(429, headers: [("Retry-After", "1")])], [.reply(200)]])
        defer { server.stop() }
        let start = ContinuousClock.now
        try await withClient { client in
            let response = try await client.send(.init(.get, server.url, deadline: soon, retry: quick))
            #expect(response.attempts == 2)
        }
        #expect(ContinuousClock.now - start >= .seconds(1))
    }

    @Test func retryAfterBeyondTheDeadlineFailsAtOnce() async throws {
        let server = try ScriptedServer(answers: [[.reply(429, headers: [("Retry-After", "60")])]])
        defer { server.stop() }
        let start = ContinuousClock.now
        let error = await failure(.init(.get, server.url, deadline: start + .seconds(20), retry: quick))
        #expect(error?.kind == .throttled)
        #expect(error?.retryAfter == .seconds(60))
        #expect(error?.attempts == 1)
        #expect(ContinuousClock.now - start < .seconds(8))
    }

    @Test func waitsNeverOutliveTheDeadline() async throws {
        let server = try ScriptedServer(answers: [[.reply(503)]])
        defer { server.stop() }
        let start = ContinuousClock.now
        let slow = RetryPolicy(maximumAttempts: 10, baseBackoff: .seconds(90), maximumBackoff: .seconds(90))
        let error = await failure(.init(.get, server.url, deadline: start + .seconds(15), retry: slow))
        #expect(error?.kind == .status(503))
        #expect(ContinuousClock.now - start < .seconds(8))
    }

    @Test func attemptTimeoutsLeaveTimeForAnother() async throws {
        let server = try ScriptedServer { $0.connection == 0 ? [.wait(.seconds(2))] : [.reply(200)] }
        defer { server.stop() }
        var policy = quick
        policy.attemptTimeout = .milliseconds(500)
        try await withClient { client in
            let response = try await client.send(.init(.get, server.url, deadline: soon, retry: policy))
            #expect(response.attempts == 2)
        }
    }

    @Test func refusedConnectionsAreOfTheirOwnKind() async throws {
        let server = try ScriptedServer(answers: [[]])
        server.stop()
        try await Task.sleep(for: .milliseconds(50))
        let error = await failure(.init(.get, server.url, deadline: soon, retry: quick))
        #expect(error?.kind == .connect)
        #expect(error?.attempts == 4)
        #expect(error?.isTransient == true)
    }

    @Test func unknownNamesAreOfTheirOwnKind() async throws {
        let error = await failure(.init(.get, "http://no-such-host.invalid/", deadline: soon, retry: .none))
        #expect(error?.kind == .dns)
        #expect(error?.host == "no-such-host.invalid")
        #expect(error?.isTransient == true)
    }
}
