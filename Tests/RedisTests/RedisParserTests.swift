import Testing

@testable import Redis

@Suite struct RedisParserTests {
    private func parse(_ text: String) throws -> RedisValue? { try RedisParser().parse(Array(text.utf8))?.value }

    @Test(arguments: [
        ("+OK\r\n", RedisValue.simple("OK")), ("-ERR no\r\n", .error("ERR no")), (":-12\r\n", .integer(-12)),
        ("$3\r\na\nb\r\n", .bulk(Array("a\nb".utf8))), ("$0\r\n\r\n", .bulk([])), ("$-1\r\n", .null),
        ("*-1\r\n", .null),
        ("*2\r\n$1\r\na\r\n*1\r\n:1\r\n", .array([.bulk([97]), .array([.integer(1)])])), ("*0\r\n", .array([])),
    ])
    func replies(_ text: String, _ value: RedisValue) throws {
        #expect(try parse(text) == value)
        // Byte by byte there is nothing until it is whole.
        let bytes = Array(text.utf8)
        for count in 0..<bytes.count { #expect(try RedisParser().parse(bytes[..<count]) == nil) }
        #expect(try RedisParser().parse(bytes + [0x2B])?.count == bytes.count)
    }

    @Test(arguments: [
        "HTTP/1.1 400 Bad Request\r\n", "\u{1}", "$x\r\n", "$99999999999\r\n", ":1x\r\n", "+OK\rx", "$1\r\nabc",
        "*9999\r\n",
        "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", "$92233720368547758080\r\n", "+" + String(repeating: "a", count: 5000),
    ])
    func whatIsNoReply(_ text: String) {
        // Some need the end of a line to be seen.
        #expect(throws: RedisProtocolError.self) { try RedisParser().parse(Array((text + "\r\n").utf8)) }
    }

    @Test func commands() {
        #expect(
            RedisParser.command([Array("SET".utf8), [0, 13, 10]])
                == Array("*2\r\n$3\r\nSET\r\n$3\r\n\u{0}\r\n\r\n".utf8))
    }
}
