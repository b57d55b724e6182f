/// Public keys from their numbers, as a JSON Web Key has them (RFC 7518, section 6).
extension PublicKey {
    /// An RSA key.
    public init(rsaModulus modulus: [UInt8], exponent: [UInt8]) throws(PKIError) {
        let key = DERWriter.sequence([DERWriter.integer(magnitude: modulus), DERWriter.integer(magnitude: exponent)])
        try self.init(
            spkiDER: DERWriter.sequence([
                DERWriter.sequence([
                    DERWriter.objectIdentifier("1.2.840.113549.1.1.1"), DERWriter.element(DER.null, []),
                ]), DERWriter.bitString(key),
            ]))
    }

    /// A key on a named curve, by the coordinates of its point.
    public init(curve: Curve, x: [UInt8], y: [UInt8]) throws(PKIError) {
        let oid: String =
            switch curve {
            case .p256: "1.2.840.10045.3.1.7"
            case .p384: "1.3.132.0.34"
            case .p521: "1.3.132.0.35"
            case .other(let oid): oid
            }
        guard let length = curve.coordinateLength, x.count <= length, y.count <= length else {
            throw PKIError(.malformed, "the coordinates of the key do not belong to its curve")
        }
        func padded(_ number: [UInt8]) -> [UInt8] { [UInt8](repeating: 0, count: length - number.count) + number }
        try self.init(
            spkiDER: DERWriter.sequence([
                DERWriter.sequence([
                    DERWriter.objectIdentifier("1.2.840.10045.2.1"), DERWriter.objectIdentifier(oid),
                ]), DERWriter.bitString([0x04] + padded(x) + padded(y)),
            ]))
    }
}
