import Encoding
import PKI
import Quotation

/// A distinguished name as trust policies write it: attribute types with one value each (trust store and trust policy
/// specification, "Trusted Identities Constraints"; RFC 4514).
struct SubjectName: Hashable, Sendable {
    /// Values by type, as bytes: they are compared byte for byte, without Unicode equivalence and with regard to case.
    /// A type that notation prints without a name stands under its OID.
    let attributes: [[UInt8]: [UInt8]]
    /// OIDs that a certificate's subject has more than once: nothing that names one of them can match.
    private let repeated: Set<[UInt8]>

    /// Other ways to write a type, beside the names that notation prints. None of these is among the short names that
    /// RFC 4514 lists but `DC` and `UID`, which notation does not print by name.
    private static let aliases = [
        "S": "ST", "serialNumber": "SERIALNUMBER", "2.5.4.5": "SERIALNUMBER", "postalCode": "POSTALCODE",
        "2.5.4.17": "POSTALCODE", "E": "1.2.840.113549.1.9.1", "emailAddress": "1.2.840.113549.1.9.1",
        "EMAILADDRESS": "1.2.840.113549.1.9.1", "DC": "0.9.2342.19200300.100.1.25", "UID": "0.9.2342.19200300.100.1.1",
        "organizationIdentifier": "2.5.4.97",
    ]

    /// Reads a name.
    ///
    /// Types are case-sensitive, `S` stands for `ST`, `,` and `;` separate, `+` would make a relative name of several
    /// values, which is not accepted, quotes stand for themselves. Country, state and organization must be there.
    init(parsing text: String) throws(TrustPolicyError) {
        attributes = try Self.attributes(text)
        repeated = []
    }

    /// The subject of a signing certificate. The part that notation prints by name is printed and read again by the
    /// rules of policies, so that the names are refused that the reference verifier refuses: those without C, ST or O,
    /// and those with one type twice. The other types count where an identity names them.
    init(_ subject: DistinguishedName) throws(TrustPolicyError) {
        var attributes = try Self.attributes(subject.rfc2253OfNamedTypes)
        var repeated: Set<[UInt8]> = []
        for attribute in subject.attributes where !attribute.hasShortName {
            let type = Array(attribute.oid.utf8)
            let value = Array(attribute.value.utf8)
            if attributes.updateValue(value, forKey: type) != nil { repeated.insert(type) }
        }
        self.attributes = attributes
        self.repeated = repeated
    }

    private static func attributes(_ text: String) throws(TrustPolicyError) -> [[UInt8]: [UInt8]] {
        let shown = text.quoted
        let bytes = Array(text.utf8)
        guard !Self.hasHexValue(bytes) else {
            throw TrustPolicyError(
                "the name \"\(shown)\" has a value in the form \"=#\", which is not supported; write the value as text")
        }
        var attributes: [[UInt8]: [UInt8]] = [:]
        for (written, value) in try Self.pairs(bytes, shown) {
            let type = Self.aliases[String(decoding: written, as: UTF8.self)].map { Array($0.utf8) } ?? written
            guard attributes[type, default: []].isEmpty else {
                throw TrustPolicyError(
                    "the name \"\(shown)\" has the attribute \(String(decoding: written, as: UTF8.self).quoted) more "
                        + "than once")
            }
            attributes[type] = value
        }
        for type in ["C", "ST", "O"] where attributes[Array(type.utf8), default: []].isEmpty {
            throw TrustPolicyError(
                "the name \"\(shown)\" has no \(type); country (C), state or province (ST or S) and organization (O) "
                    + "are required")
        }
        return attributes
    }

    /// Whether every attribute of this name is in another one with the same value.
    func isSubset(of other: SubjectName) -> Bool {
        attributes.allSatisfy { type, value in
            guard Self.isOID(type) else { return other.attributes[type, default: []] == value }
            return !other.repeated.contains(type) && other.attributes[type] == value
        }
    }

    private static func isOID(_ type: [UInt8]) -> Bool { type.first.map { (0x30...0x39).contains($0) } ?? false }

    private static func hasHexValue(_ bytes: [UInt8]) -> Bool {
        zip(bytes, bytes.dropFirst()).contains { $0 == UInt8(ascii: "=") && $1 == UInt8(ascii: "#") }
    }

    /// A part of a name as it is read: escapes become what they stand for, then unescaped spaces around it go.
    private struct Part {
        private var bytes: [UInt8] = []
        /// Up to where it is more than spaces that were not escaped.
        private var end = 0

        mutating func append(_ byte: UInt8, isEscaped: Bool) {
            let isSpace = byte == 0x20 && !isEscaped
            guard !(isSpace && bytes.isEmpty) else { return }
            bytes.append(byte)
            if !isSpace { end = bytes.count }
        }

        mutating func take() -> [UInt8] {
            defer { self = Part() }
            return Array(bytes.prefix(end))
        }
    }

    /// Splits into types and values at separators that are not escaped (RFC 4514, section 3).
    private static func pairs(
        _ text: [UInt8], _ shown: String
    ) throws(TrustPolicyError) -> [(type: [UInt8], value: [UInt8])] {
        var rest = trimmed(text)
        var pairs: [(type: [UInt8], value: [UInt8])] = []
        guard !rest.isEmpty else { return pairs }
        var type: [UInt8] = []
        var part = Part()
        func end() throws(TrustPolicyError) {
            guard !type.isEmpty else {
                throw TrustPolicyError("the name \"\(shown)\" has a part that is not TYPE=value")
            }
            pairs.append((type, part.take()))
            type = []
        }
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "\\"): part.append(try unescaped(&rest, shown), isEscaped: true)
            case UInt8(ascii: "=") where type.isEmpty: type = part.take()
            case UInt8(ascii: ","), UInt8(ascii: ";"): try end()
            case UInt8(ascii: "+"):
                throw TrustPolicyError(
                    "the name \"\(shown)\" joins several attributes with \"+\", which is not supported; write \\+ for "
                        + "the character")
            default: part.append(byte, isEscaped: false)
            }
        }
        try end()
        return pairs
    }

    /// Without the white space around it, except what a backslash stands before.
    private static func trimmed(_ text: [UInt8]) -> ArraySlice<UInt8> {
        func isSpace(_ byte: UInt8) -> Bool { [0x20, 0x09, 0x0A, 0x0B, 0x0C, 0x0D].contains(byte) }
        let start = text.drop(while: isSpace)
        var rest = start
        while let last = rest.last, isSpace(last) { rest.removeLast() }
        let escapes = rest.reversed().prefix { $0 == UInt8(ascii: "\\") }.count
        return escapes % 2 == 1 ? start.prefix(rest.count + 1) : rest
    }

    /// What stands for itself after a backslash, or two hexadecimal digits (RFC 4514, section 2.4).
    private static func unescaped(_ rest: inout ArraySlice<UInt8>, _ shown: String) throws(TrustPolicyError) -> UInt8 {
        let fault = TrustPolicyError("the name \"\(shown)\" has a \"\\\" that escapes nothing")
        guard let next = rest.popFirst() else { throw fault }
        if Array(" \"#+,;<=>\\".utf8).contains(next) { return next }
        guard let second = rest.popFirst(), let byte = Hex.byte(next, second) else { throw fault }
        return byte
    }
}
