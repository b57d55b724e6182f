import StrictJSON

/// What a scalar means: the rules of YAML 1.1 as go-yaml applies them for Kubernetes.
enum Scalar {
    static let tagPrefix = "tag:yaml.org,2002:"

    private static let words: [String: JSONValue] = {
        var words: [String: JSONValue] = ["": .null, "~": .null]
        func add(_ value: JSONValue, _ lowercase: String...) {
            for word in lowercase {
                words[word] = value
                words[word.uppercased()] = value
                words[word.prefix(1).uppercased() + word.dropFirst()] = value
            }
        }
        add(.null, "null")
        add(true, "y", "yes", "true", "on")
        add(false, "n", "no", "false", "off")
        return words
    }()
    private static let unwritable: Set<String> = [
        ".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF",
    ]

    static func value(of event: Event) throws(YAMLError) -> JSONValue {
        let text = event.value
        guard let tag = event.tag, tag != "!" || event.isPlain else {
            guard event.isPlain else { return .string(text) }
            guard !unwritable.contains(text) else { throw event.fault(.notANumber) }
            return plain(text)
        }
        switch tag {
        // "!" alone: not to be interpreted.
        case "!", tagPrefix + "str", tagPrefix + "timestamp": return .string(text)
        case tagPrefix + "null", tagPrefix + "bool", tagPrefix + "int", tagPrefix + "float":
            let value = plain(text)
            let fits =
                switch value {
                case .null: tag == tagPrefix + "null"
                case .bool: tag == tagPrefix + "bool"
                case .number(let number): tag == tagPrefix + "float" || (tag == tagPrefix + "int" && isInteger(number))
                case .string, .array, .object: false
                }
            guard fits else { throw event.fault(.unsuitableScalar(tag)) }
            return value
        default: throw event.fault(.unsupportedTag(tag))
        }
    }

    private static func isInteger(_ text: String) -> Bool { text.utf8.allSatisfy { $0 != 0x2E && $0 | 0x20 != 0x65 } }

    private static func plain(_ text: String) -> JSONValue {
        // Byte by byte: Swift's equality of strings knows more forms of a text than its bytes.
        if text.utf8.count <= 5, text.utf8.allSatisfy({ $0 < 0x80 }), let word = words[text] { return word }
        guard let first = text.utf8.first, text.utf8.count <= 400 else { return .string(text) }
        switch first {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "-"):
            let digits = text.utf8.filter { $0 != UInt8(ascii: "_") }
            return number(digits) ?? .string(text)
        case UInt8(ascii: "."): return float(Array(text.utf8)).map { .number($0) } ?? .string(text)
        default: return .string(text)
        }
    }

    private static func number(_ digits: [UInt8]) -> JSONValue? {
        if let integer = integer(digits) { return .number(integer) }
        return float(digits).map { .number($0) }
    }

    /// Go's `ParseInt` with base 0: a prefix tells the base, and a leading zero is octal.
    private static func integer(_ digits: [UInt8]) -> String? {
        var rest = digits[...]
        var isNegative = false
        if let sign = rest.first, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") {
            isNegative = sign == UInt8(ascii: "-")
            rest = rest.dropFirst()
        }
        var base = 10
        if rest.first == UInt8(ascii: "0"), let second = rest.dropFirst().first {
            switch second | 0x20 {
            case UInt8(ascii: "x"): base = 16
            case UInt8(ascii: "b"): base = 2
            case UInt8(ascii: "o"): base = 8
            default: base = 0
            }
            rest = rest.dropFirst(base == 0 ? 1 : 2)
            if base == 0 { base = 8 }
        }
        // Swift's initialiser takes a sign of its own.
        guard let first = rest.first, first != UInt8(ascii: "-"), first != UInt8(ascii: "+"),
            let value = UInt64(String(decoding: rest, as: UTF8.self), radix: base)
        else { return nil }
        guard isNegative, value > 0 else { return String(value) }
        return value <= UInt64(Int64.max) + 1 ? "-\(value)" : nil
    }

    /// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`, and finite.
    private static func float(_ text: [UInt8]) -> String? {
        var rest = text[...]
        func takeDigits(_ rest: inout ArraySlice<UInt8>) -> Int {
            let count = rest.prefix { (0x30...0x39).contains($0) }.count
            rest = rest.dropFirst(count)
            return count
        }
        func takeSign(_ rest: inout ArraySlice<UInt8>) {
            if let sign = rest.first, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") { rest = rest.dropFirst() }
        }
        takeSign(&rest)
        let whole = takeDigits(&rest)
        if rest.first == UInt8(ascii: ".") {
            rest = rest.dropFirst()
            guard takeDigits(&rest) > 0 || whole > 0 else { return nil }
        } else if whole == 0 {
            return nil
        }
        if let exponent = rest.first, exponent | 0x20 == UInt8(ascii: "e") {
            rest = rest.dropFirst()
            takeSign(&rest)
            guard takeDigits(&rest) > 0 else { return nil }
        }
        guard rest.isEmpty, let value = Double(String(decoding: text, as: UTF8.self)), value.isFinite else {
            return nil
        }
        if value == 0 { return "0" }
        // Whole numbers as such: `1.0` is a number of replicas.
        if value.magnitude < 1e18, value == value.rounded() { return String(Int64(value)) }
        return value.description
    }
}
