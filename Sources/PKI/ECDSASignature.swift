/// The two forms of an ECDSA signature: a DER SEQUENCE of r and s (X.509), and both side by side (JWS, COSE).
public enum ECDSASignature {
    /// r and s side by side from their DER.
    public static func raw(fromDER der: [UInt8], coordinateLength: Int) throws(PKIError) -> [UInt8] {
        var outer = DERReader(der)
        var reader = try outer.sequence()
        try outer.end()
        var raw: [UInt8] = []
        for _ in 0..<2 {
            let integer = try reader.integer()
            let magnitude = integer.drop { $0 == 0 }
            guard let first = integer.first, first < 0x80, magnitude.count <= coordinateLength else {
                throw DER.fault("has an ECDSA signature that does not belong to this curve")
            }
            raw += [UInt8](repeating: 0, count: coordinateLength - magnitude.count) + magnitude
        }
        try reader.end()
        return raw
    }

    /// The DER of r and s that stand side by side; nil when their length is odd or none.
    public static func der(fromRaw raw: [UInt8]) -> [UInt8]? {
        guard !raw.isEmpty, raw.count % 2 == 0 else { return nil }
        let half = raw.count / 2
        return DERWriter.sequence([
            DERWriter.integer(magnitude: Array(raw[..<half])), DERWriter.integer(magnitude: Array(raw[half...])),
        ])
    }
}
