import Foundation
import Testing
import TestSupport

@testable import Notation

@Suite struct Base64TextTests {
    @Test func agreesWithFoundation() throws {
        var generator = SeededGenerator(seed: 3)
        for length in 0..<200 {
            let bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &generator) }
            let text = Data(bytes).base64EncodedString()
            #expect(Base64Text.encode(bytes) == text)
            #expect(Base64Text.decode(text) == bytes)
            let url = text.replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
            #expect(Base64Text.encodeURL(bytes) == url)
            #expect(Base64Text.decodeURL(url) == bytes)
        }
    }

    @Test(arguments: [
        "A", "AA", "AA=", "A===", "AA==\n", "AAA\n", "AA A", "AB==", "AAB=", "AA-A", "====", "=AAA", "AA=A",
    ])
    func refusedWithPadding(_ text: String) { #expect(Base64Text.decode(text) == nil) }

    @Test(arguments: ["A", "AA==", "AAA=", "AA\n", "AA+A", "AA/A", "AB", "AAB", "AAAAA", "AA\u{E9}A"])
    func refusedWithoutPadding(_ text: String) { #expect(Base64Text.decodeURL(text) == nil) }
}
