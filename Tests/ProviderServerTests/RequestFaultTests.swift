import ProviderTestSupport
import TestSupport
import Testing

@testable import ProviderServer

/// Requests that HTTP itself does not allow, or the limits: each is told why, once.
@Suite struct RequestFaultTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        let text: String
        let status: Int
        let reason: String
        let says: String

        var testDescription: String { name }
    }

    private static let start = "POST /ratify/gatekeeper/v1/verify HTTP/1.1\r\nHost: x\r\n"

    private static let cases = [
        Case(
            name: "a long field", text: start + "X: " + String(repeating: "x", count: 20_000) + "\r\n\r\n", status: 431,
            reason: "head too large", says: "16384 bytes"),
        Case(
            name: "many fields", text: start + String(repeating: "X: y\r\n", count: 200) + "\r\n", status: 431,
            reason: "head too large", says: "100 fields"),
        Case(
            name: "a long target",
            text: "POST /" + String(repeating: "x", count: 20_000) + " HTTP/1.1\r\nHost: x\r\n\r\n",
            status: 414, reason: "target too long", says: "16384 bytes"),
        Case(
            name: "long trailers",
            text: start + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX: "
                + String(repeating: "x", count: 20_000)
                + "\r\n\r\n", status: 431, reason: "trailers too large", says: "after the body"),
        Case(
            name: "no host", text: "POST /ratify/gatekeeper/v1/verify HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
            status: 400,
            reason: "host", says: "no Host"),
        Case(
            name: "two hosts", text: start + "hOST: y\r\nContent-Length: 0\r\n\r\n", status: 400, reason: "host",
            says: "2 Host"),
        Case(name: "no HTTP", text: "HELO example.com\r\n\r\n", status: 400, reason: "not HTTP", says: "not HTTP/1.1"),
        Case(
            name: "TLS", text: "\u{16}\u{3}\u{1}\u{1}\u{1}\r\n\r\n", status: 400, reason: "not HTTP",
            says: "speaks TLS"),
        Case(
            name: "another version", text: "GET / HTTP/3.7\r\nHost: x\r\n\r\n", status: 505, reason: "version",
            says: "HTTP/1.1"),
        Case(
            name: "a length that is none", text: start + "Content-Length: many\r\n\r\n", status: 400, reason: "framing",
            says: "Content-Length"),
        Case(
            name: "two lengths", text: start + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", status: 400,
            reason: "framing", says: "Content-Length"),
        Case(
            name: "a length and chunks",
            text: start + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            status: 400, reason: "framing", says: "Transfer-Encoding"),
    ]

    @Test(arguments: cases) func isToldWhyAndClosed(fault: Case) async throws {
        let provider = try await RunningProvider(isTLS: false)
        let client = try await TestClient.connect(port: provider.ports.provider)
        try await client.send(fault.text)
        let reply = try await client.reply()
        #expect(reply.status == fault.status)
        #expect(reply.headers["connection"] == "close")
        // Gatekeeper does not look at the status: the body says no too.
        let trace = try #require(reply.headers["x-trace-id"])
        let error = try #require(try reply.json["response"]?["systemError"]?.string, "\(reply.text)")
        #expect(error.contains(fault.says) && error.contains(trace), "\(error)")
        #expect(await client.isClosed(within: .seconds(60)))
        #expect(await provider.hasMetric("countersign_http_errors_total{reason=\"\(fault.reason)\"} 1"))
        #expect(await provider.hasLogged("request refused", fault.says, trace, "client=127.0.0.1"))
        #expect(provider.service.keys.isEmpty)
        #expect(
            try await TestClient.post(port: provider.ports.provider, body: TestClient.request(["signed"])).status == 200
        )
    }

    /// An older client need not name the host.
    @Test func theHostIsForHTTP11() async throws {
        let provider = try await RunningProvider(isTLS: false)
        let client = try await TestClient.connect(port: provider.ports.provider)
        let body = TestClient.request(["signed"])
        try await client.send(
            "POST /ratify/gatekeeper/v1/verify HTTP/1.0\r\nContent-Length: \(body.utf8.count)\r\n\r\n" + body)
        #expect(try await client.reply().status == 200)
    }

    /// A head of exactly so many fields is taken.
    @Test func asManyFieldsAsThereMayBe() async throws {
        let provider = try await RunningProvider(isTLS: false)
        let client = try await TestClient.connect(port: provider.ports.provider)
        // Host, Content-Type and Content-Length are the others.
        #expect(try await client.verify(["signed"], headers: Array(repeating: "X: y", count: 97)).status == 200)
    }
}
