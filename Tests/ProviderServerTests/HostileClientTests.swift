import NIOCore
import ProviderTestSupport
import TestSupport
import Testing

@testable import ProviderServer

/// Clients that ask for more than their share: everybody else is served, and the log stays short.
@Suite struct HostileClientTests {
    /// How many lines are about refused requests.
    private func refusals(_ log: LogCapture) -> Int { log.lines.count { $0.contains("request refused") } }

    // MARK: Pipelining

    /// What waits behind a slow request is held as it came, and only so much of it.
    @Test func whatWaitsHasAnEnd() async throws {
        let provider = try await RunningProvider(isTLS: false)
        let client = try await TestClient.connect(port: provider.ports.provider)
        let body = TestClient.request(["held"])
        let one =
            "POST /ratify/gatekeeper/v1/verify HTTP/1.1\r\nHost: x\r\nContent-Length: \(body.utf8.count)\r\n\r\n" + body
        try await client.send(String(repeating: one, count: 200))
        while provider.service.gate.waiting == 0 { try await Task.sleep(for: .milliseconds(5)) }
        #expect(
            try await TestClient.post(port: provider.ports.provider, body: TestClient.request(["signed"])).status == 200
        )
        provider.service.gate.open()
        var answers = 0
        while let reply = try? await client.reply() {
            answers += 1
            #expect(reply.status == 200)
            guard reply.headers["connection"] != "close" else { break }
        }
        // As many as came with each of a few small reads.
        #expect((1...100).contains(answers), "\(answers)")
        #expect(await client.isClosed(within: .seconds(60)))
        #expect(await provider.hasMetric(#"countersign_http_errors_total{reason="too many requests at once"} 1"#))
    }

    /// Many of one kind are a line, and do not hide another kind.
    @Test func refusalsAreLoggedAtAPace() async throws {
        let provider = try await RunningProvider(isTLS: false)
        let port = provider.ports.provider
        for _ in 0..<20 { _ = try await TestClient.post(port: port, path: "/nope", body: "{}") }
        #expect(try await TestClient.post(port: port, body: "garbage").status == 400)
        #expect(await provider.hasLogged("request refused", "unknown route", "client=127.0.0.1", "trace-id="))
        #expect(await provider.hasLogged("request refused", "malformed request", "operation=verify"))
        // One line in five seconds: more of them on a machine that takes as long for this.
        #expect(refusals(provider.log) < 15)
        #expect(await provider.hasMetric(#"ratify_system_error_count{error="unknown route"} 20"#))
    }

    // MARK: Upgrades

    @Test(arguments: [
        "Connection: Upgrade\r\nUpgrade: h2c\r\n", "Upgrade: websocket\r\nConnection: keep-alive, upgrade\r\n",
    ])
    func nobodyIsUpgraded(fields: String) async throws {
        let provider = try await RunningProvider(isTLS: false)
        let client = try await TestClient.connect(port: provider.ports.provider)
        let body = TestClient.request(["signed"])
        try await client.send(
            "POST /ratify/gatekeeper/v1/verify HTTP/1.1\r\nHost: x\r\n\(fields)Content-Length: \(body.utf8.count)\r\n\r\n"
                + body)
        let reply = try await client.reply()
        #expect(reply.status == 200 && reply.headers["connection"] == "close")
        #expect(await client.isClosed(within: .seconds(60)))
    }

    @Test func nobodyIsTunnelled() async throws {
        let provider = try await RunningProvider(isTLS: false)
        let client = try await TestClient.connect(port: provider.ports.provider)
        try await client.send("CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n")
        let reply = try await client.reply()
        #expect(reply.status == 404 && reply.headers["connection"] == "close")
        #expect(await client.isClosed(within: .seconds(60)))
    }
}
