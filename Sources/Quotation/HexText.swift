/// Finds hexadecimal digits that are as many as a key's: in a row, with colons, blanks or line breaks between bytes, as
/// `openssl`, `xxd` and source text print them, or as decimal numbers of bytes in a list.
///
/// Digests are shown: they have their algorithm's name in front, or "fingerprint".
enum HexText {
    /// Digits in a row: those of 32 bytes.
    private static let length = 64
    /// Digits in groups: more than those of 20 bytes and a sign, which serial numbers, key identifiers and SHA-1 have.
    private static let groupedLength = 44
    /// Digits of a line of a dump, its offset counted; digits with a mark each, as in source text.
    private static let (dumpLength, markedLength) = (40, 32)
    private static let offsetLength = 8
    /// So many digits in one group are no byte or word of a dump, but a number of its own.
    private static let groupLength = 16
    /// Bytes in a line of `openssl pkey -text`, which ends with a colon where another line follows.
    private static let lineBytes = 15
    /// Numbers of bytes in a list.
    private static let decimals = 20

    static func isIn(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        hasRun(bytes) || hasGroups(bytes) || hasList(bytes)
    }

    static func isHex(_ bytes: Slice<UnsafeBufferPointer<UInt8>>) -> Bool { bytes.allSatisfy(Bytes.isHex) }

    private static func hasRun(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        var start = 0
        while start < bytes.count {
            let end = bytes[start...].firstIndex { !Bytes.isHex($0) } ?? bytes.count
            if end - start >= length, !isDigest(bytes, start, digits: end - start) { return true }
            start = end + 1
        }
        return false
    }

    /// Whether digits from here on are those of a digest, by what stands in front of them.
    private static func isDigest(_ bytes: UnsafeBufferPointer<UInt8>, _ start: Int, digits: Int) -> Bool {
        guard digits <= 128 else { return false }
        let before = bytes[max(0, start - 24)..<start]
        return ["sha1", "sha2", "sha3", "sha5", "sha-", "fingerprint", "thumbprint", "digest"]
            .contains { Bytes.contain(before, $0.utf8) }
    }

    // MARK: Groups

    private static func hasGroups(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        var (digits, inBytes, first, limit) = (0, 0, 0, groupedLength)
        var index = 0
        while index < bytes.count {
            guard let group = group(bytes, index) else {
                (digits, inBytes) = (0, 0)
                // On to where the next word may begin.
                let isWord = Bytes.isLetterOrDigit(bytes[index])
                index += 1
                while isWord, index < bytes.count, Bytes.isLetterOrDigit(bytes[index]) { index += 1 }
                continue
            }
            if digits == 0 {
                first = group.lowerBound
                limit =
                    group.lowerBound > index ? markedLength : group.count == offsetLength ? dumpLength : groupedLength
            } else if group.count > 4 {
                limit = groupedLength
            }
            digits += group.count
            inBytes = group.count == 2 ? inBytes + 1 : 0
            let next = separators(bytes, group)
            // A colon, and then a line break, whatever has become of it.
            let isLine =
                inBytes >= lineBytes && bytes[group.upperBound...].first == UInt8(ascii: ":")
                && (group.upperBound + 1 == bytes.count || next > group.upperBound + 1)
            if isLine || digits >= limit, !isDigest(bytes, first, digits: digits) {
                return true
            }
            let between = bytes[group.upperBound..<next]
            // Numbers of their own: only lines of them are a dump.
            let goesOn = between.isEmpty ? hasMark(bytes, next) : group.count <= groupLength || isLineBreak(between)
            if !goesOn { (digits, inBytes) = (0, 0) }
            index = next
        }
        return false
    }

    /// An even number of digits with nothing of a word around them, without the `0x`, `\x` or `%` in front.
    private static func group(_ bytes: UnsafeBufferPointer<UInt8>, _ index: Int) -> Range<Int>? {
        var start = index
        if hasMark(bytes, index) {
            start += bytes[index] == UInt8(ascii: "%") ? 1 : 2
        } else if bytes[start] == UInt8(ascii: "0"), start + 1 < bytes.count,
            Bytes.lowercased(bytes[start + 1]) == UInt8(ascii: "x")
        {
            start += 2
        }
        var end = start
        while end < bytes.count, Bytes.isHex(bytes[end]) { end += 1 }
        let isWord = end < bytes.count && Bytes.isLetterOrDigit(bytes[end])
        guard end > start, (end - start) % 2 == 0, !isWord else { return nil }
        return start..<end
    }

    /// Whether a `\x` or `%` is here, which needs nothing between it and the digits before.
    private static func hasMark(_ bytes: UnsafeBufferPointer<UInt8>, _ index: Int) -> Bool {
        guard index < bytes.count else { return false }
        if bytes[index] == UInt8(ascii: "%") { return true }
        return bytes[index] == UInt8(ascii: "\\") && index + 1 < bytes.count
            && Bytes.lowercased(bytes[index + 1]) == UInt8(ascii: "x")
    }

    /// Where separators end that follow a group. Hyphens stand between bytes only: elsewhere they are those of dates
    /// and UUIDs; colons between bytes and after an offset: else they are those of IPv6.
    private static func separators(_ bytes: UnsafeBufferPointer<UInt8>, _ group: Range<Int>) -> Int {
        var end = group.upperBound
        while end < bytes.count {
            switch bytes[end] {
            case _ where Bytes.isSpace(bytes[end]): end += 1
            case UInt8(ascii: ","), UInt8(ascii: ";"): end += 1
            case UInt8(ascii: "-") where group.count == 2: end += 1
            case UInt8(ascii: ":") where group.count == 2 || group.count == offsetLength: end += 1
            // `\n`, as in JSON.
            case UInt8(ascii: "\\") where end + 1 < bytes.count && "nrt".utf8.contains(bytes[end + 1]): end += 2
            default: return end
            }
        }
        return end
    }

    private static func isLineBreak(_ bytes: Slice<UnsafeBufferPointer<UInt8>>) -> Bool {
        bytes.contains { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\\") }
    }

    // MARK: Lists

    /// `[48, 129, 135, …]`
    private static func hasList(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        var count = 0
        var rest = bytes[...]
        while let first = rest.first {
            let digits = rest.prefix(while: Bytes.isDigit)
            guard (1...3).contains(digits.count), digits.reduce(0, { $0 * 10 + Int($1 & 0xF) }) < 256 else {
                if !Bytes.isSpace(first) { count = 0 }
                rest = rest.dropFirst(max(1, digits.count))
                continue
            }
            count += 1
            if count >= decimals { return true }
            rest = rest.dropFirst(digits.count).drop(while: Bytes.isSpace)
            if rest.first == UInt8(ascii: ",") { rest = rest.dropFirst() } else { count = 0 }
        }
        return false
    }
}
