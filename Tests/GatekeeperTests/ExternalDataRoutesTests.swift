import ProviderTestSupport
import StrictJSON
import TestSupport
import Testing

@testable import Gatekeeper

@Suite struct ExternalDataRoutesTests {
    private static let verify = "/ratify/gatekeeper/v1/verify"

    @Test(arguments: ["GET", "PUT", "HEAD", "DELETE"])
    func onlyPostIsAllowed(method: String) async throws {
        let provider = try await RunningProvider(isTLS: false)
        for path in [ExternalDataRoutesTests.verify, "/ratify/gatekeeper/v1/mutate"] {
            let client = try await TestClient.connect(port: provider.ports.provider)
            let reply = try await client.ask(method, path)
            #expect(reply.status == 405)
            #expect(reply.headers["allow"] == "POST")
            if method != "HEAD" {
                #expect(try reply.json["response"]?["systemError"]?.string?.contains("expected POST") == true)
            }
            // The connection is whole afterwards.
            #expect(try await client.verify(["signed"]).status == 200)
        }
    }

    @Test(arguments: [
        "/", "/nope", "/ratify/gatekeeper/v1/verify/", "/ratify/gatekeeper/v1/", "/ratify/gatekeeper/v1/Verify",
        "//ratify/gatekeeper/v1/verify", "/ratify/gatekeeper/v1/%76erify", "/ratify/gatekeeper/v1/verify/x",
    ])
    func otherPathsAreUnknown(path: String) async throws {
        let provider = try await RunningProvider(isTLS: false)
        let reply = try await TestClient.post(
            port: provider.ports.provider, path: path, body: TestClient.request(["signed"]))
        #expect(reply.status == 404)
        #expect(try reply.json["kind"] == "ProviderResponse")
        #expect(try reply.json["response"]?["systemError"]?.string?.contains("check the Provider's url") == true)
        #expect(provider.service.keys.isEmpty)
    }

    @Test func mutateIsRouted() async throws {
        let provider = try await RunningProvider(isTLS: false)
        let reply = try await TestClient.post(
            port: provider.ports.provider, path: "/ratify/gatekeeper/v1/mutate?timeout=3s",
            body: TestClient.request(["a:1"]))
        #expect(try reply.json["response"]?["idempotent"] == true)
    }

    @Test(arguments: [false, true])
    func aBodyThatIsTooLargeIsRefused(isChunked: Bool) async throws {
        let provider = try await RunningProvider(isTLS: false) { $0.maximumBodyBytes = 1000 }
        let client = try await TestClient.connect(port: provider.ports.provider)
        let body = TestClient.request(["signed" + String(repeating: "x", count: 2000)])
        if isChunked {
            try await client.send(
                "POST \(ExternalDataRoutesTests.verify) HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + String(body.utf8.count, radix: 16) + "\r\n" + body + "\r\n0\r\n\r\n")
        } else {
            try await client.send(
                "POST \(ExternalDataRoutesTests.verify) HTTP/1.1\r\nHost: x\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
                    + body)
        }
        let reply = try await client.reply()
        #expect(reply.status == 413)
        #expect(try reply.json["response"]?["systemError"]?.string?.contains("larger than 1000 bytes") == true)
        #expect(provider.service.keys.isEmpty)
        // What was left of the body is dropped, and the connection serves on.
        #expect(await provider.hasMetric(#"countersign_open_connections{state="idle"} 1"#))
        #expect(try await client.verify(["signed"]).status == 200)
    }

    @Test func aBodyOfExactlyTheLimitIsRead() async throws {
        let body = TestClient.request(["signed"])
        let provider = try await RunningProvider(isTLS: false) { $0.maximumBodyBytes = body.utf8.count }
        #expect(try await TestClient.post(port: provider.ports.provider, body: body).status == 200)
    }

    @Test func aHeadThatIsTooLargeIsRefused() async throws {
        let provider = try await RunningProvider(isTLS: false)
        let client = try await TestClient.connect(port: provider.ports.provider)
        try await client.send(
            "POST \(ExternalDataRoutesTests.verify) HTTP/1.1\r\nHost: x\r\nX: " + String(repeating: "x", count: 20_000)
                + "\r\n\r\n")
        let reply = try? await client.reply()
        #expect(reply == nil || reply?.status == 431)
        #expect(await client.isClosed(within: .seconds(40)))
        #expect(provider.service.keys.isEmpty)
    }

    @Test func continueIsSaidToWhoAsks() async throws {
        let provider = try await RunningProvider(isTLS: false)
        let client = try await TestClient.connect(port: provider.ports.provider)
        let body = TestClient.request(["signed"])
        try await client.send(
            "POST \(ExternalDataRoutesTests.verify) HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: "
                + "\(body.utf8.count)\r\n\r\n")
        #expect(try await client.reply().status == 100)
        try await client.send(body)
        #expect(try await client.reply().status == 200)
    }

    @Test(arguments: [false, true])
    func theConnectionIsClosedForWhoAsks(isTLS: Bool) async throws {
        let provider = try await RunningProvider(isTLS: isTLS)
        let client = try await TestClient.connect(
            port: provider.ports.provider, isTLS ? provider.gatekeeper : TestClient.Options())
        let reply = try await client.verify(["signed"], headers: ["Connection: close"])
        #expect(reply.status == 200)
        #expect(reply.headers["connection"] == "close")
        #expect(await client.isClosed(within: .seconds(10)))
    }

    @Test func theTraceIDIsInAnswerReportAndLog() async throws {
        let provider = try await RunningProvider(StubService(traceIDHeaderNames: ["X-Request-Id"]), isTLS: false)
        let client = try await TestClient.connect(port: provider.ports.provider)
        let reply = try await client.verify(["signed"], headers: ["x-request-id: abc-123"])
        #expect(reply.headers["x-trace-id"] == "abc-123")
        #expect(try reply.json["response"]?["items"]?.array?.first?["value"]?["traceID"] == "abc-123")
        #expect(await provider.hasLogged("trace-id=abc-123"))
        let other = try await client.verify(["signed"])
        #expect(other.headers["x-trace-id"]?.count == 36)
    }

    @Test func manyRequestsAtOnce() async throws {
        let provider = try await RunningProvider(isTLS: false)
        let port = provider.ports.provider
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<200 {
                group.addTask {
                    let reply = try await TestClient.post(
                        port: port, body: TestClient.request(["signed\(number)", "unsigned"]))
                    #expect(try reply.json["response"]?["items"]?.array?.count == 2)
                }
            }
            try await group.waitForAll()
        }
    }
}
