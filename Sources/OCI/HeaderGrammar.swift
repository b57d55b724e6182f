/// What the values of header fields are made of (RFC 9110, section 5.6).
enum HeaderGrammar {
    /// Whether a byte may be in a token.
    static func isToken(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }

    /// The text of a quoted string that begins at a position, and the position after it; `nil` when it does not end, or
    /// is not UTF-8.
    static func quotedString(_ bytes: [UInt8], at start: Int) -> (text: String, end: Int)? {
        var value: [UInt8] = []
        var position = start + 1
        while position < bytes.count {
            let byte = bytes[position]
            position += 1
            switch byte {
            case UInt8(ascii: "\""): return String(validating: value, as: UTF8.self).map { ($0, position) }
            case UInt8(ascii: "\\"):
                guard position < bytes.count else { return nil }
                value.append(bytes[position])
                position += 1
            default: value.append(byte)
            }
        }
        return nil
    }
}
