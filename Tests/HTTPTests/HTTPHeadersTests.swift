import Testing

@testable import HTTP

@Suite struct HTTPHeadersTests {
    @Test func namesCompareWithoutCase() {
        var headers: HTTPHeaders = ["Link": "a", "Accept": "x", "link": "b"]
        #expect(headers["LINK"] == "a")
        #expect(headers.all("link") == ["a", "b"])
        headers.set("LINK", "c")
        #expect(headers.all("link") == ["c"])
        headers["accept"] = nil
        #expect(headers["Accept"] == nil)
        #expect(headers.fields.count == 1)
    }

    @Test(
        arguments: [
            ("X", "a\r\nEvil: b"), ("X", "a\nb"), ("X", "a\u{0}b"), ("X\r\nEvil", "a"), ("X Y", "a"), ("", "a"),
            ("X:", "a"), ("Host", "other"), ("content-length", "5"), ("Transfer-Encoding", "chunked"),
        ])
    func refusesInjection(name: String, value: String) {
        #expect(HTTPHeaders(dictionaryLiteral: (name, value)).problem != nil)
    }

    @Test func acceptsWhatIsRight() {
        #expect(
            (["Authorization": "Bearer a.b-c=", "Accept": "a/b, c/d;q=0.1", "X": ""] as HTTPHeaders).problem == nil)
    }
}
