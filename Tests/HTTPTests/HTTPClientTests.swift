import Foundation
import HTTP
import Synchronization
import TestSupport
import Testing

/// What the client promises about connections, limits and time, against a server that does as scripted.
@Suite struct HTTPClientTests {
    @Test func returnsAnswersOfAnyStatusBelow500() async throws {
        let server = try ScriptedServer { request in
            [.reply(Int(request.target.dropFirst()) ?? 200, headers: [("X-Seen", request.method)], body: "text")]
        }
        defer { server.stop() }
        try await withClient { client in
            for status in [200, 204, 301, 401, 403, 404] {
                let response = try await client.send(.init(.get, "\(server.url)/\(status)", deadline: soon))
                #expect(response.status == status)
                #expect(response.headers["x-seen"] == "GET")
                #expect(response.attempts == 1)
                if status != 204 { #expect(response.body == Array("text".utf8)) }
            }
        }
    }

    @Test func sendsWhatItIsGiven() async throws {
        let server = try ScriptedServer(answers: [[.reply(201)]])
        defer { server.stop() }
        try await withClient { client in
            let body = [UInt8](repeating: 7, count: 300_000)
            for method in [HTTPMethod.post, .put, .patch, .delete] {
                let headers: HTTPHeaders = ["Content-Type": "application/x", "X-Empty": ""]
                _ = try await client.send(
                    .init(method, "\(server.url)/a/../b?q=%20", headers: headers, body: body, deadline: soon))
            }
            _ = try await client.send(.init(.post, server.url, deadline: soon))
            _ = try await client.send(.init(.head, server.url, deadline: soon))
            let requests = server.requests
            #expect(requests.map(\.method) == ["POST", "PUT", "PATCH", "DELETE", "POST", "HEAD"])
            for request in requests.prefix(4) {
                #expect(request.target == "/a/../b?q=%20")
                #expect(request.body == body)
                #expect(request.header("Content-Type") == "application/x")
                #expect(request.header("X-Empty") == "")
                #expect(request.header("Expect") == nil)
            }
            #expect(requests[4].header("Content-Length") == "0")
            #expect(requests[4].header("Content-Type") == nil)
            for request in requests {
                #expect(request.header("Accept-Encoding") == nil)
                #expect(request.header("User-Agent") == "countersign")
            }
        }
    }

    @Test func reusesConnections() async throws {
        let server = try ScriptedServer(answers: [[.reply(200, body: "x")]])
        defer { server.stop() }
        try await withClient { client in
            for _ in 0..<20 { _ = try await client.send(.init(.get, server.url, deadline: soon)) }
        }
        #expect(server.connections == 1)
    }

    @Test func runsManyCallsWithinTheLimitOfConnections() async throws {
        let server = try ScriptedServer { [.wait(.milliseconds(2)), .reply(200, body: $0.target)] }
        defer { server.stop() }
        var configuration = HTTPClientConfiguration(environment: [:])
        configuration.maximumConnectionsPerHost = 8
        try await withClient(configuration) { client in
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 0..<200 {
                    group.addTask {
                        let response = try await client.send(.init(.get, "\(server.url)/\(number)", deadline: soon))
                        return response.body == Array("/\(number)".utf8)
                    }
                }
                for try await isRight in group { #expect(isRight) }
            }
        }
        #expect(server.connections <= 8)
        #expect(server.requests.count == 200)
    }

    @Test func limitsTheBodyByItsAnnouncedLength() async throws {
        let server = try ScriptedServer(answers: [[.bytes("HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n")]])
        defer { server.stop() }
        // Nothing of the body is ever sent: the announcement alone must do.
        let error = await failure(.init(.get, server.url, maximumResponseBytes: 1000, deadline: soon))
        #expect(error?.kind == .responseTooLarge(1000))
        #expect(error?.isTransient == false)
    }

    @Test func limitsTheBodyWhileItArrives() async throws {
        let server = try ScriptedServer(answers: [
            [.bytes("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"), .zeros(50_000_000), .close]
        ])
        defer { server.stop() }
        let error = await failure(.init(.get, server.url, maximumResponseBytes: 1000, deadline: soon))
        #expect(error?.kind == .responseTooLarge(1000))
    }

    @Test func acceptsABodyOfExactlyTheLimit() async throws {
        let server = try ScriptedServer(answers: [
            [.reply(200, body: String(repeating: "x", count: 1000))],
            [
                .bytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n"), .zeros(1000),
                .bytes("\r\n0\r\n\r\n"),
            ],
        ])
        defer { server.stop() }
        try await withClient { client in
            for _ in 0..<2 {
                let response = try await client.send(
                    .init(.get, server.url, maximumResponseBytes: 1000, deadline: soon))
                #expect(response.body.count == 1000)
            }
        }
    }

    @Test func headAnswersAnnounceLengthsTheyDoNotSend() async throws {
        let server = try ScriptedServer(answers: [[.bytes("HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n")]])
        defer { server.stop() }
        try await withClient { client in
            let response = try await client.send(.init(.head, server.url, maximumResponseBytes: 10, deadline: soon))
            #expect(response.headers["content-length"] == "999999999")
        }
    }

    @Test func limitsTheHeaders() async throws {
        let line = "X-Fill: " + String(repeating: "x", count: 8000) + "\r\n"
        let server = try ScriptedServer(answers: [[.bytes("HTTP/1.1 200 OK\r\n" + String(repeating: line, count: 100))]]
        )
        defer { server.stop() }
        #expect(await failure(.init(.get, server.url, deadline: soon))?.kind == .protocolFault)
    }

    @Test(arguments: [
        "hello\r\n\r\n", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "HTTP/1.1 200 OK\r\n Folded: x\r\n\r\n",
        "HTTP/1.1 xyz\r\n\r\n",
        // What comes after the body neither takes the head back nor says unseen that there is more.
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nLink: </a>; rel=\"next\"\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nlink: <x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nHTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nno colon\r\n\r\n",
    ])
    func refusesWhatIsNotHTTP(text: String) async throws {
        let server = try ScriptedServer(answers: [[.bytes(text), .close]])
        defer { server.stop() }
        let error = await failure(.init(.get, server.url, deadline: soon, retry: .none))
        #expect(error?.kind == .protocolFault)
    }

    @Test func fieldsAfterTheBodyAreNotOfTheHead() async throws {
        let server = try ScriptedServer(answers: [
            [
                .bytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nA: b\r\n\r\n"),
                .bytes("2\r\n{}\r\n0\r\nA: c\r\nX-Checksum: 1\r\n\r\n"),
            ]
        ])
        defer { server.stop() }
        try await withClient { client in
            let response = try await client.send(.init(.get, server.url, deadline: soon))
            #expect(response.headers.fields.map(\.name) == ["Transfer-Encoding", "A"])
            #expect(response.headers["A"] == "b" && response.body == Array("{}".utf8))
        }
    }

    @Test func skipsInterimAnswers() async throws {
        let server = try ScriptedServer(answers: [
            [.bytes("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"), .reply(200, headers: [("A", "b")], body: "ok")]
        ])
        defer { server.stop() }
        try await withClient { client in
            let response = try await client.send(.init(.get, server.url, deadline: soon))
            #expect(response.status == 200)
            #expect(response.headers["Link"] == nil)
            #expect(response.headers["A"] == "b")
        }
    }

    @Test func slowBodiesEndAtTheDeadline() async throws {
        let server = try ScriptedServer(answers: [
            [.bytes("HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n")]
                + Array(repeating: [.bytes("x"), .wait(.milliseconds(500))], count: 40).flatMap(\.self)
        ])
        defer { server.stop() }
        let start = ContinuousClock.now
        let error = await failure(.init(.get, server.url, deadline: start + .seconds(1)))
        #expect(error?.kind == .timeout)
        #expect(error?.isTransient == true)
        #expect(error?.detail.contains("receiving the answer") == true)
        #expect(ContinuousClock.now - start < .seconds(8))
    }

    @Test func silentServersEndAtTheDeadline() async throws {
        let server = try ScriptedServer(answers: [[.wait(.seconds(20))]])
        defer { server.stop() }
        let start = ContinuousClock.now
        let error = await failure(.init(.get, server.url, deadline: start + .seconds(1)))
        #expect(error?.kind == .timeout)
        #expect(error?.detail.contains("waiting for the answer") == true)
        #expect(ContinuousClock.now - start < .seconds(8))
    }

    @Test func queuedCallsEndAtTheirDeadlineToo() async throws {
        let server = try ScriptedServer(answers: [[.wait(.seconds(20)), .reply(200)]])
        defer { server.stop() }
        var configuration = HTTPClientConfiguration(environment: [:])
        configuration.maximumConnectionsPerHost = 1
        try await withClient(configuration) { client in
            let blocker = Task { try? await client.send(.init(.get, server.url, deadline: soon)) }
            try await Task.sleep(for: .milliseconds(50))
            let start = ContinuousClock.now
            await #expect(throws: HTTPError.self) {
                try await client.send(.init(.get, server.url, deadline: start + .milliseconds(150)))
            }
            #expect(ContinuousClock.now - start < .seconds(8))
            blocker.cancel()
            _ = await blocker.value
        }
        #expect(server.connections == 1)
    }

    @Test func deadlinesThatHavePassedSendNothing() async throws {
        let server = try ScriptedServer(answers: [[.reply(200)]])
        defer { server.stop() }
        let error = await failure(.init(.get, server.url, deadline: .now - .seconds(1)))
        #expect(error?.kind == .timeout)
        #expect(error?.attempts == 0)
        #expect(server.requests.isEmpty)
    }

    @Test func cancellationReturnsQuickly() async throws {
        let server = try ScriptedServer(answers: [[.wait(.seconds(20))]])
        defer { server.stop() }
        try await withClient { client in
            let call = Task { () -> HTTPError? in
                do throws(HTTPError) { _ = try await client.send(.init(.get, server.url, deadline: soon)) } catch {
                    return error
                }
                return nil
            }
            while server.requests.isEmpty { try await Task.sleep(for: .milliseconds(5)) }
            let start = ContinuousClock.now
            call.cancel()
            #expect(await call.value?.kind == .cancelled)
            #expect(ContinuousClock.now - start < .seconds(8))
        }
    }

    @Test func cancellationEndsTheWaitBetweenAttempts() async throws {
        let server = try ScriptedServer(answers: [[.reply(503, headers: [("Retry-After", "5")])]])
        defer { server.stop() }
        try await withClient { client in
            let call = Task { () -> HTTPError? in
                do throws(HTTPError) { _ = try await client.send(.init(.get, server.url, deadline: soon)) } catch {
                    return error
                }
                return nil
            }
            while server.requests.isEmpty { try await Task.sleep(for: .milliseconds(5)) }
            call.cancel()
            #expect(await call.value?.kind == .cancelled)
        }
        #expect(server.requests.count == 1)
    }

    @Test func shutdownEndsCallsThreadsAndDescriptors() async throws {
        let server = try ScriptedServer(answers: [[.reply(200)], [.wait(.seconds(2))]])
        defer { server.stop() }
        let client = try HTTPClient(configuration: .init(environment: [:]))
        _ = try await client.send(.init(.get, server.url, deadline: soon))
        #expect(server.openConnections == 1)
        let call = Task { () -> HTTPError? in
            do throws(HTTPError) { _ = try await client.send(.init(.get, server.url, deadline: soon)) } catch {
                return error
            }
            return nil
        }
        while server.requests.count < 2 { try await Task.sleep(for: .milliseconds(5)) }
        await client.shutdown()
        #expect(await call.value?.kind == .cancelled)
        await client.shutdown()
        await #expect(throws: HTTPError.self) { try await client.send(.init(.get, server.url, deadline: soon)) }
    }

    @Test func clientsLeaveNothingBehind() async throws {
        func descriptors() throws -> Int { try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count }
        let server = try ScriptedServer(answers: [[.reply(200)]])
        defer { server.stop() }
        let before = try descriptors()
        for round in 0..<20 {
            let client = try HTTPClient(configuration: .init(trustsSystemStore: false, environment: [:]))
            _ = try await client.send(.init(.get, server.url, deadline: soon))
            // Half of them are forgotten instead of shut down.
            if round.isMultiple(of: 2) { await client.shutdown() }
        }
        // Other suites open sockets meanwhile: look for a moment without a leak.
        for _ in 0..<200 where try descriptors() > before + 10 { try await Task.sleep(for: .milliseconds(20)) }
        #expect(try descriptors() <= before + 10)
    }
}
