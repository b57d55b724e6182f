/// The parts of BER (ITU-T X.690, clause 8) that signed messages are met with.
enum BER {
    /// How deep elements may lie in one another.
    static let maximumDepth = 64

    /// The same elements with definite lengths in their shortest form, and octet strings in one piece. What is DER
    /// already comes back as it is.
    static func definite(_ bytes: [UInt8]) throws(PKIError) -> [UInt8] {
        var rest = bytes[...]
        let element = try element(&rest, depth: 0)
        guard rest.isEmpty else { throw DER.fault("has \(rest.count) bytes too many") }
        return element
    }

    private static func element(_ rest: inout ArraySlice<UInt8>, depth: Int) throws(PKIError) -> [UInt8] {
        guard depth < maximumDepth else { throw DER.fault("has elements more than \(maximumDepth) deep") }
        guard let tag = rest.popFirst() else { throw DER.fault("ends where an element should begin") }
        guard tag & 0x1F != 0x1F else { throw DER.fault("has a tag number above 30") }
        let length = try length(&rest)
        let isConstructed = tag & 0x20 != 0
        guard let length else {
            guard isConstructed else { throw DER.fault("has a primitive element of indefinite length") }
            var children: [[UInt8]] = []
            while !(rest.starts(with: [0, 0])) { children.append(try element(&rest, depth: depth + 1)) }
            rest = rest.dropFirst(2)
            return try assemble(tag, children)
        }
        guard rest.count >= length else { throw DER.fault("ends inside an element") }
        var content = rest.prefix(length)
        rest = rest.dropFirst(length)
        guard isConstructed else { return DERWriter.element(tag, Array(content)) }
        var children: [[UInt8]] = []
        while !content.isEmpty { children.append(try element(&content, depth: depth + 1)) }
        return try assemble(tag, children)
    }

    /// Puts the parts of an element together: those of an OCTET STRING by their contents.
    private static func assemble(_ tag: UInt8, _ children: [[UInt8]]) throws(PKIError) -> [UInt8] {
        guard tag == DER.octetString | 0x20 else { return DERWriter.element(tag, children.flatMap { $0 }) }
        var content: [UInt8] = []
        for child in children {
            var reader = DERReader(child)
            content += try reader.octetString()
        }
        return DERWriter.element(DER.octetString, content)
    }

    /// The length of an element; nil for an indefinite one.
    private static func length(_ rest: inout ArraySlice<UInt8>) throws(PKIError) -> Int? {
        guard let first = rest.popFirst() else { throw DER.fault("ends in the length of an element") }
        guard first >= 0x80 else { return Int(first) }
        let count = Int(first & 0x7F)
        guard count > 0 else { return nil }
        guard count <= 8, rest.count >= count else { throw DER.fault("has a length that is too long") }
        var length: UInt64 = 0
        for byte in rest.prefix(count) { length = length << 8 | UInt64(byte) }
        rest = rest.dropFirst(count)
        guard length <= UInt64(Int32.max) else { throw DER.fault("has an element that is too long") }
        return Int(length)
    }
}
