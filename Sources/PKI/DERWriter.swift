import Encoding
import FoundationEssentials

/// Writes DER, innermost first: `DERWriter.sequence([DERWriter.integer(1), …])`.
package enum DERWriter {
    /// An element with a tag and its content.
    package static func element(_ tag: UInt8, _ content: [UInt8]) -> [UInt8] {
        var bytes = [tag]
        let length = content.count
        if length < 0x80 {
            bytes.append(UInt8(length))
        } else {
            var octets: [UInt8] = []
            var value = length
            while value > 0 {
                octets.insert(UInt8(value & 0xFF), at: 0)
                value >>= 8
            }
            bytes.append(0x80 | UInt8(octets.count))
            bytes += octets
        }
        return bytes + content
    }

    /// A SEQUENCE of encoded elements.
    package static func sequence(_ elements: [[UInt8]]) -> [UInt8] { element(DER.sequence, elements.flatMap { $0 }) }

    /// A SET of encoded elements, in the order that DER asks for.
    package static func set(_ elements: [[UInt8]]) -> [UInt8] {
        element(DER.set, elements.sorted { $0.lexicographicallyPrecedes($1) }.flatMap { $0 })
    }

    /// A BOOLEAN.
    package static func boolean(_ value: Bool) -> [UInt8] { [DER.boolean, 1, value ? 0xFF : 0] }

    /// An INTEGER of at least 0.
    package static func integer(_ value: Int) -> [UInt8] {
        var octets: [UInt8] = []
        var rest = value
        repeat {
            octets.insert(UInt8(rest & 0xFF), at: 0)
            rest >>= 8
        } while rest > 0
        return integer(magnitude: octets)
    }

    /// An INTEGER of at least 0 from its big-endian octets, with or without leading zeros.
    package static func integer(magnitude: [UInt8]) -> [UInt8] {
        var octets = Array(magnitude.drop { $0 == 0 })
        if octets.isEmpty || (octets.first ?? 0) >= 0x80 { octets.insert(0, at: 0) }
        return element(DER.integer, octets)
    }

    /// An OBJECT IDENTIFIER from numbers with dots; empty for a text that is not one.
    package static func objectIdentifier(_ text: String) -> [UInt8] {
        let numbers = text.split(separator: ".", omittingEmptySubsequences: false).map { UInt64($0) }
        guard numbers.count >= 2, let first = numbers[0], let second = numbers[1], first <= 2,
            second < (first < 2 ? 40 : UInt64.max - 80)
        else { return [] }
        var content = base128(first * 40 + second)
        for number in numbers.dropFirst(2) {
            guard let number else { return [] }
            content += base128(number)
        }
        return element(DER.objectIdentifier, content)
    }

    /// An OCTET STRING.
    package static func octetString(_ content: [UInt8]) -> [UInt8] { element(DER.octetString, content) }

    /// A BIT STRING of whole octets.
    package static func bitString(_ content: [UInt8]) -> [UInt8] { element(DER.bitString, [0] + content) }

    /// A NULL.
    package static let null: [UInt8] = [DER.null, 0]

    /// An explicit, context-specific tag around encoded elements.
    package static func explicit(_ number: UInt8, _ content: [UInt8]) -> [UInt8] {
        element(DER.contextConstructed(number), content)
    }

    private static func base128(_ number: UInt64) -> [UInt8] {
        var octets = [UInt8(number & 0x7F)]
        var rest = number >> 7
        while rest > 0 {
            octets.insert(UInt8(rest & 0x7F) | 0x80, at: 0)
            rest >>= 7
        }
        return octets
    }
}

extension DERWriter {
    /// A UTCTime up to 2049, a GeneralizedTime from then on (RFC 5280, section 4.1.2.5).
    package static func time(_ date: Date) -> [UInt8] {
        let text = UTC.text(date).utf8.filter { (0x30...0x39).contains($0) || $0 == UInt8(ascii: "Z") }
        guard date >= Date(timeIntervalSince1970: -631_152_000), date < Date(timeIntervalSince1970: 2_524_608_000)
        else {
            return element(DER.generalizedTime, text)
        }
        return element(DER.utcTime, Array(text.dropFirst(2)))
    }

    /// A GeneralizedTime.
    package static func generalizedTime(_ date: Date) -> [UInt8] {
        element(
            DER.generalizedTime, UTC.text(date).utf8.filter { (0x30...0x39).contains($0) || $0 == UInt8(ascii: "Z") })
    }
}
