/// Looks at texts without regard to the case of ASCII letters, and at what kind ASCII characters are of.
enum Bytes {
    static func lowercased(_ byte: UInt8) -> UInt8 { isUpperLetter(byte) ? byte | 0x20 : byte }

    /// - Parameter needle: in lower case.
    static func contain(_ bytes: some RandomAccessCollection<UInt8>, _ needle: some Collection<UInt8>) -> Bool {
        guard let first = needle.first else { return true }
        var start = bytes.startIndex
        while start < bytes.endIndex {
            if lowercased(bytes[start]) == first {
                let rest = bytes[start...]
                if rest.count < needle.count { return false }
                if zip(rest, needle).allSatisfy({ lowercased($0) == $1 }) { return true }
            }
            start = bytes.index(after: start)
        }
        return false
    }

    static func isLowerLetter(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte) }
    static func isUpperLetter(_ byte: UInt8) -> Bool { (0x41...0x5A).contains(byte) }
    static func isLetter(_ byte: UInt8) -> Bool { isLowerLetter(byte) || isUpperLetter(byte) }
    static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
    static func isLetterOrDigit(_ byte: UInt8) -> Bool { isLetter(byte) || isDigit(byte) }
    static func isLowerHex(_ byte: UInt8) -> Bool { isDigit(byte) || (0x61...0x66).contains(byte) }
    static func isUpperHex(_ byte: UInt8) -> Bool { isDigit(byte) || (0x41...0x46).contains(byte) }
    static func isHex(_ byte: UInt8) -> Bool { isLowerHex(byte) || isUpperHex(byte) }

    /// The characters of both alphabets of RFC 4648.
    static func isBase64(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "+"), UInt8(ascii: "/"), UInt8(ascii: "-"), UInt8(ascii: "_"): true
        default: isLetterOrDigit(byte)
        }
    }

    static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
    static func isQuote(_ byte: UInt8) -> Bool { byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") }
}
