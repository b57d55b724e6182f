import Testing

@testable import HTTP

@Suite struct ProxySettingsTests {
    private func proxy(_ environment: [String: String], for url: String) throws -> String? {
        try ProxySettings(environment: environment).proxy(for: try HTTPURL(parsing: url))?.url
    }

    @Test func schemesHaveTheirOwnProxy() throws {
        let environment = ["HTTPS_PROXY": "http://secure.example:3128", "HTTP_PROXY": "plain.example:8080"]
        #expect(try proxy(environment, for: "https://r.example/") == "http://secure.example:3128")
        #expect(try proxy(environment, for: "http://r.example/") == "http://plain.example:8080")
        #expect(try proxy([:], for: "http://r.example/") == nil)
        #expect(try proxy(["HTTPS_PROXY": ""], for: "https://r.example/") == nil)
    }

    @Test func lowerCaseWins() throws {
        let environment = ["HTTPS_PROXY": "http://upper:1", "https_proxy": "http://lower:2"]
        #expect(try proxy(environment, for: "https://r.example/") == "http://lower:2")
    }

    @Test func upperCaseHTTPProxyIsIgnoredInCGI() throws {
        let environment = ["HTTP_PROXY": "http://evil:1", "REQUEST_METHOD": "GET"]
        #expect(try proxy(environment, for: "http://r.example/") == nil)
        #expect(
            try proxy(environment.merging(["http_proxy": "http://own:2"]) { $1 }, for: "http://r.example/")
                == "http://own:2")
    }

    @Test(
        arguments: [
            ("*", "r.example", false), ("r.example", "r.example", false), ("example", "r.example", false),
            ("r.example", "xr.example", true), (".example", "r.example", false), (".r.example", "r.example", true),
            ("*.example", "r.example", false), ("R.Example", "r.example", false),
            ("a, r.example ,b", "r.example", false),
            ("r.example:443", "r.example", false), ("r.example:5000", "r.example", true),
            ("10.0.0.0/8", "10.1.2.3", false),
            ("10.0.0.0/8", "11.1.2.3", true), ("10.1.2.3", "10.1.2.3", false), ("10.1.2.3:443", "10.1.2.3", false),
            ("10.1.2.3:80", "10.1.2.3", true), ("fd00::/8", "[fd12::1]", false), ("fd00::/8", "[fe80::1]", true),
            ("[fd12::1]:443", "[fd12::1]", false), ("10.0.0.0/9", "10.128.0.1", true),
            ("10.0.0.0/33", "10.0.0.0", true),
            ("other.example", "localhost", false), ("other.example", "127.9.9.9", false),
            ("other.example", "[::1]", false),
            ("", "r.example", true), ("10.0.0.0/8", "[::ffff:10.1.1.1]", false),
        ])
    func noProxy(list: String, host: String, isProxied: Bool) throws {
        let environment = ["HTTPS_PROXY": "http://p:1", "NO_PROXY": list]
        #expect(try (proxy(environment, for: "https://\(host)/") != nil) == isProxied)
    }

    @Test func credentialsAreDecodedAndKeptOutOfTheAddress() throws {
        let settings = try ProxySettings(environment: ["HTTPS_PROXY": "https://us%40er:p%3Ass@p.example/"])
        let proxy = try #require(settings.proxy(for: try HTTPURL(parsing: "https://r.example/")))
        #expect(proxy.url == "https://p.example:443")
        #expect(proxy.user == "us@er")
        #expect(proxy.password == "p:ss")
    }

    @Test(
        arguments: ["ftp://p:1", "http://", "http://p:x", "http://u:%zz@p:1", "http://p p:1", "http://u%0d:x@p:1"])
    func refusesAddresses(text: String) {
        let error = #expect(throws: HTTPError.self) { try ProxySettings(environment: ["https_proxy": text]) }
        #expect(error?.kind == .configuration)
        #expect(error?.description.contains("https_proxy") == true)
    }

    @Test func errorsDoNotRepeatThePassword() {
        let error = #expect(throws: HTTPError.self) {
            try ProxySettings(environment: ["https_proxy": "ftp://u:hunter2@p:1"])
        }
        #expect(error?.description.contains("hunter2") == false)
    }
}
