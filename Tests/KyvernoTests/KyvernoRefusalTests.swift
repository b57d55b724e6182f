import TestSupport
import Testing

@testable import Kyverno

/// Requests that are not answered with a verdict: who sends them is told why, once.
@Suite struct KyvernoRefusalTests {
    /// How many lines are about refused requests.
    private func refusals(_ log: LogCapture) -> Int { log.lines.count { $0.contains("request refused") } }

    /// Without a certificate or a token, many requests at once, and none of the answers is read.
    @Test func whoIsNotKnownGetsOneAnswer() async throws {
        let kyverno = try await RunningKyverno()
        let flood = String(repeating: "GET / HTTP/1.1\r\nHost: x\r\n\r\n", count: 4000)
        var clients: [TestClient] = []
        for _ in 0..<10 {
            let client = try await TestClient.connect(port: kyverno.port, kyverno.options)
            // The connection ends before all is sent.
            try? await client.send(flood)
            clients.append(client)
            #expect(try await kyverno.ask(#"{"images": ["registry.example/signed:v1"]}"#).status == 200)
        }
        for client in clients { #expect(await client.isClosed(within: .seconds(60))) }
        #expect((1...10).contains(refusals(kyverno.provider.log)), "\(refusals(kyverno.provider.log)) lines")
        #expect(kyverno.provider.metrics.render().contains(#"refusals_total{reason="unknown route"} 10"#))
    }

    @Test(arguments: ["/", "/kyverno/v1/verify"])
    func aRefusalIsTheLastAnswer(path: String) async throws {
        let kyverno = try await RunningKyverno()
        let client = try await TestClient.connect(port: kyverno.port, kyverno.options)
        let reply = try await client.ask("POST", path, body: "{}")
        #expect(reply.status == (path == "/" ? 404 : 401))
        #expect(reply.headers["connection"] == "close")
        #expect(await client.isClosed(within: .seconds(60)))
    }

    /// Kyverno's answers have another shape.
    @Test func kyvernoIsToldInItsOwnWords() async throws {
        let kyverno = try await RunningKyverno()
        let client = try await TestClient.connect(port: kyverno.port, kyverno.options)
        try await client.send("POST /kyverno/v1/verify HTTP/1.1\r\n\r\n")
        let reply = try await client.reply()
        #expect(reply.status == 400)
        #expect(try reply.json["verified"] == false)
        #expect(try reply.json["message"]?.string?.contains("no Host") == true)
    }
}
