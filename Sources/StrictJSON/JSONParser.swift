/// Reads JSON strictly (RFC 8259): one value and nothing after it, each member name once in its object, valid
/// UTF-8, paired surrogates, bounded depth. `JSONDecoder` keeps one of two equal names silently, which lets two
/// readers of one signed text disagree about what it says.
public enum StrictJSON {
    /// The deepest nesting that ``parse(_:maximumDepth:maximumValues:)`` accepts unless told otherwise.
    public static let defaultMaximumDepth = 64
    /// The most values that ``parse(_:maximumDepth:maximumValues:)`` accepts unless told otherwise. A value of two
    /// bytes takes up to fifty in memory: without a bound, a few megabytes of text would take hundreds.
    public static let defaultMaximumValues = 200_000

    /// Parses a whole text.
    ///
    /// - Parameters:
    ///   - bytes: UTF-8; white space around the value is accepted, a byte order mark is not.
    ///   - maximumDepth: how many arrays and objects may be open at once.
    ///   - maximumValues: how many values there may be in all, arrays and objects included.
    /// - Throws: ``JSONError`` with the place of the fault.
    public static func parse(
        _ bytes: some Sequence<UInt8>, maximumDepth: Int = defaultMaximumDepth,
        maximumValues: Int = defaultMaximumValues
    ) throws(JSONError) -> JSONValue {
        let array = ContiguousArray(bytes)
        // RFC 8259, section 8.1: no byte order mark. Editors write one that nobody sees, so it is named.
        for (mark, encoding) in byteOrderMarks where array.starts(with: mark) {
            throw JSONError(.byteOrderMark(encoding), at: 0, of: array)
        }
        // Whole-text UTF-8 validation first: after it every string slice is known to be valid.
        guard String(validating: array, as: UTF8.self) != nil else {
            throw JSONError(.invalidUTF8, at: lengthOfValidUTF8(array), of: array)
        }
        var parser = Parser(bytes: array, maximumDepth: maximumDepth, maximumValues: maximumValues)
        return try parser.parseDocument()
    }

    private static let byteOrderMarks: [([UInt8], String)] = [
        ([0xEF, 0xBB, 0xBF], "UTF-8"), ([0xFF, 0xFE], "UTF-16"), ([0xFE, 0xFF], "UTF-16"),
    ]

    /// How many bytes come before the first that is no UTF-8.
    package static func lengthOfValidUTF8(_ bytes: some Sequence<UInt8>) -> Int {
        var decoder = UTF8()
        var iterator = bytes.makeIterator()
        var length = 0
        while case .scalarValue(let scalar) = decoder.decode(&iterator) { length += UTF8.width(scalar) }
        return length
    }
}

private struct Parser {
    let bytes: ContiguousArray<UInt8>
    let maximumDepth: Int
    let maximumValues: Int
    var position = 0
    var depth = 0
    var values = 0

    init(bytes: ContiguousArray<UInt8>, maximumDepth: Int, maximumValues: Int) {
        self.bytes = bytes
        self.maximumDepth = maximumDepth
        self.maximumValues = maximumValues
    }

    func fault(_ problem: JSONError.Problem) -> JSONError { JSONError(problem, at: position, of: bytes) }

    mutating func parseDocument() throws(JSONError) -> JSONValue {
        skipWhitespace()
        let value = try parseValue()
        skipWhitespace()
        guard position == bytes.count else { throw fault(.trailingBytes) }
        return value
    }

    mutating func skipWhitespace() {
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x09, 0x0A, 0x0D: position += 1
            default: return
            }
        }
    }

    func peek() throws(JSONError) -> UInt8 {
        guard position < bytes.count else { throw fault(.unexpectedEnd) }
        return bytes[position]
    }

    mutating func expect(_ literal: StaticString) throws(JSONError) {
        for index in 0..<literal.utf8CodeUnitCount {
            let byte = try peek()
            guard byte == literal.utf8Start[index] else { throw fault(.unexpectedByte(byte)) }
            position += 1
        }
    }

    mutating func parseValue() throws(JSONError) -> JSONValue {
        let byte = try peek()
        values += 1
        guard values <= maximumValues else { throw fault(.tooManyValues(maximumValues)) }
        switch byte {
        case UInt8(ascii: "{"): return .object(try parseObject())
        case UInt8(ascii: "["): return .array(try parseArray())
        case UInt8(ascii: "\""): return .string(try parseString())
        case UInt8(ascii: "t"):
            try expect("true")
            return .bool(true)
        case UInt8(ascii: "f"):
            try expect("false")
            return .bool(false)
        case UInt8(ascii: "n"):
            try expect("null")
            return .null
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number(try parseNumber())
        default: throw fault(.unexpectedByte(byte))
        }
    }

    mutating func open() throws(JSONError) {
        depth += 1
        guard depth <= maximumDepth else { throw fault(.tooDeep(maximumDepth)) }
        position += 1
        skipWhitespace()
    }

    mutating func close() {
        depth -= 1
        position += 1
    }

    mutating func parseObject() throws(JSONError) -> JSONObject {
        try open()
        var object = JSONObject()
        // A set only once the object is large: most have a handful of members.
        var seen: Set<String> = []
        if try peek() == UInt8(ascii: "}") {
            close()
            return object
        }
        while true {
            guard try peek() == UInt8(ascii: "\"") else { throw fault(.unexpectedByte(bytes[position])) }
            let start = position
            let name = try parseString()
            let isNew: Bool
            if object.count < 16 {
                isNew = object[name] == nil
            } else {
                if seen.isEmpty { seen = Set(object.names) }
                isNew = seen.insert(name).inserted
            }
            guard isNew else { throw JSONError(.duplicateName(name), at: start, of: bytes) }
            skipWhitespace()
            guard try peek() == UInt8(ascii: ":") else { throw fault(.unexpectedByte(bytes[position])) }
            position += 1
            skipWhitespace()
            object.append(name, try parseValue())
            skipWhitespace()
            let next = try peek()
            if next == UInt8(ascii: "}") {
                close()
                return object
            }
            guard next == UInt8(ascii: ",") else { throw fault(.unexpectedByte(next)) }
            position += 1
            skipWhitespace()
        }
    }

    mutating func parseArray() throws(JSONError) -> [JSONValue] {
        try open()
        var array: [JSONValue] = []
        if try peek() == UInt8(ascii: "]") {
            close()
            return array
        }
        while true {
            array.append(try parseValue())
            skipWhitespace()
            let next = try peek()
            if next == UInt8(ascii: "]") {
                close()
                return array
            }
            guard next == UInt8(ascii: ",") else { throw fault(.unexpectedByte(next)) }
            position += 1
            skipWhitespace()
        }
    }

    mutating func parseString() throws(JSONError) -> String {
        position += 1
        let start = position
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "\""):
                let text = String(decoding: bytes[start..<position], as: UTF8.self)
                position += 1
                return text
            case UInt8(ascii: "\\"):
                return try parseEscapedString(from: start)
            case 0..<0x20: throw fault(.controlCharacter)
            default: position += 1
            }
        }
        throw fault(.unexpectedEnd)
    }

    mutating func parseEscapedString(from start: Int) throws(JSONError) -> String {
        var text = ContiguousArray(bytes[start..<position])
        while position < bytes.count {
            let byte = bytes[position]
            switch byte {
            case UInt8(ascii: "\""):
                position += 1
                return String(decoding: text, as: UTF8.self)
            case UInt8(ascii: "\\"):
                position += 1
                try appendEscape(to: &text)
            case 0..<0x20: throw fault(.controlCharacter)
            default:
                text.append(byte)
                position += 1
            }
        }
        throw fault(.unexpectedEnd)
    }

    mutating func appendEscape(to text: inout ContiguousArray<UInt8>) throws(JSONError) {
        let byte = try peek()
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"): text.append(contentsOf: try parseUnicodeEscape().utf8)
        default: throw fault(.invalidEscape)
        }
    }

    mutating func parseUnicodeEscape() throws(JSONError) -> UnicodeScalar {
        let first = try parseHexQuad()
        if let scalar = UnicodeScalar(first) { return scalar }
        // RFC 8259, section 7: a character outside the basic plane is a pair of escapes.
        guard (0xD800...0xDBFF).contains(first), position + 1 < bytes.count, bytes[position] == UInt8(ascii: "\\"),
            bytes[position + 1] == UInt8(ascii: "u")
        else { throw fault(.loneSurrogate) }
        position += 2
        let second = try parseHexQuad()
        guard (0xDC00...0xDFFF).contains(second),
            let scalar = UnicodeScalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
        else { throw fault(.loneSurrogate) }
        return scalar
    }

    mutating func parseHexQuad() throws(JSONError) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            let byte = try peek()
            let digit: UInt8
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
            case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte - UInt8(ascii: "A") + 10
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
            default: throw fault(.invalidEscape)
            }
            value = value << 4 | UInt32(digit)
            position += 1
        }
        return value
    }

    mutating func parseNumber() throws(JSONError) -> String {
        let start = position
        if bytes[position] == UInt8(ascii: "-") { position += 1 }
        let firstDigit = try peek()
        guard (0x30...0x39).contains(firstDigit) else { throw fault(.invalidNumber) }
        if firstDigit == UInt8(ascii: "0") {
            position += 1
            if position < bytes.count, (0x30...0x39).contains(bytes[position]) { throw fault(.invalidNumber) }
        } else {
            try skipDigits()
        }
        if position < bytes.count, bytes[position] == UInt8(ascii: ".") {
            position += 1
            try skipDigits()
        }
        if position < bytes.count, bytes[position] | 0x20 == UInt8(ascii: "e") {
            position += 1
            if position < bytes.count, bytes[position] == UInt8(ascii: "+") || bytes[position] == UInt8(ascii: "-") {
                position += 1
            }
            try skipDigits()
        }
        return String(decoding: bytes[start..<position], as: UTF8.self)
    }

    mutating func skipDigits() throws(JSONError) {
        let start = position
        while position < bytes.count, (0x30...0x39).contains(bytes[position]) { position += 1 }
        guard position > start else { throw fault(.invalidNumber) }
    }
}
