import Testing

@testable import HTTP

@Suite struct HTTPURLTests {
    @Test(
        arguments: [
            ("https://registry.example/v2/", "https", "registry.example", 443, "/v2/"),
            ("HTTP://Registry.Example:5000", "http", "registry.example", 5000, "/"),
            ("https://[2001:DB8::1]:5000/a?b=c#d", "https", "2001:db8::1", 5000, "/a?b=c"),
            ("https://host?x=/y", "https", "host", 443, "/?x=/y"),
            ("http://127.0.0.1:80/a/../b", "http", "127.0.0.1", 80, "/a/../b"),
        ] as [(String, String, String, Int, String)])
    func readsURLs(text: String, scheme: String, host: String, port: Int, target: String) throws {
        let url = try HTTPURL(parsing: text)
        #expect(url.scheme.rawValue == scheme)
        #expect(url.host == host)
        #expect(url.port == port)
        #expect(url.target == target)
        #expect(try HTTPURL(parsing: url.text) == url)
    }

    @Test(
        arguments: [
            "", "registry.example/v2/", "ftp://host/", "file:///etc/passwd", "https:/host/", "https:///path",
            "https://user:secret@host/", "https://host@evil/", "https://host:0/", "https://host:65536/",
            "https://host:/", "https://host:80a/", "https://ho st/", "https://host/a b", "https://host/a\r\nX: y",
            "https://host\\@evil/", "https://hôst/", "https://host/ü", "https://[::1/", "https://[nothost]/",
            "https://[::1]x/", "https://%31%32/", "https://host/\u{0}", "https://[fe80::1%25eth0]/",
        ])
    func refuses(text: String) {
        #expect(throws: HTTPURLError.self) { try HTTPURL(parsing: text) }
    }

    @Test func errorsDoNotRepeatTheURL() {
        let error = #expect(throws: HTTPURLError.self) { try HTTPURL(parsing: "https://user:hunter2@host/") }
        #expect(error?.description.contains("hunter2") == false)
    }

    @Test(
        arguments: [
            ("/other?x=1", "https://a.example/other?x=1"), ("next", "https://a.example/v2/x/next"),
            ("?last=b", "https://a.example/v2/x/tags?last=b"), ("../up", "https://a.example/v2/up"),
            ("./", "https://a.example/v2/x/"), ("../../../../top", "https://a.example/top"),
            ("//b.example/p", "https://b.example/p"), ("http://c.example:81/q#f", "http://c.example:81/q"),
            ("", "https://a.example/v2/x/tags?n=1"), ("#f", "https://a.example/v2/x/tags?n=1"),
            ("/a/./b/../c", "https://a.example/a/c"), ("x/blobs/sha256:ab", "https://a.example/v2/x/x/blobs/sha256:ab"),
        ])
    func resolvesReferences(reference: String, expected: String) throws {
        let base = try HTTPURL(parsing: "https://a.example/v2/x/tags?n=1")
        #expect(try base.resolving(reference).text == expected)
    }

    @Test(arguments: ["javascript:alert(1)", "ftp://x/", "/a b", "/a\nb", "//user@x/"])
    func refusesReferences(reference: String) throws {
        let base = try HTTPURL(parsing: "https://a.example/")
        #expect(throws: HTTPURLError.self) { try base.resolving(reference) }
    }

    @Test func originsAreSchemeHostAndPort() throws {
        let url = try HTTPURL(parsing: "https://a.example/x")
        #expect(url.hasSameOrigin(as: try HTTPURL(parsing: "https://A.EXAMPLE:443/y?z")))
        for other in ["http://a.example/x", "https://a.example:444/x", "https://b.a.example/x"] {
            #expect(!url.hasSameOrigin(as: try HTTPURL(parsing: other)))
        }
    }
}
