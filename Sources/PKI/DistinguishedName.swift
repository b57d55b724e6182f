import Encoding

/// A distinguished name (RFC 5280, section 4.1.2.4): a sequence of relative distinguished names, each of one or,
/// rarely, several attributes.
///
/// Two names are equal when their DER is equal, byte for byte, as the reference Notation verifier compares them.
public struct DistinguishedName: Hashable, Sendable, CustomStringConvertible {
    /// One attribute: a type and a value.
    public struct Attribute: Hashable, Sendable {
        /// The type, as numbers with dots: `2.5.4.3`.
        public let oid: String
        /// The value, decoded.
        public let value: String
        /// The value as it was encoded, with its tag and length.
        public let valueDER: [UInt8]

        /// The short name of the type (`CN`, `O`, `ST`, …), or the OID for a type without one.
        public var type: String { DistinguishedName.shortNames[oid] ?? oid }
        /// Whether the type has a short name.
        public var hasShortName: Bool { DistinguishedName.shortNames[oid] != nil }
    }

    /// The relative distinguished names, in the order of the certificate.
    public let rdns: [[Attribute]]
    /// The name as it was encoded.
    public let der: [UInt8]

    /// All attributes in the order of the certificate.
    public var attributes: [Attribute] { rdns.flatMap { $0 } }

    /// Whether there is no attribute.
    public var isEmpty: Bool { rdns.allSatisfy(\.isEmpty) }

    /// The last common name, for messages and metrics.
    public var commonName: String? { attributes.last { $0.oid == "2.5.4.3" }?.value }

    /// Names are the same when they are encoded in the same way.
    public static func == (left: DistinguishedName, right: DistinguishedName) -> Bool { left.der == right.der }

    /// Hashes the encoding.
    public func hash(into hasher: inout Hasher) { hasher.combine(der) }

    /// The types that are printed by name, in the order in which the reference prints them (last one first).
    static let shortNames = [
        "2.5.4.6": "C", "2.5.4.8": "ST", "2.5.4.7": "L", "2.5.4.9": "STREET", "2.5.4.17": "POSTALCODE", "2.5.4.10": "O",
        "2.5.4.11": "OU", "2.5.4.3": "CN", "2.5.4.5": "SERIALNUMBER",
    ]

    /// How many attributes a name may have.
    static let maximumAttributes = 64

    /// Reads a Name from its DER.
    public init(der: [UInt8]) throws(PKIError) {
        var reader = DERReader(der)
        let element = try reader.element(DER.sequence)
        try reader.end()
        try self.init(element)
    }

    /// Reads a Name.
    package init(_ element: DERElement) throws(PKIError) {
        var rdns: [[Attribute]] = []
        var count = 0
        var sequence = element.reader
        while !sequence.isAtEnd {
            var set = try sequence.set()
            var attributes: [Attribute] = []
            while !set.isAtEnd {
                count += 1
                guard count <= DistinguishedName.maximumAttributes else {
                    throw PKIError(.tooLarge, "a name has more than \(DistinguishedName.maximumAttributes) attributes")
                }
                var fields = try set.sequence()
                let oid = try fields.objectIdentifier()
                let value = try fields.any()
                try fields.end()
                attributes.append(
                    Attribute(oid: oid, value: try DirectoryString.decode(value), valueDER: Array(value.encoded)))
            }
            rdns.append(attributes)
        }
        self.rdns = rdns
        der = Array(element.encoded)
    }

    /// The same as ``rfc2253``.
    public var description: String { rfc2253 }

    /// The name in the manner of RFC 2253, exactly as Go's `pkix.Name` prints it, since reports, trust policies and
    /// users know names in that form: SERIALNUMBER, CN, OU, O, POSTALCODE, STREET, L, ST, C in this order whatever the
    /// order of the certificate; several values of one type joined by `+`; other types after them, last one first, as
    /// `oid=#hex`.
    ///
    /// It is made for people and for the identity rules of the trust policy; names are compared by ``der``.
    public var rfc2253: String {
        var text = rfc2253OfNamedTypes
        for attribute in attributes.reversed() where !attribute.hasShortName {
            if !text.isEmpty { text += "," }
            text += "\(attribute.oid)=#\(Hex.text(DirectoryString.encode(attribute.value)))"
        }
        return text
    }

    /// The part of ``rfc2253`` whose types have a short name.
    public var rfc2253OfNamedTypes: String {
        let attributes = self.attributes
        var text = ""
        // Of these two the last value counts, and an empty one not at all.
        for (oid, type) in [("2.5.4.5", "SERIALNUMBER"), ("2.5.4.3", "CN")] {
            guard let last = attributes.last(where: { $0.oid == oid }), !last.value.isEmpty else { continue }
            DistinguishedName.write(type, last.value, after: ",", to: &text)
        }
        for (oid, type) in DistinguishedName.joinedTypes {
            var separator = ","
            for attribute in attributes where attribute.oid == oid {
                DistinguishedName.write(type, attribute.value, after: separator, to: &text)
                separator = "+"
            }
        }
        return text
    }

    /// The types of which all values are printed, in the order in which they are.
    private static let joinedTypes = [
        ("2.5.4.11", "OU"), ("2.5.4.10", "O"), ("2.5.4.17", "POSTALCODE"), ("2.5.4.9", "STREET"), ("2.5.4.7", "L"),
        ("2.5.4.8", "ST"), ("2.5.4.6", "C"),
    ]

    /// Writes `type=value`, escaped.
    private static func write(_ type: String, _ value: String, after separator: String, to text: inout String) {
        if !text.isEmpty { text += separator }
        text += type
        text += "="
        let space = UInt8(ascii: " ")
        let isPlain =
            value.utf8.first != space && value.utf8.last != space
            && value.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), space:
                    true
                default: false
                }
            }
        guard !isPlain else { return text += value }
        let scalars = Array(value.unicodeScalars)
        // Go compares the index of a character's first byte with the length in bytes.
        var offset = 0
        let length = value.utf8.count
        for scalar in scalars {
            switch scalar {
            case ",", "+", "\"", "\\", "<", ">", ";": text.unicodeScalars.append("\\")
            case " " where offset == 0 || offset == length - 1: text.unicodeScalars.append("\\")
            case "#" where offset == 0: text.unicodeScalars.append("\\")
            default: break
            }
            text.unicodeScalars.append(scalar)
            offset += UTF8.width(scalar)
        }
    }
}
