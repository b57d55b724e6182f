/// Recognizes text that may be a key, or part of one.
///
/// A key that stands where something else should be must not end in a log. So the question is not what a text is, but
/// what it may be: a wrong "yes" costs a quotation, a wrong "no" a key. Names, digests, media types, paths and URLs are
/// what messages are about, though, and must not cost one.
enum KeyMaterial {
    static func isPossible(in text: some StringProtocol) -> Bool {
        isPossible(in: Array(text.utf8))
    }

    static func isPossible(in text: [UInt8]) -> Bool { text.withUnsafeBufferPointer { isPossible(in: $0) } }

    private static func isPossible(in bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        hasMark(bytes) || isBinary(bytes) || hasPrivateMember(bytes) || RandomText.isIn(bytes) || HexText.isIn(bytes)
    }

    /// What stands in files of keys beside the key, in lower case.
    private static let marks: [[UInt8]] = [
        // RFC 7468: whatever begins so may be a key's block, whole or cut, with or without its line breaks.
        "-----begin", "-----end", "private key", "private-key", "secret key",
        // PuTTY, OpenSSH's format without its armour, age, .NET.
        "putty-user-key", "private-lines", "private-mac", "openssh-key-v1", "age-secret-key", "age-plugin-",
        "<rsakeyvalue", "<inverseq>",
        // What `openssl pkey -text` prints, and the members of RSA keys elsewhere.
        "priv:", "privateexponent", "privatekey", "prime1:", "prime2:", "exponent1:", "exponent2:", "coefficient:",
    ].map { Array($0.utf8) }

    private static func hasMark(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        for index in bytes.indices {
            let first = Bytes.lowercased(bytes[index])
            for mark in marks where mark[0] == first && mark.count <= bytes.count - index {
                if zip(bytes[index...], mark).allSatisfy({ Bytes.lowercased($0) == $1 }) { return true }
            }
        }
        return false
    }

    /// Whether there is something that is no text: DER, PKCS #12 and the like, read as UTF-8 as well as may be, or
    /// UTF-16.
    private static func isBinary(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        let (window, most) = (32, 8)
        // Where the last ones were, counted in characters.
        var places: [Int] = []
        var place = 0
        // Where an escape ends, which is one character.
        var end = 0
        for index in bytes.indices where bytes[index] & 0xC0 != 0x80 && index >= end {
            place += 1
            if isEscapedByte(bytes[index...]) { end = index + 4 }
            guard end > index || isNoText(bytes[index...]) else { continue }
            // The version that keys, their containers and certificates begin with, in DER.
            if bytes[index...].starts(with: [0x02, 0x01]), bytes[(index + 2)...].first.map({ $0 < 4 }) ?? false {
                return true
            }
            places.append(place)
            if places.count >= most, place - places[places.count - most] < window { return true }
        }
        return false
    }

    /// Whether `\x8F` is here, a byte as Python, Go and C write it.
    private static func isEscapedByte(_ bytes: Slice<UnsafeBufferPointer<UInt8>>) -> Bool {
        bytes.starts(with: [UInt8(ascii: "\\"), UInt8(ascii: "x")])
            && bytes.dropFirst(2).prefix(2).count(where: Bytes.isHex) == 2
    }

    /// Whether a control character, of either set, or U+FFFD is here: the latter stands for a byte that is not UTF-8.
    private static func isNoText(_ bytes: Slice<UnsafeBufferPointer<UInt8>>) -> Bool {
        switch bytes.first {
        case .some(0x09), .some(0x0A), .some(0x0D): false
        case .some(0..<0x20), .some(0x7F): true
        case .some(0xC2): bytes.dropFirst().first.map { (0x80...0x9F).contains($0) } ?? false
        case .some(0xEF): bytes.starts(with: [0xEF, 0xBF, 0xBD])
        default: false
        }
    }
}

// MARK: JSON Web Keys

extension KeyMaterial {
    /// The private members of RFC 7518, section 6.
    private static let privateMembers = ["d", "k", "p", "q", "dp", "dq", "qi", "oth"].map { Array($0.utf8) }

    /// Whether there is a private member of a JSON Web Key, in JSON or in YAML.
    private static func hasPrivateMember(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        for colon in bytes.indices where bytes[colon] == UInt8(ascii: ":") {
            var end = colon
            while end > 0, Bytes.isSpace(bytes[end - 1]) { end -= 1 }
            let isQuoted = end > 0 && Bytes.isQuote(bytes[end - 1])
            if isQuoted {
                end -= 1
                if end > 0, bytes[end - 1] == UInt8(ascii: "\\") { end -= 1 }
            }
            var start = end
            while start > 0, end - start < 4, Bytes.isLetter(bytes[start - 1]) { start -= 1 }
            guard privateMembers.contains(where: { $0.elementsEqual(bytes[start..<end].map(Bytes.lowercased)) }),
                isBeginning(bytes, start, isQuoted: isQuoted)
            else { continue }
            if isValue(bytes[(colon + 1)...], of: bytes[start], isQuoted: isQuoted) { return true }
        }
        return false
    }

    /// Whether a name may begin here.
    private static func isBeginning(_ bytes: UnsafeBufferPointer<UInt8>, _ start: Int, isQuoted: Bool) -> Bool {
        guard start > 0 else { return !isQuoted }
        let before = bytes[start - 1]
        if isQuoted { return Bytes.isQuote(before) }
        return Bytes.isSpace(before) || before == UInt8(ascii: "{") || before == UInt8(ascii: ",")
    }

    /// Whether what follows a colon may be the value of a private member, or what is left of it.
    private static func isValue(
        _ rest: Slice<UnsafeBufferPointer<UInt8>>, of name: UInt8, isQuoted: Bool
    ) -> Bool {
        let value = rest.drop { Bytes.isSpace($0) }
        if isQuoted, value.isEmpty { return true }
        let text = value.drop { Bytes.isQuote($0) || $0 == UInt8(ascii: "\\") || $0 == UInt8(ascii: "[") }
        if isQuoted, name == UInt8(ascii: "d") || name == UInt8(ascii: "o"), text.startIndex > value.startIndex {
            return true
        }
        let length = text.prefix(while: Bytes.isBase64).count
        if isQuoted { return text.startIndex > value.startIndex && (length >= 8 || length == text.count) }
        // A word with a colon after it is no member. Text of YAML has a blank after the colon.
        let isWord = text.prefix(length).allSatisfy { Bytes.isLetter($0) || $0 == UInt8(ascii: "-") }
        return value.startIndex > rest.startIndex && length >= 16 && !isWord
    }
}
