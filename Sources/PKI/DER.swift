import Encoding
import FoundationEssentials

/// Tags of DER and the reading of primitive contents.
package enum DER {
    // ITU-T X.680, clause 8.6, as identifier octets.
    package static let boolean: UInt8 = 0x01
    package static let integer: UInt8 = 0x02
    package static let bitString: UInt8 = 0x03
    package static let octetString: UInt8 = 0x04
    package static let null: UInt8 = 0x05
    package static let objectIdentifier: UInt8 = 0x06
    package static let enumerated: UInt8 = 0x0A
    package static let utf8String: UInt8 = 0x0C
    package static let numericString: UInt8 = 0x12
    package static let printableString: UInt8 = 0x13
    package static let teletexString: UInt8 = 0x14
    package static let ia5String: UInt8 = 0x16
    package static let utcTime: UInt8 = 0x17
    package static let generalizedTime: UInt8 = 0x18
    package static let bmpString: UInt8 = 0x1E
    package static let sequence: UInt8 = 0x30
    package static let set: UInt8 = 0x31

    /// A context-specific primitive tag.
    package static func context(_ number: UInt8) -> UInt8 { 0x80 | number }
    /// A context-specific constructed tag.
    package static func contextConstructed(_ number: UInt8) -> UInt8 { 0xA0 | number }

    /// An error about the encoding. It reads after the name of the thing: "the certificate: …".
    static func fault(_ problem: String) -> PKIError { PKIError(.malformed, "the DER \(problem)") }

    /// The name of a tag in an error.
    static func name(of tag: UInt8) -> String {
        switch tag {
        case boolean: "a BOOLEAN"
        case integer: "an INTEGER"
        case bitString: "a BIT STRING"
        case octetString: "an OCTET STRING"
        case null: "a NULL"
        case objectIdentifier: "an OBJECT IDENTIFIER"
        case utcTime: "a UTCTime"
        case generalizedTime: "a GeneralizedTime"
        case sequence: "a SEQUENCE"
        case set: "a SET"
        default: "an element with tag 0x\(Hex.text([tag]))"
        }
    }

    /// Checks that the content of an INTEGER is there and in its shortest form.
    static func integerContent(_ content: ArraySlice<UInt8>) throws(PKIError) -> ArraySlice<UInt8> {
        guard let first = content.first else { throw fault("has an INTEGER without content") }
        if content.count > 1 {
            let second = content[content.startIndex + 1]
            guard !(first == 0 && second < 0x80), !(first == 0xFF && second >= 0x80) else {
                throw fault("has an INTEGER that is not in its shortest form")
            }
        }
        return content
    }

    /// The value of an INTEGER of at least 0 that fits an `Int`.
    static func smallInteger(_ content: ArraySlice<UInt8>) throws(PKIError) -> Int {
        guard let first = content.first, first < 0x80, content.count <= 8 else {
            throw fault("has an INTEGER that is negative or too large")
        }
        var value = 0
        for byte in content { value = value << 8 | Int(byte) }
        return value
    }

    /// The content of an OBJECT IDENTIFIER, as numbers with dots (ITU-T X.690, clause 8.19).
    package static func objectIdentifier(_ content: ArraySlice<UInt8>) throws(PKIError) -> String {
        guard let last = content.last, last < 0x80 else { throw fault("has an OBJECT IDENTIFIER that is cut off") }
        var text = ""
        var value: UInt64 = 0
        var isStart = true
        for byte in content {
            if isStart, byte == 0x80 { throw fault("has an OBJECT IDENTIFIER that is not in its shortest form") }
            guard value >> 56 == 0 else { throw fault("has an OBJECT IDENTIFIER with a number that is too large") }
            value = value << 7 | UInt64(byte & 0x7F)
            isStart = byte < 0x80
            guard isStart else { continue }
            if text.isEmpty {
                let root = min(value / 40, 2)
                text = "\(root).\(value - root * 40)"
            } else {
                text += ".\(value)"
            }
            value = 0
        }
        return text
    }

    /// The time in a UTCTime or GeneralizedTime: seconds are there, the zone is `Z`, no fraction
    /// (RFC 5280, section 4.1.2.5).
    package static func time(_ element: DERElement) throws(PKIError) -> Date {
        var digits = element.content
        let year: Int
        switch element.tag {
        case utcTime:
            guard digits.count == 13 else { throw fault("has a UTCTime that is not YYMMDDHHMMSSZ") }
            let short = try number(&digits, 2)
            year = short < 50 ? 2000 + short : 1900 + short
        case generalizedTime:
            guard digits.count == 15 else { throw fault("has a GeneralizedTime that is not YYYYMMDDHHMMSSZ") }
            year = try number(&digits, 4)
        default:
            throw fault("has \(name(of: element.tag)) where a time should be")
        }
        return try time(year: year, &digits, zone: element.tag)
    }

    /// The time after the year: month, day, hour, minute, second and `Z`.
    static func time(year: Int, _ digits: inout ArraySlice<UInt8>, zone tag: UInt8) throws(PKIError) -> Date {
        let month = try number(&digits, 2)
        let day = try number(&digits, 2)
        let hour = try number(&digits, 2)
        let minute = try number(&digits, 2)
        let second = try number(&digits, 2)
        guard digits.first == UInt8(ascii: "Z"), digits.count == 1 else {
            throw fault("has a time that does not end in Z")
        }
        guard let seconds = UTC.seconds(year: year, month: month, day: day, hour: hour, minute: minute, second: second)
        else { throw fault("has a time that does not exist") }
        return Date(timeIntervalSince1970: Double(seconds))
    }

    static func number(_ digits: inout ArraySlice<UInt8>, _ count: Int) throws(PKIError) -> Int {
        var value = 0
        for _ in 0..<count {
            guard let digit = digits.popFirst(), (0x30...0x39).contains(digit) else {
                throw fault("has a time with something else than digits")
            }
            value = value * 10 + Int(digit - 0x30)
        }
        return value
    }
}
