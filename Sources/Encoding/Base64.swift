/// Base64 and base64url (RFC 4648), read strictly unless somebody else chose the spelling and nothing depends on it:
/// every text stands for other bytes than every other text, so that a signature envelope has no second spelling.
///
/// For envelopes this is stricter than the reference verifier, which skips line feeds and ignores leftover bits: RFC
/// 7515, section 2, defines base64url "without the inclusion of any line breaks, whitespace, or other additional
/// characters"; RFC 4648, section 3.3, makes a decoder reject characters outside of the alphabet, and section 3.5 makes
/// an encoder zero the leftover bits and lets a decoder reject others.
package enum Base64 {
    private static let standardAlphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    private static let urlAlphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
    private static let standardValues = values(of: standardAlphabet)
    private static let urlValues = values(of: urlAlphabet)
    private static let allValues = {
        var values = standardValues
        values[Int(UInt8(ascii: "-"))] = 62
        values[Int(UInt8(ascii: "_"))] = 63
        return values
    }()

    private static func values(of alphabet: [UInt8]) -> [UInt8] {
        var values = [UInt8](repeating: 0xFF, count: 256)
        for (value, character) in alphabet.enumerated() { values[Int(character)] = UInt8(value) }
        return values
    }

    /// Decodes base64 (RFC 4648, section 4); padding is required, as RFC 7515, section 4.1.6, has it for `x5c`, and RFC
    /// 7468 for PEM.
    ///
    /// - Parameter allowsLeftoverBits: whether bits that belong to no byte may be something else than zero.
    package static func decode(_ text: String, allowsLeftoverBits: Bool = false) -> [UInt8]? {
        var text = text
        return text.withUTF8 { padded($0, allowsLeftoverBits) }
    }

    /// The same for text as bytes.
    package static func decode(_ text: [UInt8]) -> [UInt8]? { text.withUnsafeBufferPointer { padded($0, false) } }

    /// Decodes base64url without padding (RFC 7515, section 2).
    package static func decodeURL(_ text: String) -> [UInt8]? {
        var text = text
        return text.withUTF8 { decode($0, urlValues, allowsLeftoverBits: false) }
    }

    /// Decodes base64 of either alphabet, with padding or without it, whatever the leftover bits are.
    package static func decodeLeniently(_ text: String) -> [UInt8]? {
        var text = text
        return text.withUTF8 { bytes in
            decode(withoutPadding(bytes), allValues, allowsLeftoverBits: true)
        }
    }

    /// Encodes as base64 with padding.
    package static func encode(_ bytes: [UInt8]) -> String {
        var text = encode(bytes, standardAlphabet)
        while text.count % 4 != 0 { text.append(UInt8(ascii: "=")) }
        return String(decoding: text, as: UTF8.self)
    }

    /// Encodes as base64url without padding.
    package static func encodeURL(_ bytes: [UInt8]) -> String {
        String(decoding: encode(bytes, urlAlphabet), as: UTF8.self)
    }

    private static func padded(_ text: UnsafeBufferPointer<UInt8>, _ allowsLeftoverBits: Bool) -> [UInt8]? {
        guard text.count % 4 == 0 else { return nil }
        return decode(withoutPadding(text), standardValues, allowsLeftoverBits: allowsLeftoverBits)
    }

    private static func withoutPadding(_ text: UnsafeBufferPointer<UInt8>) -> UnsafeBufferPointer<UInt8> {
        var end = text.count
        while end > 0, text.count - end < 2, text[end - 1] == UInt8(ascii: "=") { end -= 1 }
        return UnsafeBufferPointer(rebasing: text[..<end])
    }

    private static func encode(_ bytes: [UInt8], _ alphabet: [UInt8]) -> [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count + 2) / 3 * 4)
        var buffer: UInt32 = 0
        var bits = 0
        for byte in bytes {
            buffer = buffer << 8 | UInt32(byte)
            bits += 8
            while bits >= 6 {
                bits -= 6
                text.append(alphabet[Int(buffer >> UInt32(bits) & 63)])
            }
            buffer &= 0xFF
        }
        if bits > 0 { text.append(alphabet[Int(buffer << UInt32(6 - bits) & 63)]) }
        return text
    }

    private static func decode(
        _ text: UnsafeBufferPointer<UInt8>, _ values: [UInt8], allowsLeftoverBits: Bool
    ) -> [UInt8]? {
        let leftover = text.count % 4
        guard leftover != 1 else { return nil }
        let whole = text.count - leftover
        let length = whole / 4 * 3 + (leftover == 0 ? 0 : leftover - 1)
        // Invalid characters have bit 7 set in the table: one check at the end suffices.
        var invalid: UInt32 = 0
        let decoded = values.withUnsafeBufferPointer { values in
            [UInt8](unsafeUninitializedCapacity: length) { output, count in
                var written = 0
                var index = 0
                while index < whole {
                    let a = UInt32(values[Int(text[index])])
                    let b = UInt32(values[Int(text[index + 1])])
                    let c = UInt32(values[Int(text[index + 2])])
                    let d = UInt32(values[Int(text[index + 3])])
                    invalid |= a | b | c | d
                    let group = a << 18 | b << 12 | c << 6 | d
                    output[written] = UInt8(truncatingIfNeeded: group >> 16)
                    output[written + 1] = UInt8(truncatingIfNeeded: group >> 8)
                    output[written + 2] = UInt8(truncatingIfNeeded: group)
                    written += 3
                    index += 4
                }
                if leftover > 0 {
                    let a = UInt32(values[Int(text[index])])
                    let b = UInt32(values[Int(text[index + 1])])
                    let c = leftover == 3 ? UInt32(values[Int(text[index + 2])]) : 0
                    invalid |= a | b | c
                    let group = a << 18 | b << 12 | c << 6
                    output[written] = UInt8(truncatingIfNeeded: group >> 16)
                    written += 1
                    if leftover == 3 {
                        output[written] = UInt8(truncatingIfNeeded: group >> 8)
                        written += 1
                    }
                    // RFC 4648, section 3.5: leftover bits must be zero.
                    if !allowsLeftoverBits, group & (leftover == 3 ? 0xFF : 0xFFFF) != 0 { invalid |= 0x80 }
                }
                count = written
            }
        }
        return invalid & 0x80 == 0 ? decoded : nil
    }
}
