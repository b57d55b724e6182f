import Quotation

/// A distinguished name as trust policies write it: attribute types with one value each (trust store and trust policy
/// specification, "Trusted Identities Constraints"; RFC 4514).
struct SubjectName: Hashable, Sendable {
    /// Values by type, as bytes: they are compared byte for byte, without Unicode equivalence and with regard to case.
    let attributes: [[UInt8]: [UInt8]]

    /// Reads a name.
    ///
    /// Types are case-sensitive, `S` stands for `ST`, `,` and `;` separate, `+` would make a relative name of several
    /// values, which is not accepted, quotes stand for themselves. Country, state and organization must be there.
    init(parsing text: String) throws(TrustPolicyError) {
        let shown = text.quoted
        let bytes = Array(text.utf8)
        guard !Self.hasHexValue(bytes) else {
            throw TrustPolicyError("the name \"\(shown)\" has a value in the form \"=#\", which is not supported")
        }
        var attributes: [[UInt8]: [UInt8]] = [:]
        for (written, value) in try Self.pairs(bytes, shown) {
            let type = written == Array("S".utf8) ? Array("ST".utf8) : written
            guard attributes[type, default: []].isEmpty else {
                throw TrustPolicyError(
                    "the name \"\(shown)\" has the attribute \(String(decoding: type, as: UTF8.self)) more than once")
            }
            attributes[type] = value
        }
        for type in ["C", "ST", "O"] where attributes[Array(type.utf8), default: []].isEmpty {
            throw TrustPolicyError(
                "the name \"\(shown)\" has no \(type); country (C), state or province (ST or S) and organization (O) "
                    + "are required")
        }
        self.attributes = attributes
    }

    /// Whether every attribute of this name is in another one with the same value.
    func isSubset(of other: SubjectName) -> Bool {
        attributes.allSatisfy { other.attributes[$0.key, default: []] == $0.value }
    }

    private static func hasHexValue(_ bytes: [UInt8]) -> Bool {
        zip(bytes, bytes.dropFirst()).contains { $0 == UInt8(ascii: "=") && $1 == UInt8(ascii: "#") }
    }

    /// Splits into types and values at separators that are not escaped (RFC 4514, section 3).
    private static func pairs(
        _ text: [UInt8], _ shown: String
    ) throws(TrustPolicyError) -> [(type: [UInt8], value: [UInt8])] {
        let bytes = trimmed(text[...], where: { [0x20, 0x09, 0x0A, 0x0B, 0x0C, 0x0D].contains($0) })
        var pairs: [(type: [UInt8], value: [UInt8])] = []
        guard !bytes.isEmpty else { return pairs }
        var start = bytes.startIndex
        var type: [UInt8] = []
        var isEscaped = false
        func end(_ index: Int) throws(TrustPolicyError) {
            guard !type.isEmpty else {
                throw TrustPolicyError("the name \"\(shown)\" has a part that is not TYPE=value")
            }
            pairs.append((type, try decode(bytes[start..<index], shown)))
            type = []
            start = index + 1
        }
        for index in bytes.indices {
            switch bytes[index] {
            case _ where isEscaped: isEscaped = false
            case UInt8(ascii: "\\"): isEscaped = true
            case UInt8(ascii: "=") where type.isEmpty:
                type = try decode(bytes[start..<index], shown)
                start = index + 1
            case UInt8(ascii: ","), UInt8(ascii: ";"): try end(index)
            case UInt8(ascii: "+"):
                throw TrustPolicyError(
                    "the name \"\(shown)\" joins several attributes with \"+\", which is not supported; write \\+ for "
                        + "the character")
            default: break
            }
        }
        try end(bytes.endIndex)
        return pairs
    }

    private static func trimmed(_ bytes: ArraySlice<UInt8>, where isSpace: (UInt8) -> Bool) -> ArraySlice<UInt8> {
        var rest = bytes.drop(while: isSpace)
        while let last = rest.last, isSpace(last) { rest.removeLast() }
        return rest
    }

    /// Removes spaces around a type or value, except an escaped one at the end, and escapes (RFC 4514, section 2.4).
    private static func decode(_ raw: ArraySlice<UInt8>, _ shown: String) throws(TrustPolicyError) -> [UInt8] {
        var bytes = trimmed(raw, where: { $0 == 0x20 })
        if bytes.last == UInt8(ascii: "\\"), bytes.endIndex < raw.endIndex { bytes.append(0x20) }
        var value: [UInt8] = []
        var rest = Array(bytes)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "\\") else {
                value.append(byte)
                continue
            }
            let fault = TrustPolicyError("the name \"\(shown)\" has a \"\\\" that escapes nothing")
            guard let next = rest.popFirst() else { throw fault }
            if Array(" \"#+,;<=>\\".utf8).contains(next) {
                value.append(next)
            } else {
                guard let second = rest.popFirst(), let high = hexDigit(next), let low = hexDigit(second) else {
                    throw fault
                }
                value.append(high << 4 | low)
            }
        }
        return value
    }

    private static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x41 + 10
        case 0x61...0x66: byte - 0x61 + 10
        default: nil
        }
    }
}
