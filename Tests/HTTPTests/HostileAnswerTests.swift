import HTTP
import TestSupport
import Testing

/// What a host could send to make the client work, wait or grow.
@Suite struct HostileAnswerTests {
    private func answer(_ text: String) async throws -> HTTPError? {
        let server = try ScriptedServer(answers: [[.bytes(text), .close]])
        defer { server.stop() }
        return await failure(.init(.get, server.url, deadline: soon, retry: .none))
    }

    @Test func headersAreBounded() async throws {
        let many = (0..<400).map { "X-\($0): \(String(repeating: "a", count: 1000))\r\n" }.joined()
        let error = try await answer("HTTP/1.1 200 OK\r\n\(many)Content-Length: 0\r\n\r\n")
        #expect(error?.kind == .protocolFault)
        #expect(
            error?.description.contains("headers are larger than 262144 bytes") == true, "\(error?.description ?? "")")
        let long = try await answer("HTTP/1.1 200 OK\r\nX: \(String(repeating: "a", count: 2 << 20))\r\n\r\n")
        #expect(long?.isTransient == true)
    }

    /// White space before the colon, or anything else that names do not have, would make another name of it: the header
    /// that says that there is more would not be there (RFC 9112, section 5.1).
    @Test(arguments: [
        "Link : </v2/app/referrers/x?page=2>; rel=\"next\"", "Link\t: </x>; rel=\"next\"",
        "Link </v2/app/referrers/sha256:x?page=2>; rel=\"next\"", "L\u{EF}nk: </x>; rel=\"next\"", "\"Link\": </x>",
        "Li\u{0}nk: </x>", "X: y\rLink: </x>; rel=\"next\"",
    ])
    func aHeadersNameIsAToken(line: String) async throws {
        let error = try await answer("HTTP/1.1 200 OK\r\n\(line)\r\nContent-Length: 0\r\n\r\n")
        #expect(error?.isTransient == true, "\(line)")
    }

    /// A small body cannot become a huge one.
    @Test func nothingIsDecompressed() async throws {
        let server = try ScriptedServer(answers: [
            [
                .reply(
                    200, headers: [("Content-Encoding", "gzip"), ("Content-Type", "application/json")], body: "not gzip"
                )
            ]
        ])
        defer { server.stop() }
        try await withClient { client in
            let response = try await client.send(.init(.get, server.url, deadline: soon))
            #expect(response.body == Array("not gzip".utf8))
        }
        #expect(server.requests.first?.header("Accept-Encoding") == nil)
    }

    @Test func longURLsAreRefused() async {
        let error = await failure(
            .init(.get, "http://127.0.0.1/\(String(repeating: "a", count: 20_000))", deadline: soon))
        #expect(error?.kind == .invalidURL)
        #expect(error?.description.contains("longer than 16384 bytes") == true)
    }

    /// Interim answers without an end.
    @Test func interimAnswersEndWithTheDeadline() async throws {
        let server = try ScriptedServer(answers: [
            [.bytes(String(repeating: "HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n", count: 20_000))]
        ])
        defer { server.stop() }
        let start = ContinuousClock.now
        let error = await failure(.init(.get, server.url, deadline: .now + .seconds(2), retry: .none))
        #expect(error?.isTransient == true)
        #expect(start.duration(to: .now) < .seconds(60))
    }
}
