/// The string types of ASN.1 that names are made of.
enum DirectoryString {
    /// The text of a string value.
    ///
    /// - Throws: when the value is not a string, or has characters that its type does not have: a certificate with such
    ///   a name is refused, as the reference verifier does.
    static func decode(_ element: DERElement) throws(PKIError) -> String {
        let bytes = element.content
        switch element.tag {
        case DER.utf8String:
            guard let text = String(validating: bytes, as: UTF8.self) else {
                throw DER.fault("has a UTF8String that is not UTF-8")
            }
            return text
        case DER.printableString:
            guard bytes.allSatisfy({ isPrintable($0) || $0 == UInt8(ascii: "*") || $0 == UInt8(ascii: "&") }) else {
                throw DER.fault("has a PrintableString with other characters")
            }
            return String(decoding: bytes, as: UTF8.self)
        case DER.ia5String:
            guard bytes.allSatisfy({ $0 < 0x80 }) else { throw DER.fault("has an IA5String that is not ASCII") }
            return String(decoding: bytes, as: UTF8.self)
        case DER.numericString:
            guard bytes.allSatisfy({ (0x30...0x39).contains($0) || $0 == 0x20 }) else {
                throw DER.fault("has a NumericString with something else than digits and spaces")
            }
            return String(decoding: bytes, as: UTF8.self)
        case DER.teletexString:
            // T.61 in practice is Latin-1, whose code points are those of Unicode.
            return latin1(bytes)
        case DER.bmpString:
            return try bmp(bytes)
        default:
            throw DER.fault("has a name with a value that is \(DER.name(of: element.tag)), not text")
        }
    }

    /// The DER of a text in the way Go's `asn1.Marshal` chooses: PrintableString where possible, else UTF8String.
    static func encode(_ text: String) -> [UInt8] {
        let bytes = Array(text.utf8)
        return DERWriter.element(bytes.allSatisfy(isPrintable) ? DER.printableString : DER.utf8String, bytes)
    }

    /// The characters of PrintableString (ITU-T X.680, clause 41.4).
    private static func isPrintable(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x41...0x5A, 0x61...0x7A, 0x30...0x39: true
        case 0x20, 0x27, 0x28, 0x29, 0x2B...0x2F, 0x3A, 0x3D, 0x3F: true
        default: false
        }
    }

    private static func latin1(_ bytes: ArraySlice<UInt8>) -> String {
        var text = String.UnicodeScalarView()
        for byte in bytes { text.append(Unicode.Scalar(byte)) }
        return String(text)
    }

    private static func bmp(_ bytes: ArraySlice<UInt8>) throws(PKIError) -> String {
        guard bytes.count % 2 == 0 else { throw DER.fault("has a BMPString of an odd length") }
        var units: [UInt16] = []
        var index = bytes.startIndex
        while index < bytes.endIndex {
            units.append(UInt16(bytes[index]) << 8 | UInt16(bytes[index + 1]))
            index += 2
        }
        if units.last == 0 { units.removeLast() }
        guard let text = String(validating: units, as: UTF16.self) else {
            throw DER.fault("has a BMPString with surrogates")
        }
        return text
    }
}
