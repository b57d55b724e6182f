import Gatekeeper
import NIOCore
import NIOEmbedded
import NIOExtras
import NIOHTTP1
import ProviderTestSupport
import ServiceMetrics
import StrictJSON
import TestSupport
import Testing

@testable import ProviderServer

/// What happens on one connection: order, pieces, ends.
@Suite struct ProviderConnectionTests {
    private static func request(_ keys: [String], _ version: String = "1.1", _ headers: String...) -> String {
        let body = TestClient.request(keys)
        return "POST /ratify/gatekeeper/v1/verify HTTP/\(version)\r\nHost: x\r\nContent-Length: \(body.utf8.count)\r\n"
            + headers.map { $0 + "\r\n" }.joined() + "\r\n" + body
    }

    private static func keys(_ reply: TestClient.Reply) throws -> [String] {
        try (reply.json["response"]?["items"]?.array ?? []).compactMap { $0["key"]?.string }
    }

    // MARK: Order

    @Test(arguments: [false, true])
    func answersComeInTheOrderOfTheRequests(isTLS: Bool) async throws {
        let provider = try await RunningProvider(StubService(hasVerdicts: true), isTLS: isTLS)
        let client = try await TestClient.connect(
            port: provider.ports.provider, isTLS ? provider.gatekeeper : TestClient.Options())
        let all = [["held-1"], ["signed-2"], ["later-3"], ["signed-4", "held-5", "unsigned-6"], ["signed-7"]]
        try await client.send(all.map { ProviderConnectionTests.request($0) }.joined())
        while provider.service.gate.waiting == 0 { try await Task.sleep(for: .milliseconds(5)) }
        provider.service.gate.open()
        for keys in all {
            let reply = try await client.reply()
            #expect(reply.status == 200)
            #expect(try ProviderConnectionTests.keys(reply) == keys)
        }
        // What was at hand was not asked about.
        #expect(provider.service.keys == ["held-1", "later-3", "held-5"])
        #expect(try await client.verify(["signed"]).status == 200)
    }

    @Test func anAnswerFromMemoryIsTheSameAsAnyOther() async throws {
        var answers: [(head: [String: String], body: String)] = []
        for hasVerdicts in [false, true] {
            let service = StubService(traceIDHeaderNames: ["X-Request-Id"], hasVerdicts: hasVerdicts)
            let provider = try await RunningProvider(service, isTLS: false)
            let client = try await TestClient.connect(port: provider.ports.provider)
            let reply = try await client.verify(["signed", "unsigned", "signed"], headers: ["X-Request-Id: t-1"])
            #expect(service.keys.isEmpty == hasVerdicts)
            var body = reply.text
            for item in try #require(reply.json["response"]?["items"]?.array) {
                body.replace(try #require(item["value"]?["timestamp"]?.string), with: "TIME")
            }
            answers.append((reply.headers, body))
            #expect(await provider.hasMetric(#"countersign_keys_total{operation="verify",verdict="pass"} 1"#))
            #expect(await provider.hasMetric(#"countersign_keys_total{operation="verify",verdict="fail"} 1"#))
            #expect(await provider.hasMetric("ratify_verification_request_count 1"))
            #expect(await provider.hasLogged("msg=verify", "key=signed", "verdict=pass", "trace-id=t-1", "ms="))
            #expect(await provider.hasLogged("msg=verify", "key=unsigned", "verdict=fail", "reason=\"no signature\""))
            // The lines of a request are one write.
            #expect(provider.log.writes.contains(2))
        }
        #expect(answers[0].head == answers[1].head)
        #expect(answers[0].body == answers[1].body)
        #expect(answers[0].body.contains("TIME"))
    }

    // MARK: Pieces

    @Test(arguments: [false, true])
    func aRequestMayComeByteByByte(isChunked: Bool) async throws {
        let provider = try await RunningProvider(StubService(hasVerdicts: true), isTLS: false) {
            $0.headerTimeout = .seconds(300)
            $0.bodyTimeout = .seconds(300)
        }
        let client = try await TestClient.connect(port: provider.ports.provider)
        var text = ProviderConnectionTests.request(["signed"])
        if isChunked {
            let body = TestClient.request(["signed"])
            let pieces = [body.prefix(7), body.dropFirst(7).prefix(1), body.dropFirst(8)]
            text =
                "POST /ratify/gatekeeper/v1/verify HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                + pieces.map { String($0.utf8.count, radix: 16) + "\r\n" + $0 + "\r\n" }.joined() + "0\r\nX: y\r\n\r\n"
        }
        for _ in 0..<2 {
            for character in text { try await client.send(String(character)) }
            let reply = try await client.reply()
            #expect(reply.status == 200)
            #expect(try ProviderConnectionTests.keys(reply) == ["signed"])
        }
    }

    // MARK: Ends

    @Test func whatIsPipelinedIsAnsweredBeforeTheProviderStops() async throws {
        let provider = try await RunningProvider(StubService(hasVerdicts: true))
        let client = try await provider.connect()
        try await client.send([["held-1"], ["signed-2"]].map { ProviderConnectionTests.request($0) }.joined())
        while provider.service.gate.waiting == 0 { try await Task.sleep(for: .milliseconds(5)) }
        await provider.shutDown()
        provider.service.gate.open()
        #expect(try await ProviderConnectionTests.keys(client.reply()) == ["held-1"])
        #expect(try await ProviderConnectionTests.keys(client.reply()) == ["signed-2"])
        #expect(await client.isClosed(within: .seconds(60)))
        try await provider.stopped()
    }

    @Test func whatIsNotHTTPIsToldSoAfterTheAnswersThatAreDue() async throws {
        let provider = try await RunningProvider(isTLS: false)
        let client = try await TestClient.connect(port: provider.ports.provider)
        try await client.send(ProviderConnectionTests.request(["held"]) + "NOT HTTP AT ALL\r\n\r\n")
        while provider.service.gate.waiting == 0 { try await Task.sleep(for: .milliseconds(5)) }
        provider.service.gate.open()
        #expect(try await client.reply().status == 200)
        let refusal = try await client.reply()
        #expect(refusal.status == 400 && refusal.headers["connection"] == "close")
        #expect(await client.isClosed(within: .seconds(60)))
    }

    @Test func anOlderClientIsAnsweredAndLetGo() async throws {
        let provider = try await RunningProvider(isTLS: false)
        let client = try await TestClient.connect(port: provider.ports.provider)
        try await client.send(ProviderConnectionTests.request(["signed"], "1.0", "Connection: keep-alive"))
        #expect(try await client.reply().headers["connection"] == "keep-alive")
        try await client.send(ProviderConnectionTests.request(["signed"], "1.0"))
        let reply = try await client.reply()
        #expect(reply.status == 200 && reply.headers["connection"] == "close")
        #expect(await client.isClosed(within: .seconds(60)))
    }

    @Test func aClientMayCloseItsSideWhenItHasAsked() async throws {
        let provider = try await RunningProvider(isTLS: false)
        let client = try await TestClient.connect(port: provider.ports.provider)
        try await client.channel.setOption(.allowRemoteHalfClosure, value: true).get()
        try await client.send(ProviderConnectionTests.request(["held"]))
        try await client.channel.close(mode: .output).get()
        while provider.service.gate.waiting == 0 { try await Task.sleep(for: .milliseconds(5)) }
        provider.service.gate.open()
        #expect(try await client.reply().status == 200)
        #expect(await provider.hasMetric(#"countersign_open_connections{state="busy"} 0"#))
    }

    // MARK: Step by step

    private struct Wire {
        let channel = EmbeddedChannel()

        init(_ service: StubService = StubService(hasVerdicts: true), isTLS: Bool = false) throws {
            let metrics = MetricsRegistry()
            let logger = LogCapture().logger()
            let limits = ConnectionLimits(
                handshake: .seconds(5), idle: .seconds(30), header: .seconds(5), body: .seconds(5), isTLS: isTLS,
                connections: IdleConnections(maximum: 10), metrics: metrics, logger: logger, refusals: RefusalLog())
            var configuration = ProviderConfiguration()
            configuration.maximumKeys = 10
            configuration.deadlineMargin = .zero
            configuration.maximumBodyBytes = 10_000
            let routes = ExternalDataRoutes(
                configuration: configuration, service: service, metrics: metrics, logger: logger)
            let connection = ProviderConnection(responder: routes, limits: limits)
            let decoder = ByteToMessageHandler(RequestDecoder(connection))
            try channel.pipeline.syncOperations.addHandlers([decoder, connection])
            try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        }

        func send(_ text: String) throws {
            try channel.writeInbound(ByteBuffer(string: text))
        }

        func quiesce() { channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent()) }

        var sent: String {
            get throws {
                var text = ""
                while let buffer = try channel.readOutbound(as: ByteBuffer.self) { text += String(buffer: buffer) }
                return text
            }
        }
    }

    /// A client that has connected is about to ask: the end of the provider must not fail its call.
    @Test func aConnectionThatHasNotAskedYetMayAskWhenTheProviderStops() throws {
        let wire = try Wire()
        wire.quiesce()
        #expect(wire.channel.isActive)
        try wire.send(ProviderConnectionTests.request(["signed"]))
        let answer = try wire.sent
        #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n") && answer.contains("\r\nConnection: close\r\n"))
        #expect(!wire.channel.isActive)
    }

    @Test func aConnectionThatDoesNotAskIsNotWaitedForLong() throws {
        let wire = try Wire()
        wire.quiesce()
        wire.channel.embeddedEventLoop.advanceTime(by: .seconds(2))
        #expect(!wire.channel.isActive)
    }

    @Test func aRequestThatHasBegunIsAnsweredWhenTheProviderStops() throws {
        let wire = try Wire()
        try wire.send(ProviderConnectionTests.request(["signed"]))
        _ = try wire.sent
        let text = ProviderConnectionTests.request(["signed"])
        try wire.send(String(text.prefix(30)))
        wire.quiesce()
        #expect(wire.channel.isActive)
        try wire.send(String(text.dropFirst(30)))
        #expect(try wire.sent.contains("\r\nConnection: close\r\n"))
        #expect(!wire.channel.isActive)
    }

    @Test func anIdleConnectionEndsAtOnceWhenTheProviderStops() throws {
        let wire = try Wire()
        try wire.send(ProviderConnectionTests.request(["signed"]))
        #expect(try wire.sent.hasPrefix("HTTP/1.1 200 OK"))
        wire.quiesce()
        #expect(!wire.channel.isActive)
    }

    @Test func aClientThatDoesNotTakeItsAnswersGetsNoMore() throws {
        let wire = try Wire()
        wire.channel.isWritable = false
        wire.channel.pipeline.fireChannelWritabilityChanged()
        try wire.send(Array(repeating: ProviderConnectionTests.request(["signed"]), count: 5).joined())
        #expect(try wire.sent.isEmpty)
        wire.channel.isWritable = true
        wire.channel.pipeline.fireChannelWritabilityChanged()
        #expect(try wire.sent.components(separatedBy: "HTTP/1.1 200 OK").count == 6)
        #expect(wire.channel.isActive)
    }

    /// It has no more time than if it had come alone.
    @Test(arguments: [1, 10, 60]) func whatComesOfTheNextRequestIsNotIdle(length: Int) throws {
        let wire = try Wire()
        let text = ProviderConnectionTests.request(["signed"])
        try wire.send(text + text.prefix(length))
        #expect(try wire.sent.hasPrefix("HTTP/1.1 200 OK"))
        wire.channel.embeddedEventLoop.advanceTime(by: .seconds(4))
        #expect(wire.channel.isActive)
        try wire.send(String(text.dropFirst(length)))
        #expect(try wire.sent.hasPrefix("HTTP/1.1 200 OK"))
        wire.channel.embeddedEventLoop.advanceTime(by: .seconds(20))
        try wire.send(text + text.prefix(length))
        #expect(try wire.sent.hasPrefix("HTTP/1.1 200 OK"))
        wire.channel.embeddedEventLoop.advanceTime(by: .seconds(6))
        #expect(!wire.channel.isActive)
    }

    @Test func idleTimeBeginsAnewWithEachAnswer() throws {
        let wire = try Wire()
        for _ in 0..<5 {
            wire.channel.embeddedEventLoop.advanceTime(by: .seconds(20))
            try wire.send(ProviderConnectionTests.request(["signed"]))
        }
        #expect(wire.channel.isActive)
        wire.channel.embeddedEventLoop.advanceTime(by: .seconds(29))
        #expect(wire.channel.isActive)
        wire.channel.embeddedEventLoop.advanceTime(by: .seconds(2))
        #expect(!wire.channel.isActive)
    }

    @Test(arguments: [
        ("/ratify/gatekeeper/v1/verify", "/ratify/gatekeeper/v1/verify"), ("/a?b=/c?d", "/a"), ("/", "/"),
        ("//a", "//a"),
        ("https://host:1/a/b?c", "/a/b"), ("http://host", "/"), ("https://host?x/y", "/"), ("*", "/"),
        ("host:443", "/"),
        ("?x", "/"),
    ])
    func pathsOfTargets(target: String, path: String) {
        #expect(HTTPRequestHead(version: .http1_1, method: .POST, uri: target).path == path)
    }
}
