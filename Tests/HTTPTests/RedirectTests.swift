import HTTP
import TestSupport
import Testing

/// Where redirects lead, and what goes along.
@Suite struct RedirectTests {
    private let credentials: HTTPHeaders = [
        "Authorization": "Bearer secret", "Cookie": "secret", "X-Token": "secret", "Accept": "application/x",
    ]

    @Test func areReturnedUnlessFollowed() async throws {
        let server = try ScriptedServer(answers: [[.reply(307, headers: [("Location", "/next")], body: "moved")]])
        defer { server.stop() }
        try await withClient { client in
            let response = try await client.send(.init(.get, server.url, deadline: soon))
            #expect(response.status == 307)
            #expect(response.headers["Location"] == "/next")
            #expect(response.body == Array("moved".utf8))
        }
    }

    @Test func keepCredentialsOnTheSameOrigin() async throws {
        let server = try ScriptedServer {
            $0.target == "/first" ? [.reply(307, headers: [("Location", "next?x=1")])] : [.reply(200, body: "ok")]
        }
        defer { server.stop() }
        try await withClient { client in
            let response = try await client.send(
                .init(.get, "\(server.url)/first", headers: credentials, deadline: soon, redirects: .follow(maximum: 3))
            )
            #expect(response.body == Array("ok".utf8))
            #expect(response.url == "\(server.url)/next?x=1")
            #expect(response.attempts == 1)
        }
        #expect(server.requests.last?.header("Authorization") == "Bearer secret")
        #expect(server.connections == 1)
    }

    @Test(arguments: [301, 302, 303, 307, 308])
    func dropCredentialsForAnotherOriginAndNeverBringThemBack(status: Int) async throws {
        let storage = try ScriptedServer { request in
            [.reply(302, headers: [("Location", "\(request.header("X-Back") ?? "")" + request.target.dropFirst())])]
        }
        let registry = try ScriptedServer { [port = storage.port] request in
            request.target == "/blob"
                ? [
                    .reply(
                        status,
                        headers: [
                            (
                                "Location",
                                "http://127.0.0.1:\(port)/http://127.0.0.1:\(request.header("Host")?.split(separator: ":").last ?? "")/back"
                            )
                        ])
                ]
                : [.reply(200, body: "content")]
        }
        defer {
            storage.stop()
            registry.stop()
        }
        try await withClient { client in
            let response = try await client.send(
                .init(
                    .get, "\(registry.url)/blob", headers: credentials, deadline: soon, redirects: .follow(maximum: 5)))
            #expect(response.body == Array("content".utf8))
        }
        let away = try #require(storage.requests.first)
        let back = try #require(registry.requests.last)
        #expect(back.target == "/back")
        for request in [away, back] {
            #expect(request.header("Authorization") == nil)
            #expect(request.header("Cookie") == nil)
            #expect(request.header("X-Token") == nil)
            #expect(request.header("Accept") == "application/x")
        }
    }

    @Test func areBounded() async throws {
        let server = try ScriptedServer(answers: [[.reply(302, headers: [("Location", "/again")])]])
        defer { server.stop() }
        let error = await failure(.init(.get, server.url, deadline: soon, redirects: .follow(maximum: 3)))
        #expect(error?.kind == .tooManyRedirects)
        #expect(server.requests.count == 4)
    }

    @Test func ofRequestsThatSendSomethingAreRefused() async throws {
        let server = try ScriptedServer(answers: [[.reply(307, headers: [("Location", "/next")])]])
        defer { server.stop() }
        let error = await failure(.init(.post, server.url, body: [1], deadline: soon, redirects: .follow(maximum: 3)))
        #expect(error?.kind == .redirectRefused)
        #expect(server.requests.count == 1)
    }

    @Test(arguments: ["ftp://x/", "file:///etc/passwd", "http://user:pass@127.0.0.1/", "http://a b/"])
    func toUnusableAddressesAreRefused(location: String) async throws {
        let server = try ScriptedServer(answers: [[.reply(302, headers: [("Location", location)])]])
        defer { server.stop() }
        let error = await failure(.init(.get, server.url, deadline: soon, redirects: .follow(maximum: 3)))
        #expect(error?.kind == .redirectRefused)
        #expect(error?.description.contains("pass") == false)
    }

    @Test func failuresBehindARedirectNameTheOtherHostWithoutItsQuery() async throws {
        let storage = try ScriptedServer(answers: [[.reply(503)]])
        let server = try ScriptedServer { [port = storage.port] _ in
            [.reply(302, headers: [("Location", "http://127.0.0.1:\(port)/blob?sig=secret")])]
        }
        defer {
            storage.stop()
            server.stop()
        }
        let error = await failure(.init(.get, server.url, deadline: soon, retry: .none, redirects: .follow(maximum: 3)))
        #expect(error?.kind == .status(503))
        #expect(error?.host == "127.0.0.1:\(storage.port)")
        #expect(error?.description.contains("secret") == false)
    }
}
