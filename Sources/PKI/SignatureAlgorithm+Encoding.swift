extension SignatureAlgorithm {
    /// The algorithm of a scheme, encoded as its standard says: NULL parameters for RSASSA-PKCS1-v1_5 (RFC 4055,
    /// section 5), all three fields for RSASSA-PSS, none for ECDSA and Ed25519. Nil for `.other`.
    public init?(_ scheme: Scheme) {
        let der: [UInt8]
        switch scheme {
        case .rsaPSS(let hash, let mgf1, let salt):
            der = DERWriter.sequence([
                DERWriter.objectIdentifier(SignatureAlgorithm.rsaPSSIdentifier),
                DERWriter.sequence([
                    DERWriter.explicit(0, SignatureAlgorithm.encoded(hash)),
                    DERWriter.explicit(
                        1,
                        DERWriter.sequence([
                            DERWriter.objectIdentifier("1.2.840.113549.1.1.8"), SignatureAlgorithm.encoded(mgf1),
                        ])),
                    DERWriter.explicit(2, DERWriter.integer(salt)),
                ]),
            ])
        case .rsaPKCS1, .ecdsa, .ed25519:
            guard let oid = SignatureAlgorithm.simple.first(where: { $0.value == scheme })?.key else { return nil }
            var fields = [DERWriter.objectIdentifier(oid)]
            if case .rsaPKCS1 = scheme { fields.append(DERWriter.null) }
            der = DERWriter.sequence(fields)
        case .other: return nil
        }
        var reader = DERReader(der)
        guard let element = try? reader.any(), let algorithm = try? SignatureAlgorithm(element) else { return nil }
        self = algorithm
    }

    /// The AlgorithmIdentifier of a hash function, with NULL parameters.
    package static func encoded(_ hash: HashAlgorithm) -> [UInt8] {
        DERWriter.sequence([DERWriter.objectIdentifier(hash.oid), DERWriter.null])
    }
}
