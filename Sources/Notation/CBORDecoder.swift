/// Reads CBOR (RFC 8949) from bytes that somebody else made: depth and counts are bounded by the input, every length is
/// checked against what is there before anything is allocated.
///
/// Accepted is what COSE_Sign1 of the Notary Project needs: definite lengths only, keys of a map once each, valid
/// UTF-8, integers of 64 bits with sign. Integers and lengths may be longer than necessary: RFC 9052, section 3, asks
/// for deterministic encoding of the signed structure, not of the headers inside.
package struct CBORDecoder {
    /// How many arrays, maps and tags may be open at once.
    static let maximumDepth = 32
    /// How many items there may be. An envelope has a few dozen; without a bound, ten megabytes of one-byte items would
    /// take hundreds in memory, and looking names up in headers of such a size would take minutes.
    static let maximumItems = 10_000

    private let input: [UInt8]
    private let allowsTags: Bool
    private(set) var position: Int
    private var depth = 0
    private var items = 0

    /// A decoder at the beginning of some bytes.
    ///
    /// - Parameter allowsTags: whether tags may occur; without, one is a fault.
    init(_ input: [UInt8], startingAt position: Int = 0, allowsTags: Bool) {
        self.input = input
        self.allowsTags = allowsTags
        self.position = position
    }

    /// Whether everything has been read.
    var isAtEnd: Bool { position == input.count }

    /// Reads exactly one item that takes all of the bytes.
    package static func decode(_ input: [UInt8], allowsTags: Bool) throws(CBORError) -> CBORValue {
        var decoder = CBORDecoder(input, allowsTags: allowsTags)
        let value = try decoder.decodeItem()
        guard decoder.isAtEnd else { throw CBORError(.trailingBytes, offset: decoder.position) }
        return value
    }

    /// Reads the next item.
    mutating func decodeItem() throws(CBORError) -> CBORValue {
        let start = position
        items += 1
        guard items <= Self.maximumItems else { throw CBORError(.tooManyItems, offset: start) }
        let first = try byte()
        let additional = first & 0x1F
        switch first >> 5 {
        case 0:
            guard let value = Int64(exactly: try argument(additional)) else {
                throw CBORError(.integerRange, offset: start)
            }
            return .integer(value)
        case 1:
            guard let value = Int64(exactly: try argument(additional)) else {
                throw CBORError(.integerRange, offset: start)
            }
            return .integer(-1 - value)
        case 2: return .bytes(Array(try slice(additional)))
        case 3:
            guard let text = String(validating: try slice(additional), as: UTF8.self) else {
                throw CBORError(.invalidUTF8, offset: start)
            }
            return .text(text)
        case 4: return .array(try array(additional))
        case 5: return .map(try map(additional))
        case 6:
            guard allowsTags else { throw CBORError(.tag, offset: start) }
            return try tagged(additional, start)
        default: return try simple(additional, start)
        }
    }

    private mutating func byte() throws(CBORError) -> UInt8 {
        guard position < input.count else { throw CBORError(.unexpectedEnd, offset: position) }
        defer { position += 1 }
        return input[position]
    }

    /// The argument of an item's head (RFC 8949, section 3).
    private mutating func argument(_ additional: UInt8) throws(CBORError) -> UInt64 {
        switch additional {
        case 0..<24: return UInt64(additional)
        case 24...27:
            var value: UInt64 = 0
            for _ in 0..<(1 << Int(additional - 24)) { value = value << 8 | UInt64(try byte()) }
            return value
        case 31: throw CBORError(.indefiniteLength, offset: position - 1)
        default: throw CBORError(.notWellFormed, offset: position - 1)
        }
    }

    private mutating func slice(_ additional: UInt8) throws(CBORError) -> ArraySlice<UInt8> {
        let length = try argument(additional)
        guard length <= UInt64(input.count - position) else { throw CBORError(.unexpectedEnd, offset: position) }
        defer { position += Int(length) }
        return input[position..<(position + Int(length))]
    }

    private mutating func open(_ count: UInt64, itemsEach: UInt64) throws(CBORError) -> Int {
        depth += 1
        guard depth <= Self.maximumDepth else { throw CBORError(.tooDeep, offset: position) }
        // Every item takes a byte at least.
        guard count <= UInt64(input.count - position) / itemsEach else {
            throw CBORError(.unexpectedEnd, offset: position)
        }
        return Int(count)
    }

    private mutating func array(_ additional: UInt8) throws(CBORError) -> [CBORValue] {
        let count = try open(try argument(additional), itemsEach: 1)
        var elements: [CBORValue] = []
        elements.reserveCapacity(min(count, 64))
        for _ in 0..<count { elements.append(try decodeItem()) }
        depth -= 1
        return elements
    }

    private mutating func map(_ additional: UInt8) throws(CBORError) -> CBORMap {
        let count = try open(try argument(additional), itemsEach: 2)
        var map = CBORMap()
        var seen: Set<CBORValue> = []
        for _ in 0..<count {
            let start = position
            let key = try decodeItem()
            switch key {
            case .integer, .text, .bytes, .bool: break
            default: throw CBORError(.key, offset: start)
            }
            // RFC 8949, section 5.6: a map with two entries of one key is not valid.
            guard seen.insert(key).inserted else { throw CBORError(.duplicateKey, offset: start) }
            map.append(key, try decodeItem())
        }
        depth -= 1
        return map
    }

    private mutating func tagged(_ additional: UInt8, _ start: Int) throws(CBORError) -> CBORValue {
        let tag = try argument(additional)
        _ = try open(1, itemsEach: 1)
        let content = try decodeItem()
        depth -= 1
        // RFC 8949, section 3.4: what the tags for times and big numbers may stand before.
        let isValid =
            switch (tag, content) {
            case (0, .text), (1, .integer), (1, .float), (2, .bytes), (3, .bytes): true
            case (0...3, _): false
            default: true
            }
        guard isValid else { throw CBORError(.tagContent(tag), offset: start) }
        return .tagged(tag, content)
    }

    private mutating func simple(_ additional: UInt8, _ start: Int) throws(CBORError) -> CBORValue {
        switch additional {
        case 20: return .bool(false)
        case 21: return .bool(true)
        case 22: return .null
        case 23: return .undefined
        case 0..<20: return .simple(additional)
        case 24:
            let value = try byte()
            // RFC 8949, section 3.3: values below 32 in two bytes are not well-formed.
            guard value >= 32 else { throw CBORError(.notWellFormed, offset: start) }
            return .simple(value)
        case 25: return .float(Self.half(UInt16(truncatingIfNeeded: try argument(25))))
        case 26: return .float(Double(Float(bitPattern: UInt32(truncatingIfNeeded: try argument(26)))))
        case 27: return .float(Double(bitPattern: try argument(27)))
        case 31: throw CBORError(.indefiniteLength, offset: start)
        default: throw CBORError(.notWellFormed, offset: start)
        }
    }

    /// A half-precision number (RFC 8949, appendix D).
    private static func half(_ bits: UInt16) -> Double {
        let exponent = Int(bits >> 10 & 0x1F)
        let mantissa = Double(bits & 0x3FF)
        let magnitude: Double =
            switch exponent {
            case 0: mantissa * 0x1p-24
            case 31: mantissa == 0 ? .infinity : .nan
            default: (mantissa + 1024) * Double(sign: .plus, exponent: exponent - 25, significand: 1)
            }
        return bits & 0x8000 == 0 ? magnitude : -magnitude
    }
}

/// Why bytes are not the CBOR that ``CBORDecoder`` accepts.
package struct CBORError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The kinds of fault.
    enum Problem: Hashable, Sendable {
        case unexpectedEnd, trailingBytes, notWellFormed, indefiniteLength, integerRange, invalidUTF8, tooDeep,
            tooManyItems, tag
        case key
        case duplicateKey
        case tagContent(UInt64)
    }

    /// What is wrong.
    let problem: Problem
    /// Where: the number of bytes before the fault.
    let offset: Int

    init(_ problem: Problem, offset: Int) {
        self.problem = problem
        self.offset = offset
    }

    package var description: String {
        let what =
            switch problem {
            case .unexpectedEnd: "the CBOR ends too early"
            case .trailingBytes: "there are bytes after the CBOR item"
            case .notWellFormed: "the CBOR is not well-formed"
            case .indefiniteLength: "an indefinite length, which is not accepted"
            case .integerRange: "an integer outside of 64 bits with sign"
            case .invalidUTF8: "a text string that is not UTF-8"
            case .tooDeep: "nested deeper than \(CBORDecoder.maximumDepth)"
            case .tooManyItems: "more than \(CBORDecoder.maximumItems) items"
            case .tag: "a tag where none may be"
            case .key: "a map key that is not an integer, a text or bytes"
            case .duplicateKey: "a key occurs twice in one map"
            case .tagContent(let tag): "tag \(tag) before an item that it does not go with"
            }
        return "\(what) (byte \(offset))"
    }
}
