import PKI

/// Reads the public exponent of an RSAPublicKey (RFC 8017, appendix A.1.1).
enum RSAExponent {
    /// The exponent's bytes without leading zeros, `nil` when the key is malformed.
    static func bytes(of key: [UInt8]) -> ArraySlice<UInt8>? {
        do {
            var reader = DERReader(key)
            var fields = try reader.sequence()
            _ = try fields.integer()
            return try fields.integer().drop { $0 == 0 }
        } catch { return nil }
    }
}
