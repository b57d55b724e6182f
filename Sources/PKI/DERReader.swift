/// One element of DER: its tag, its content and the bytes of both.
package struct DERElement: Sendable {
    /// The identifier octet: class, constructed bit and number together.
    package let tag: UInt8
    /// The content octets.
    package let content: ArraySlice<UInt8>
    /// The whole element: identifier, length and content octets.
    package let encoded: ArraySlice<UInt8>

    /// The content as an array of its own.
    package var bytes: [UInt8] { Array(content) }

    /// A reader of the elements inside this one.
    package var reader: DERReader { DERReader(content) }
}

/// Reads DER (ITU-T X.690) from untrusted bytes, one element after the other: definite lengths in their shortest form,
/// tag numbers below 31. It never recurses, and never reads beyond its slice.
///
/// Certificates are read here, not by OpenSSL, because untrusted bytes are safer in checked code, because OpenSSL
/// spends 110 µs and more on one, and because a value without a C pointer in it needs no proof that it may be shared.
/// Cryptography is left to swift-crypto and OpenSSL.
package struct DERReader: Sendable {
    /// What has not been read yet.
    package private(set) var rest: ArraySlice<UInt8>

    /// A reader of these bytes.
    package init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

    /// A reader of these bytes.
    package init(_ bytes: [UInt8]) { rest = bytes[...] }

    /// Whether everything was read.
    package var isAtEnd: Bool { rest.isEmpty }

    /// The tag of the next element, if there is one.
    package var nextTag: UInt8? { rest.first }

    /// Reads the next element, whatever it is.
    package mutating func any() throws(PKIError) -> DERElement {
        let bytes = rest
        guard let tag = bytes.first else { throw DER.fault("ends where an element should begin") }
        guard tag & 0x1F != 0x1F else { throw DER.fault("has a tag number above 30") }
        var index = bytes.startIndex + 1
        guard index < bytes.endIndex else { throw DER.fault("ends in the length of an element") }
        let first = bytes[index]
        index += 1
        var length = 0
        if first < 0x80 {
            length = Int(first)
        } else {
            let count = Int(first & 0x7F)
            guard count > 0 else { throw DER.fault("has an indefinite length, which DER forbids") }
            guard count <= 4 else { throw DER.fault("has an element of more than 4 GiB") }
            guard bytes.endIndex - index >= count else { throw DER.fault("ends in the length of an element") }
            for _ in 0..<count {
                length = length << 8 | Int(bytes[index])
                index += 1
            }
            guard length >= 0x80, count == 1 || length >> ((count - 1) * 8) != 0 else {
                throw DER.fault("has a length that is not in its shortest form")
            }
        }
        guard bytes.endIndex - index >= length else { throw DER.fault("ends inside an element") }
        let end = index + length
        rest = bytes[end...]
        return DERElement(tag: tag, content: bytes[index..<end], encoded: bytes[bytes.startIndex..<end])
    }

    /// Reads the next element, which must have this tag.
    package mutating func element(_ tag: UInt8) throws(PKIError) -> DERElement {
        guard let next = rest.first else { throw DER.fault("ends where \(DER.name(of: tag)) should begin") }
        guard next == tag else { throw DER.fault("has \(DER.name(of: next)) where \(DER.name(of: tag)) should be") }
        return try any()
    }

    /// Reads the next element if it has this tag.
    package mutating func optional(_ tag: UInt8) throws(PKIError) -> DERElement? {
        rest.first == tag ? try any() : nil
    }

    /// Reads a SEQUENCE and gives a reader of its content.
    package mutating func sequence() throws(PKIError) -> DERReader { try element(DER.sequence).reader }

    /// Reads a SET and gives a reader of its content.
    package mutating func set() throws(PKIError) -> DERReader { try element(DER.set).reader }

    /// Reads a BOOLEAN: 0x00 or 0xFF.
    package mutating func boolean() throws(PKIError) -> Bool {
        let content = try element(DER.boolean).content
        guard content.count == 1, let value = content.first, value == 0 || value == 0xFF else {
            throw DER.fault("has a BOOLEAN that is neither 00 nor FF")
        }
        return value == 0xFF
    }

    /// Reads an INTEGER and gives its content octets, which are in two's complement and in their shortest form.
    package mutating func integer() throws(PKIError) -> ArraySlice<UInt8> {
        try DER.integerContent(element(DER.integer).content)
    }

    /// Reads an INTEGER of at least 0 that fits an `Int`.
    package mutating func smallInteger() throws(PKIError) -> Int {
        try DER.smallInteger(integer())
    }

    /// Reads an OBJECT IDENTIFIER, as numbers with dots.
    package mutating func objectIdentifier() throws(PKIError) -> String {
        try DER.objectIdentifier(element(DER.objectIdentifier).content)
    }

    /// Reads an OCTET STRING.
    package mutating func octetString() throws(PKIError) -> ArraySlice<UInt8> { try element(DER.octetString).content }

    /// Reads a BIT STRING of whole octets.
    package mutating func octetAlignedBitString() throws(PKIError) -> ArraySlice<UInt8> {
        let content = try element(DER.bitString).content
        guard content.first == 0 else { throw DER.fault("has a BIT STRING that is not of whole octets") }
        return content.dropFirst()
    }

    /// Says that nothing may follow.
    package func end() throws(PKIError) {
        guard rest.isEmpty else { throw DER.fault("has \(rest.count) bytes too many") }
    }
}
