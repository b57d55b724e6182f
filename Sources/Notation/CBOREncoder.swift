/// Writes CBOR in its deterministic encoding (RFC 8949, section 4.2.1): shortest heads, map keys in the order of their
/// encodings, which is what signatures made by the reference implementation have.
struct CBOREncoder {
    /// What has been written.
    private(set) var output: [UInt8] = []

    /// The encoding of one item.
    static func encode(_ value: CBORValue) -> [UInt8] {
        var encoder = CBOREncoder()
        encoder.append(value)
        return encoder.output
    }

    /// Writes the head of an item: its major type and its argument.
    mutating func appendHead(majorType: UInt8, _ argument: UInt64) {
        let type = majorType << 5
        switch argument {
        case 0..<24: output.append(type | UInt8(argument))
        case 24..<0x100: output += [type | 24, UInt8(argument)]
        case 0x100..<0x1_0000: appendBigEndian(type | 25, argument, 2)
        case 0x1_0000..<0x1_0000_0000: appendBigEndian(type | 26, argument, 4)
        default: appendBigEndian(type | 27, argument, 8)
        }
    }

    /// Writes a byte string.
    mutating func append(bytes: [UInt8]) {
        appendHead(majorType: 2, UInt64(bytes.count))
        output += bytes
    }

    /// Writes a text string.
    mutating func append(text: String) {
        appendHead(majorType: 3, UInt64(text.utf8.count))
        output += text.utf8
    }

    /// Writes one item.
    mutating func append(_ value: CBORValue) {
        switch value {
        case .integer(let integer) where integer >= 0: appendHead(majorType: 0, UInt64(integer))
        case .integer(let integer): appendHead(majorType: 1, UInt64(-1 - integer))
        case .bytes(let bytes): append(bytes: bytes)
        case .text(let text): append(text: text)
        case .array(let elements):
            appendHead(majorType: 4, UInt64(elements.count))
            for element in elements { append(element) }
        case .map(let map):
            appendHead(majorType: 5, UInt64(map.entries.count))
            let encoded = map.entries.map { (key: Self.encode($0.key), value: $0.value) }
            for entry in encoded.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
                output += entry.key
                append(entry.value)
            }
        case .tagged(let tag, let content):
            appendHead(majorType: 6, tag)
            append(content)
        case .bool(let value): output.append(value ? 0xF5 : 0xF4)
        case .null: output.append(0xF6)
        case .undefined: output.append(0xF7)
        case .simple(let value): appendHead(majorType: 7, UInt64(value))
        case .float(let value): appendBigEndian(0xFB, value.bitPattern, 8)
        }
    }

    private mutating func appendBigEndian(_ head: UInt8, _ value: UInt64, _ count: Int) {
        output.append(head)
        for index in (0..<count).reversed() { output.append(UInt8(truncatingIfNeeded: value >> UInt64(8 * index))) }
    }
}
