import Foundation
import Testing

@testable import Encoding

@Suite struct HexTests {
    @Test func everyByte() {
        for byte in UInt8.min ... .max {
            let text = Hex.text([byte])
            #expect(text == String(format: "%02x", byte))
            let digits = Array(text.utf8)
            let capitals = Array(text.uppercased().utf8)
            #expect(Hex.byte(digits[0], digits[1]) == byte && Hex.byte(capitals[0], capitals[1]) == byte)
        }
        #expect(Hex.text([]).isEmpty)
        #expect(Hex.text([0x00, 0xAB, 0x10]) == "00ab10")
    }

    @Test func nothingElseIsADigit() {
        let digits = Set("0123456789abcdefABCDEF".utf8)
        for byte in UInt8.min ... .max { #expect((Hex.value(of: byte) != nil) == digits.contains(byte)) }
    }
}

@Suite struct PercentEncodingTests {
    @Test func agreesWithFoundation() throws {
        let unreserved = CharacterSet(
            charactersIn: "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~")
        for text in ["", "a b", "sha256:0/+=&?#%", "~-._", "\u{E9}\u{1F600}\n\0"] {
            let encoded = PercentEncoding.encode(text)
            #expect(encoded == text.addingPercentEncoding(withAllowedCharacters: unreserved))
            #expect(PercentEncoding.decode(encoded.utf8) == Array(text.utf8))
        }
        #expect(PercentEncoding.form([("a", "b c"), ("d&", "e=")]) == "a=b%20c&d%26=e%3D")
        #expect(PercentEncoding.form([]).isEmpty)
    }

    /// A sign is no digit.
    @Test(arguments: ["%", "a%4", "%zz", "%4g", "%+f", "%-1", "%%41"]) func notPercentEncoded(_ text: String) {
        #expect(PercentEncoding.decode(text.utf8) == nil)
    }

    @Test func whatIsNotEncodedStandsForItself() {
        func decoded(_ text: String, plusIsSpace: Bool = false) -> String {
            String(
                decoding: PercentEncoding.decodeLeniently(Array(text.utf8), plusIsSpace: plusIsSpace), as: UTF8.self)
        }
        #expect(decoded("%41%4a%4A%") == "AJJ%")
        #expect(decoded("%zz%+f%%41+") == "%zz%+f%A+")
        #expect(decoded("a+b%2B", plusIsSpace: true) == "a b+")
    }
}

@Suite struct UnicodeEscapeTests {
    @Test func asSwiftWritesThem() {
        #expect(("\u{1B}" as Unicode.Scalar).escaped == "\\u{1b}")
        #expect(("\u{202E}" as Unicode.Scalar).escaped == "\\u{202e}")
        #expect(("\u{1F600}" as Unicode.Scalar).escaped == "\\u{1f600}")
    }

    @Test func whatLetsATextShowAsAnotherOne() {
        for scalar in ["\0", "\n", "\u{7F}", "\u{9B}", "\u{202A}", "\u{2069}"] as [Unicode.Scalar] {
            #expect(scalar.isControlOrDirection)
        }
        for scalar in [" ", "~", "\u{A0}", "\u{E9}", "\u{2029}", "\u{206A}"] as [Unicode.Scalar] {
            #expect(!scalar.isControlOrDirection)
        }
    }
}
