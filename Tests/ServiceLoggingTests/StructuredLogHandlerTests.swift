import Logging
import StrictJSON
import TestSupport
import Testing

@testable import ServiceLogging

@Suite struct StructuredLogHandlerTests {
    @Test func textIsOneLineOfPairs() throws {
        let capture = LogCapture()
        var logger = capture.logger(.text)
        logger[metadataKey: "b"] = "two words"
        logger.info("hello there", metadata: ["a": "plain", "c": "x=y"])
        let line = try #require(capture.lines.first)
        #expect(line.hasPrefix("time=2"))
        #expect(line.hasSuffix(#" level=info msg="hello there" logger=test a=plain b="two words" c="x=y""# + "\n"))
    }

    @Test(arguments: [
        "a\nlevel=error msg=forged", "a\r\nb", "\u{1B}[31m", "\u{2028}x", "\u{202E}x", "\u{85}x", "a\"b\\",
    ])
    func nothingLeavesItsLine(key: String) throws {
        let capture = LogCapture()
        capture.logger(.text).info("m", metadata: ["key": "\(key)"])
        capture.logger(.json).info("m", metadata: ["key": "\(key)"])
        #expect(capture.lines.count == 2)
        let text = try #require(capture.lines.first)
        #expect(text.unicodeScalars.filter { $0 == "\n" }.count == 1)
        #expect(!text.dropLast().unicodeScalars.contains { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) })
        #expect(!text.unicodeScalars.contains { $0 == "\u{2028}" || $0 == "\u{202E}" })
        let json = try StrictJSON.parse(Array(capture.lines[1].utf8))
        #expect(json["key"]?.string.map { Array($0.utf8) } == Array(key.utf8))
    }

    @Test func jsonKeepsItsOwnMembers() throws {
        let capture = LogCapture()
        capture.logger(.json).warning("m", metadata: ["level": "fake", "list": ["a", "b"], "map": ["k": "v"]])
        let json = try StrictJSON.parse(Array(try #require(capture.lines.first).utf8))
        #expect(json["level"] == "warning")
        #expect(json["fields.level"] == "fake")
        #expect(json["msg"] == "m")
        #expect(json["list"] == ["a", "b"])
        #expect(json["map"] == ["k": "v"])
    }

    @Test func logstashHasItsNames() throws {
        let capture = LogCapture()
        capture.logger(.logstash).info("m")
        let json = try StrictJSON.parse(Array(try #require(capture.lines.first).utf8))
        #expect(json["message"] == "m" && json["@version"] == "1" && json["@timestamp"] != nil)
    }

    @Test func levelsByName() {
        #expect(Logger.Level(named: "WARN") == .warning)
        #expect(Logger.Level(named: "fatal") == .critical)
        #expect(Logger.Level(named: "debug") == .debug)
        #expect(Logger.Level(named: "loud") == nil)
    }

    @Test func belowTheLevelNothingIsWritten() {
        let capture = LogCapture()
        capture.logger(.text, level: .warning).info("m")
        #expect(capture.lines.isEmpty)
    }
}
