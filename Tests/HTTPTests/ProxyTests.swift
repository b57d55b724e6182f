import HTTP
import TestSupport
import Testing

/// Requests through a proxy, as the wire shows them. The hosts asked for do not exist: only the proxy can answer.
@Suite struct ProxyTests {
    private func configuration(_ proxy: ScriptedServer, credentials: String = "", noProxy: String = "")
        -> HTTPClientConfiguration
    {
        let address = "http://\(credentials)127.0.0.1:\(proxy.port)"
        return .init(environment: ["HTTP_PROXY": address, "https_proxy": address, "NO_PROXY": noProxy])
    }

    @Test func plainRequestsGoThroughTheProxy() async throws {
        let proxy = try ScriptedServer(answers: [[.reply(200, body: "by proxy")]])
        defer { proxy.stop() }
        try await withClient(configuration(proxy, credentials: "user:pass@")) { client in
            let response = try await client.send(.init(.get, "http://registry.invalid/v2/", deadline: soon))
            #expect(response.body == Array("by proxy".utf8))
        }
        let request = try #require(proxy.requests.first)
        #expect(request.target == "http://registry.invalid/v2/")
        #expect(request.header("Proxy-Authorization") == "Basic dXNlcjpwYXNz")
    }

    @Test func secureRequestsAskForATunnelAndShowTheProxyNoHeaders() async throws {
        let proxy = try ScriptedServer(answers: [[.reply(403), .close]])
        defer { proxy.stop() }
        let request = HTTPRequest(
            .get, "https://registry.invalid/v2/", headers: ["Authorization": "Bearer secret"], deadline: soon)
        let error = await failure(request, configuration(proxy, credentials: "user:pass@"))
        #expect(error?.kind == .proxy)
        #expect(error?.attempts == 1)
        #expect(error?.description.contains("403") == true)
        #expect(error?.description.contains("pass") == false)
        let seen = try #require(proxy.requests.first)
        #expect(seen.method == "CONNECT")
        #expect(seen.target == "registry.invalid:443")
        #expect(seen.header("Authorization") == nil)
        #expect(seen.header("Proxy-Authorization") == "Basic dXNlcjpwYXNz")
    }

    @Test func exceptionsGoDirectly() async throws {
        let proxy = try ScriptedServer(answers: [[.reply(200)]])
        defer { proxy.stop() }
        let error = await failure(
            .init(.get, "http://registry.invalid/", deadline: soon, retry: .none),
            configuration(proxy, noProxy: "other,.invalid"))
        #expect(error?.kind == .dns)
        #expect(proxy.requests.isEmpty)
    }

    @Test func loopbackGoesDirectly() async throws {
        let proxy = try ScriptedServer(answers: [[.reply(500)]])
        let server = try ScriptedServer(answers: [[.reply(200)]])
        defer {
            proxy.stop()
            server.stop()
        }
        try await withClient(configuration(proxy)) { client in
            try await expectAnswer(client, server.url)
        }
        #expect(proxy.requests.isEmpty)
    }

    @Test func unreachableProxiesAreOfTheirOwnKind() async throws {
        let proxy = try ScriptedServer(answers: [[]])
        proxy.stop()
        try await Task.sleep(for: .milliseconds(50))
        let error = await failure(
            .init(.get, "http://registry.invalid/", deadline: soon, retry: .none), configuration(proxy))
        #expect(error?.kind == .proxy)
        #expect(error?.isTransient == true)
        #expect(error?.description.contains("127.0.0.1:\(proxy.port)") == true)
    }

    @Test func unusableAddressesAreRefusedAtTheStart() {
        let error = #expect(throws: HTTPError.self) {
            try HTTPClient(configuration: .init(environment: ["HTTPS_PROXY": "quic://p"]))
        }
        #expect(error?.kind == .configuration)
    }
}
