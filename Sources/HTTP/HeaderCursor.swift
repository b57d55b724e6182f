/// Reads the value of a header field from its beginning to its end, in the parts that RFC 9110 makes them of (section
/// 5.6).
package struct HeaderCursor: Sendable {
    /// The field's value.
    package let bytes: [UInt8]
    /// Where it stands: the place of the byte that is read next.
    package var position = 0

    /// A cursor at the beginning of a value.
    package init(_ value: String) { bytes = Array(value.utf8) }

    /// The byte that is read next; `nil` at the end.
    package var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

    /// Passes bytes as long as a condition holds.
    package mutating func skip(while condition: (UInt8) -> Bool) {
        while let byte = peek, condition(byte) { position += 1 }
    }

    /// Passes spaces and tabs, which may be none (section 5.6.3).
    package mutating func skipSpaces() { skip(while: HeaderCursor.isSpace) }

    /// Passes what may be between two elements of a list: commas too, for elements may be empty (section 5.6.1.2).
    package mutating func skipListSeparators() { skip { HeaderCursor.isSpace($0) || $0 == UInt8(ascii: ",") } }

    /// Whether a byte is a space or a tab.
    package static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

    /// Reads a token; `nil`, and stays, when none begins here.
    package mutating func token() -> String? {
        let start = position
        skip(while: HTTPHeaders.isTokenByte)
        return position > start ? String(decoding: bytes[start..<position], as: UTF8.self) : nil
    }

    /// Reads a token or a quoted string; `nil`, and stays, when there is neither.
    package mutating func tokenOrQuotedString() -> String? {
        peek == UInt8(ascii: "\"") ? quotedString() : token()
    }

    /// Reads the text of a quoted string (section 5.6.4); `nil`, and stays, when none begins here, it does not end, or
    /// it is not UTF-8.
    package mutating func quotedString() -> String? {
        guard peek == UInt8(ascii: "\"") else { return nil }
        var value: [UInt8] = []
        var index = position + 1
        while index < bytes.count {
            let byte = bytes[index]
            index += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let text = String(validating: value, as: UTF8.self) else { return nil }
                position = index
                return text
            case UInt8(ascii: "\\"):
                guard index < bytes.count else { return nil }
                value.append(bytes[index])
                index += 1
            default: value.append(byte)
            }
        }
        return nil
    }
}
