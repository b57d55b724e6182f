import Foundation
import Testing
import TestSupport

@testable import Encoding

@Suite struct Base64Tests {
    @Test func agreesWithFoundation() throws {
        var generator = SeededGenerator(seed: 3)
        for length in 0..<200 {
            let bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &generator) }
            let text = Data(bytes).base64EncodedString()
            #expect(Base64.encode(bytes) == text)
            #expect(Base64.decode(text) == bytes)
            let url = text.replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
            #expect(Base64.encodeURL(bytes) == url)
            #expect(Base64.decodeURL(url) == bytes)
        }
    }

    @Test(arguments: [
        "A", "AA", "AA=", "A===", "AA==\n", "AAA\n", "AA A", "AB==", "AAB=", "AA-A", "====", "=AAA", "AA=A",
    ])
    func refusedWithPadding(_ text: String) { #expect(Base64.decode(text) == nil) }

    @Test(arguments: ["A", "AA==", "AAA=", "AA\n", "AA+A", "AA/A", "AB", "AAB", "AAAAA", "AA\u{E9}A"])
    func refusedWithoutPadding(_ text: String) { #expect(Base64.decodeURL(text) == nil) }

    /// As some write it; the bytes are the same.
    @Test(arguments: ["-_8", "-_8=", "+/8=", "+/8", "-_9", "+_+"]) func readLeniently(_ text: String) throws {
        let bytes = try #require(Base64.decodeLeniently(text))
        #expect(bytes.prefix(1) == [0xFB] && bytes.count == 2)
    }

    @Test(arguments: ["A", "A===", "AA A", "AA\n", "=AAA", "AA=A", "\u{E9}A"]) func neverRead(_ text: String) {
        #expect(Base64.decodeLeniently(text) == nil)
        #expect(Base64.decode(text, allowsLeftoverBits: true) == nil)
    }

    @Test func leftoverBitsOnlyWhereTheyDoNotMatter() {
        #expect(Base64.decode("AB==") == nil && Base64.decode("AAB=") == nil)
        #expect(Base64.decode("AB==", allowsLeftoverBits: true) == [0])
        #expect(Base64.decode("AAB=", allowsLeftoverBits: true) == [0, 0])
        #expect(Base64.decode("AA", allowsLeftoverBits: true) == nil)
        #expect(Base64.decode(Array("AA==".utf8)) == [0] && Base64.decode(Array("AA=".utf8)) == nil)
    }
}
