/// Recognizes text that may be a key, or part of one.
///
/// A key that stands where something else should be must not end in a log. So the question is not what a text is, but what it
/// may be: a wrong "yes" costs a quotation, a wrong "no" a key.
enum KeyMaterial {
    /// How many characters of Base64 in a row may be a key: those of 30 bytes.
    private static let base64Length = 40
    /// How many hexadecimal digits in a row may be a key: those of 32 bytes.
    private static let hexLength = 64

    /// How many characters of Base64 that begin as `{"` does may be a token.
    private static let tokenLength = 16

    /// - Parameter isPath: whether slashes stand between names.
    static func isPossible(in text: some StringProtocol, isPath: Bool = false) -> Bool {
        var text = String(text)
        return text.withUTF8 { hasArmor($0) || hasRun($0, isPath: isPath) }
    }

    /// RFC 7468: whatever begins so may be a key's block, whole or cut, with or without its line breaks.
    private static func hasArmor(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        ["-----begin", "-----end", "private key", "private-key", "\"d\":", "\"d\" :"]
            .contains { Bytes.contain(bytes, $0.utf8) }
    }

    private static func hasRun(_ bytes: UnsafeBufferPointer<UInt8>, isPath: Bool) -> Bool {
        func isBase64(_ byte: UInt8) -> Bool { Self.isBase64(byte) && !(isPath && byte == UInt8(ascii: "/")) }
        var start = 0
        while start < bytes.count {
            guard isBase64(bytes[start]) else {
                start += 1
                continue
            }
            var end = start
            while end < bytes.count, isBase64(bytes[end]) { end += 1 }
            if isSuspicious(bytes, start..<end) { return true }
            start = end
        }
        return false
    }

    private static func isSuspicious(_ bytes: UnsafeBufferPointer<UInt8>, _ run: Range<Int>) -> Bool {
        if run.count >= tokenLength, bytes[run].starts(with: "eyJ".utf8) { return true }
        guard run.count >= base64Length else { return false }
        if let hex = hexRun(bytes, run) {
            guard isDigest(bytes, hex) else { return true }
            if hex.count == run.count { return false }
        }
        // Words, names and paths keep to one kind of character for a while, Base64 does not: of random text, 64 in 100
        // characters are of another kind than the one before.
        var (changes, kinds) = (0, Set<Int>())
        var last: Int?
        for byte in bytes[run] {
            let kind = kind(of: byte)
            kinds.insert(kind)
            if let last, last != kind { changes += 1 }
            last = kind
        }
        return kinds.isSuperset(of: [0, 1, 2]) && changes * 5 >= run.count * 2
    }

    /// The first hexadecimal digits within a run that are as many as a key's.
    private static func hexRun(_ bytes: UnsafeBufferPointer<UInt8>, _ run: Range<Int>) -> Range<Int>? {
        var start = run.lowerBound
        while start < run.upperBound {
            let end = bytes[start..<run.upperBound].firstIndex { !isHex($0) } ?? run.upperBound
            if end - start >= hexLength { return start..<end }
            start = end + 1
        }
        return nil
    }

    /// Whether digits are those of a digest by the name in front of them: `sha256:…`.
    private static func isDigest(_ bytes: UnsafeBufferPointer<UInt8>, _ run: Range<Int>) -> Bool {
        guard run.lowerBound >= 7 else { return false }
        let name = bytes[(run.lowerBound - 7)..<run.lowerBound].map { $0 | 0x20 }
        return name.starts(with: "sha".utf8) && (name.last == UInt8(ascii: ":") || name.last == UInt8(ascii: "-"))
    }

    /// The characters of both alphabets of RFC 4648, without the hyphen, which names have.
    private static func isBase64(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "_"), UInt8(ascii: "/"):
            true
        default: false
        }
    }

    private static func isHex(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
            UInt8(ascii: "A")...UInt8(ascii: "F"):
            true
        default: false
        }
    }

    private static func kind(of byte: UInt8) -> Int {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"): 0
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): 1
        case UInt8(ascii: "0")...UInt8(ascii: "9"): 2
        default: 3
        }
    }
}
