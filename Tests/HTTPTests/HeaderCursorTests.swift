import Testing

@testable import HTTP

@Suite struct HeaderCursorTests {
    @Test func readsAHeadersPartsInTheirOrder() {
        var cursor = HeaderCursor("\t , Basic \trealm = \"a, \\\"b\\\"\" ;x")
        cursor.skipListSeparators()
        #expect(cursor.token() == "Basic")
        #expect(cursor.token() == nil)
        cursor.skipSpaces()
        #expect(cursor.tokenOrQuotedString() == "realm")
        cursor.skip { $0 != UInt8(ascii: "\"") }
        #expect(cursor.token() == nil)
        #expect(cursor.tokenOrQuotedString() == "a, \"b\"")
        cursor.skipListSeparators()
        #expect(cursor.peek == UInt8(ascii: ";"))
        cursor.position += 1
        #expect(cursor.token() == "x")
        #expect(cursor.peek == nil && cursor.position == cursor.bytes.count)
    }

    /// RFC 9110, section 5.6.2: any visible character of ASCII but delimiters.
    @Test func oneRuleOfWhatATokenIs() {
        let delimiters = Array("\"(),/:;<=>?@[\\]{}".utf8)
        for byte in UInt8.min...UInt8.max {
            let isToken = (0x21...0x7E).contains(byte) && !delimiters.contains(byte)
            #expect(HTTPHeaders.isTokenByte(byte) == isToken, "\(byte)")
        }
        for delimiter in delimiters {
            var cursor = HeaderCursor("a\(Character(UnicodeScalar(delimiter)))b")
            #expect(cursor.token() == "a")
            #expect(cursor.token() == nil && cursor.position == 1)
        }
    }

    @Test(arguments: [
        (#""""#, ""), (#""a""#, "a"), (#""a\b\"\\""#, #"ab"\"#), ("\"\u{E4}\t\"", "\u{E4}\t"), (#""a"b"#, "a"),
        (#"""#, nil), (#""a"#, nil), (#""a\"#, nil), (#""a\""#, nil), ("a", nil), ("", nil), (" \"a\"", nil),
    ])
    func quotedStrings(_ value: String, _ text: String?) {
        var cursor = HeaderCursor(value)
        #expect(cursor.quotedString() == text)
        // What cannot be read is not passed.
        #expect(text != nil || cursor.position == 0)
    }

    @Test func aHeaderThatIsEmptyOrAtItsEndHasNothing() {
        var cursor = HeaderCursor(" ")
        cursor.skipSpaces()
        for _ in 0..<2 {
            cursor.skipSpaces()
            cursor.skipListSeparators()
            #expect(cursor.peek == nil && cursor.token() == nil && cursor.tokenOrQuotedString() == nil)
            #expect(cursor.position == 1)
        }
    }
}
