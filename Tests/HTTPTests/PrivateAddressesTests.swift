import TestSupport
import Testing

@testable import HTTP
@testable import IPAddresses

/// Requests to where strangers point: judged by the address that is connected to, not by the name.
@Suite struct PrivateAddressesTests {
    private func request(_ url: String, _ addresses: PrivateAddresses, redirects: PrivateAddresses = .refused)
        -> HTTPRequest
    {
        var request = HTTPRequest(.get, url, deadline: soon, retry: .none, redirects: .follow(maximum: 3))
        request.privateAddresses = addresses
        request.redirectsToPrivateAddresses = redirects
        return request
    }

    /// Names, unusual ways to write 127.0.0.1, IPv6: nothing reaches the server.
    @Test func noWayToWriteItHelps() async throws {
        let server = try ScriptedServer(answers: [[.reply(200)]])
        defer { server.stop() }
        for host in ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "127.1", "[::ffff:127.0.0.1]"] {
            let error = await failure(request("http://\(host):\(server.port)/", .refused))
            #expect(error?.kind == .addressRefused, "\(host): \(error?.description ?? "answered")")
            #expect(error?.isTransient == false)
            #expect(error?.description.contains("an address of this machine itself") == true)
            #expect(error?.description.contains("allowPrivateAddresses") == true)
        }
        #expect(server.connections == 0)
    }

    @Test func metadataServicesAreNotAsked() async throws {
        let error = await failure(request("http://169.254.169.254/latest/meta-data/", .refused))
        #expect(error?.kind == .addressRefused)
        #expect(error?.description.contains("169.254.169.254 is a link-local address") == true)
    }

    @Test func whatIsAllowedIsAsked() async throws {
        let server = try ScriptedServer(answers: [[.reply(200)]])
        defer { server.stop() }
        try await withClient { client in
            let block = try #require(AddressBlock("127.0.0.0/30"))
            let answer1 = try await client.send(request(server.url, .only([block])))
            #expect(answer1.status == 200)
            let answer2 = try await client.send(request(server.url, .allowed))
            #expect(answer2.isFromPrivateAddress)
        }
        let other = try #require(AddressBlock("127.0.1.0/24"))
        #expect(await failure(request(server.url, .only([other])))?.kind == .addressRefused)
        // Private networks are not this machine.
        #expect(await failure(request(server.url, .refused.withPrivateNetworks))?.kind == .addressRefused)
    }

    /// A connection that somebody made who was allowed to is not for everyone.
    @Test func anOpenConnectionIsNoWayAround() async throws {
        let server = try ScriptedServer(answers: [[.reply(200)]])
        defer { server.stop() }
        try await withClient { client in
            let answer3 = try await client.send(request(server.url, .allowed))
            #expect(answer3.status == 200)
            do throws(HTTPError) {
                _ = try await client.send(request(server.url, .refused))
                Issue.record("answered")
            } catch { #expect(error.kind == .addressRefused, "\(error)") }
            let answer4 = try await client.send(request(server.url, .allowed))
            #expect(answer4.status == 200)
        }
        #expect(server.requests.count == 2)
    }

    @Test func redirectsAreJudged() async throws {
        let inside = try ScriptedServer(answers: [[.reply(200, body: "secret")]])
        let server = try ScriptedServer { [port = inside.port] request in
            switch request.target {
            case "/self": [.reply(302, headers: [("Location", "/here")])]
            case "/here": [.reply(200, body: "here")]
            case "/metadata": [.reply(302, headers: [("Location", "http://169.254.169.254/")])]
            default: [.reply(302, headers: [("Location", "http://localhost:\(port)/")])]
            }
        }
        defer {
            inside.stop()
            server.stop()
        }
        for path in ["/metadata", "/inside"] {
            let error = await failure(request(server.url + path, .allowed))
            #expect(error?.kind == .addressRefused, "\(path): \(error?.description ?? "answered")")
        }
        #expect(inside.connections == 0)
        try await withClient { client in
            // A host may lead to itself, wherever it is.
            let answer5 = try await client.send(request(server.url + "/self", .allowed))
            #expect(answer5.body == Array("here".utf8))
            let allowed = request(server.url + "/inside", .allowed, redirects: .allowed)
            let answer6 = try await client.send(allowed)
            #expect(answer6.body == Array("secret".utf8))
        }
    }

    @Test func aHostInAPrivateNetworkMayLeadToAnotherOneThere() throws {
        let (inside, outside) = (IPAddress("10.0.0.5"), IPAddress("8.8.8.8"))
        let storage = try #require(IPAddress("10.0.0.9"))
        func refusal(from: IPAddress?, to: String, isSame: Bool = false) throws -> AddressScope? {
            AddressRule.redirect(from: from, toSameOrigin: isSame, .refused)
                .refusal(of: try #require(IPAddress(to)))
        }
        #expect(try refusal(from: inside, to: "10.0.0.9") == nil)
        #expect(try refusal(from: outside, to: "10.0.0.9") == .privateNetwork)
        #expect(try refusal(from: nil, to: "10.0.0.9") == .privateNetwork)
        #expect(try refusal(from: inside, to: "169.254.169.254") == .linkLocal)
        #expect(try refusal(from: inside, to: "127.0.0.1") == .loopback)
        #expect(try refusal(from: inside, to: "8.8.4.4") == nil)
        // The same name with another address: DNS rebinding.
        #expect(try refusal(from: outside, to: "127.0.0.1", isSame: true) == .loopback)
        #expect(try refusal(from: outside, to: "10.0.0.9", isSame: true) == .privateNetwork)
        #expect(AddressRule.redirect(from: storage, toSameOrigin: true, .refused).refusal(of: storage) == nil)
    }

    /// Behind a proxy the URL is all there is.
    @Test func throughAProxyAddressesInTheURLAreJudged() async throws {
        let proxy = try ScriptedServer(answers: [[.reply(200, body: "by proxy")]])
        defer { proxy.stop() }
        let configuration = HTTPClientConfiguration(environment: ["HTTP_PROXY": "http://127.0.0.1:\(proxy.port)"])
        for host in ["10.0.0.1", "169.254.169.254", "2130706433", "0x7f.1", "[fd00::1]", "metadata.google.internal"] {
            let error = await failure(request("http://\(host)/", .refused), configuration)
            #expect(error?.kind == .addressRefused, "\(host): \(error?.description ?? "answered")")
        }
        #expect(proxy.connections == 0)
        try await withClient(configuration) { client in
            let answer7 = try await client.send(request("http://ocsp.invalid/", .refused))
            #expect(answer7.body == Array("by proxy".utf8))
        }
    }
}
