/// A hash function, as signature algorithms and identifiers of certificates name it.
public enum HashAlgorithm: String, Hashable, Sendable, CaseIterable {
    case md5 = "MD5"
    case sha1 = "SHA1"
    case sha224 = "SHA224"
    case sha256 = "SHA256"
    case sha384 = "SHA384"
    case sha512 = "SHA512"

    /// Its object identifier.
    public var oid: String {
        switch self {
        case .md5: "1.2.840.113549.2.5"
        case .sha1: "1.3.14.3.2.26"
        case .sha224: "2.16.840.1.101.3.4.2.4"
        case .sha256: "2.16.840.1.101.3.4.2.1"
        case .sha384: "2.16.840.1.101.3.4.2.2"
        case .sha512: "2.16.840.1.101.3.4.2.3"
        }
    }

    /// How many bytes a hash has.
    public var length: Int {
        switch self {
        case .md5: 16
        case .sha1: 20
        case .sha224: 28
        case .sha256: 32
        case .sha384: 48
        case .sha512: 64
        }
    }

    /// The hash function with this object identifier.
    public init?(oid: String) {
        guard let match = HashAlgorithm.allCases.first(where: { $0.oid == oid }) else { return nil }
        self = match
    }
}

/// How something was signed: an AlgorithmIdentifier (RFC 5280, section 4.1.1.2), understood.
public struct SignatureAlgorithm: Hashable, Sendable, CustomStringConvertible {
    /// The signature schemes that can be checked.
    public enum Scheme: Hashable, Sendable {
        /// RSASSA-PKCS1-v1_5.
        case rsaPKCS1(HashAlgorithm)
        /// RSASSA-PSS with its parameters (RFC 4055, section 3.1).
        case rsaPSS(hash: HashAlgorithm, mgf1Hash: HashAlgorithm, saltLength: Int)
        /// ECDSA; the signature is the DER of r and s.
        case ecdsa(HashAlgorithm)
        /// Ed25519 (RFC 8410).
        case ed25519
        /// One that is not supported; nothing signed with it is ever valid.
        case other
    }

    /// The object identifier of the algorithm.
    public let oid: String
    /// What it means.
    public let scheme: Scheme
    /// The AlgorithmIdentifier, as it was encoded.
    public let der: [UInt8]

    /// The hash of the signed content; nil for Ed25519 and for algorithms that are not supported.
    public var hash: HashAlgorithm? {
        switch scheme {
        case .rsaPKCS1(let hash), .ecdsa(let hash): hash
        case .rsaPSS(let hash, _, _): hash
        case .ed25519, .other: nil
        }
    }

    /// Whether a collision of its hash function is practical: MD5 and SHA-1. Also true where the mask generation of a
    /// PSS signature uses such a hash, and for algorithms that are not supported.
    public var isWeak: Bool {
        switch scheme {
        case .rsaPKCS1(let hash), .ecdsa(let hash): hash == .md5 || hash == .sha1
        case .rsaPSS(let hash, let mgf1, _): [.md5, .sha1].contains(hash) || [.md5, .sha1].contains(mgf1)
        case .ed25519: false
        case .other: true
        }
    }

    /// The name of the algorithm, for a person.
    public var description: String {
        switch scheme {
        case .rsaPKCS1(let hash): "\(hash.rawValue) with RSA"
        case .rsaPSS(let hash, let mgf1, let salt):
            "\(hash.rawValue) with RSASSA-PSS (salt \(salt)" + (mgf1 == hash ? ")" : ", MGF1 with \(mgf1.rawValue))")
        case .ecdsa(let hash): "\(hash.rawValue) with ECDSA"
        case .ed25519: "Ed25519"
        case .other: "algorithm \(oid)"
        }
    }

    static let rsaPSSIdentifier = "1.2.840.113549.1.1.10"

    /// The algorithms without parameters of their own.
    static let simple: [String: Scheme] = [
        "1.2.840.113549.1.1.4": .rsaPKCS1(.md5),
        "1.2.840.113549.1.1.5": .rsaPKCS1(.sha1),
        "1.2.840.113549.1.1.14": .rsaPKCS1(.sha224),
        "1.2.840.113549.1.1.11": .rsaPKCS1(.sha256),
        "1.2.840.113549.1.1.12": .rsaPKCS1(.sha384),
        "1.2.840.113549.1.1.13": .rsaPKCS1(.sha512),
        "1.2.840.10045.4.1": .ecdsa(.sha1),
        "1.2.840.10045.4.3.1": .ecdsa(.sha224),
        "1.2.840.10045.4.3.2": .ecdsa(.sha256),
        "1.2.840.10045.4.3.3": .ecdsa(.sha384),
        "1.2.840.10045.4.3.4": .ecdsa(.sha512),
        "1.3.101.112": .ed25519,
    ]

    /// Reads an AlgorithmIdentifier.
    package init(_ element: DERElement) throws(PKIError) {
        var reader = element.reader
        oid = try reader.objectIdentifier()
        der = Array(element.encoded)
        if let simple = SignatureAlgorithm.simple[oid] {
            // RFC 4055 asks for NULL with RSA, RFC 5758 and 8410 for nothing; both are seen, neither carries anything.
            if let null = try reader.optional(DER.null), !null.content.isEmpty {
                throw DER.fault("has a NULL with content")
            }
            try reader.end()
            scheme = simple
        } else if oid == SignatureAlgorithm.rsaPSSIdentifier {
            scheme = try SignatureAlgorithm.pss(&reader)
            try reader.end()
        } else {
            if !reader.isAtEnd { _ = try reader.any() }
            try reader.end()
            scheme = .other
        }
    }

    /// RSASSA-PSS-params (RFC 4055, section 3.1). What it leaves out has SHA-1 and 20 as its default.
    private static func pss(_ reader: inout DERReader) throws(PKIError) -> Scheme {
        var fields = try reader.sequence()
        var hash: HashAlgorithm? = .sha1
        var mgf1: HashAlgorithm? = .sha1
        var salt = 20
        if let field = try fields.optional(DER.contextConstructed(0)) {
            var inner = field.reader
            hash = try hashIdentifier(inner.element(DER.sequence))
            try inner.end()
        }
        if let field = try fields.optional(DER.contextConstructed(1)) {
            var inner = field.reader
            var mask = try inner.sequence()
            try inner.end()
            let function = try mask.objectIdentifier()
            let maskHash = try hashIdentifier(mask.element(DER.sequence))
            try mask.end()
            mgf1 = function == "1.2.840.113549.1.1.8" ? maskHash : nil
        }
        if let field = try fields.optional(DER.contextConstructed(2)) {
            var inner = field.reader
            salt = try inner.smallInteger()
            try inner.end()
        }
        if let field = try fields.optional(DER.contextConstructed(3)) {
            var inner = field.reader
            guard try inner.smallInteger() == 1 else { throw DER.fault("has an RSASSA-PSS trailer field other than 1") }
            try inner.end()
        }
        try fields.end()
        guard let hash, let mgf1, salt <= 1024 else { return .other }
        return .rsaPSS(hash: hash, mgf1Hash: mgf1, saltLength: salt)
    }

    /// The hash function that an AlgorithmIdentifier names, or nil for an unknown one.
    package static func hashIdentifier(_ element: DERElement) throws(PKIError) -> HashAlgorithm? {
        var reader = element.reader
        let oid = try reader.objectIdentifier()
        if let null = try reader.optional(DER.null), !null.content.isEmpty {
            throw DER.fault("has a NULL with content")
        }
        try reader.end()
        return HashAlgorithm(oid: oid)
    }
}
