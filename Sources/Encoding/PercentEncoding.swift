/// Percent-encoding (RFC 3986, section 2.1).
package enum PercentEncoding {
    /// Everything but unreserved characters is encoded (section 2.3).
    package static func encode(_ text: String) -> String {
        var result: [UInt8] = []
        result.reserveCapacity(text.utf8.count)
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                result.append(byte)
            default: result += [UInt8(ascii: "%"), upper(byte >> 4), upper(byte & 0xF)]
            }
        }
        return String(decoding: result, as: UTF8.self)
    }

    /// A query, or a form as `application/x-www-form-urlencoded`: `a=b&c=d`.
    package static func form(_ fields: [(String, String)]) -> String {
        fields.map { "\(encode($0))=\(encode($1))" }.joined(separator: "&")
    }

    /// The bytes that a text stands for; `nil` when a percent sign is followed by something else than two digits.
    package static func decode(_ text: some Sequence<UInt8>) -> [UInt8]? {
        decode(Array(text), plusIsSpace: false, isStrict: true)
    }

    /// The bytes that a text stands for. A percent sign that is followed by something else than two digits stands for
    /// itself.
    ///
    /// - Parameter plusIsSpace: as in a form.
    package static func decodeLeniently(_ text: [UInt8], plusIsSpace: Bool = false) -> [UInt8] {
        decode(text, plusIsSpace: plusIsSpace, isStrict: false) ?? []
    }

    private static func decode(_ text: [UInt8], plusIsSpace: Bool, isStrict: Bool) -> [UInt8]? {
        var result: [UInt8] = []
        result.reserveCapacity(text.count)
        var index = 0
        while index < text.count {
            let byte = text[index]
            if byte == UInt8(ascii: "%") {
                if index + 2 < text.count, let value = Hex.byte(text[index + 1], text[index + 2]) {
                    result.append(value)
                    index += 3
                    continue
                }
                if isStrict { return nil }
            }
            result.append(plusIsSpace && byte == UInt8(ascii: "+") ? 0x20 : byte)
            index += 1
        }
        return result
    }

    private static func upper(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x37 + value }
}
