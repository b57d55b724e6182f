import PKI
import Quotation

/// The key of a log, with the scheme that it signs with.
public struct LogKey: Hashable, Sendable {
    /// The key.
    public let publicKey: PublicKey
    /// How it signs.
    let scheme: SignatureAlgorithm.Scheme

    /// A key that signs as its kind does by default: ECDSA with the hash of the curve's size, Ed25519,
    /// RSASSA-PKCS1-v1_5 with SHA-256. Nil for a kind that is not accepted.
    public init?(_ publicKey: PublicKey) {
        guard let scheme = SigningScheme.standard(for: publicKey) else { return nil }
        self.publicKey = publicKey
        self.scheme = scheme
    }

    private init(_ publicKey: PublicKey, _ scheme: SignatureAlgorithm.Scheme) {
        self.publicKey = publicKey
        self.scheme = scheme
    }

    func isValid(_ signature: [UInt8], over message: [UInt8]) -> Bool {
        publicKey.isValidSignature(signature, over: message, scheme: scheme)
    }

    /// Reads `dev.sigstore.common.v1.PublicKey`; nil for a kind that is not supported: one such key in a trusted root
    /// must not make the others unusable.
    init?(_ message: ProtobufMessage) throws(ProtobufMessage.Fault) {
        let bytes = try message.requiredBytes("rawBytes", maximum: SigstoreLimits.certificateBytes)
        let details = try message.requiredText("keyDetails")
        guard let known = SigningScheme.named[details] else { return nil }
        let key: PublicKey
        do {
            key = known.isPKCS1 ? try SigningScheme.pkcs1Key(bytes) : try PublicKey(spkiDER: bytes)
        } catch { throw message.fault("\(error)") }
        guard known.fits(key) else {
            throw message.fault("the key is \(key.kind), which is not what keyDetails \"\(details.quoted)\" says")
        }
        self.init(key, known.scheme)
    }
}

/// The schemes of signatures by the names that protobuf has for them (`dev.sigstore.common.v1.PublicKeyDetails`).
struct SigningScheme {
    let scheme: SignatureAlgorithm.Scheme
    /// Whether the key is an RSAPublicKey alone, without SubjectPublicKeyInfo.
    var isPKCS1 = false

    /// The least bits of an RSA key.
    static let minimumRSABits = 2_048

    private static let pss = SignatureAlgorithm.Scheme.rsaPSS(hash: .sha256, mgf1Hash: .sha256, saltLength: 32)

    static let named: [String: SigningScheme] = [
        "PKIX_ECDSA_P256_SHA_256": SigningScheme(scheme: .ecdsa(.sha256)),
        "PKIX_ECDSA_P384_SHA_384": SigningScheme(scheme: .ecdsa(.sha384)),
        "PKIX_ECDSA_P521_SHA_512": SigningScheme(scheme: .ecdsa(.sha512)),
        "PKIX_ED25519": SigningScheme(scheme: .ed25519),
        "PKIX_RSA_PKCS1V15_2048_SHA256": SigningScheme(scheme: .rsaPKCS1(.sha256)),
        "PKIX_RSA_PKCS1V15_3072_SHA256": SigningScheme(scheme: .rsaPKCS1(.sha256)),
        "PKIX_RSA_PKCS1V15_4096_SHA256": SigningScheme(scheme: .rsaPKCS1(.sha256)),
        "PKIX_RSA_PSS_2048_SHA256": SigningScheme(scheme: pss),
        "PKIX_RSA_PSS_3072_SHA256": SigningScheme(scheme: pss),
        "PKIX_RSA_PSS_4096_SHA256": SigningScheme(scheme: pss),
        "PKIX_RSA_PKCS1V5": SigningScheme(scheme: .rsaPKCS1(.sha256)),
        "PKIX_RSA_PSS": SigningScheme(scheme: pss),
        "PKCS1_RSA_PKCS1V5": SigningScheme(scheme: .rsaPKCS1(.sha256), isPKCS1: true),
        "PKCS1_RSA_PSS": SigningScheme(scheme: pss, isPKCS1: true),
    ]

    /// Whether a key is of the kind that the scheme needs.
    func fits(_ key: PublicKey) -> Bool {
        switch (scheme, key.kind) {
        case (.ecdsa(.sha256), .ec(.p256)), (.ecdsa(.sha384), .ec(.p384)), (.ecdsa(.sha512), .ec(.p521)): true
        case (.ed25519, .other("Ed25519")): true
        case (.rsaPKCS1, .rsa(let bits)), (.rsaPSS, .rsa(let bits)): bits >= Self.minimumRSABits
        default: false
        }
    }

    /// The scheme that a key signs with where nothing says another one; nil for a key that is not accepted.
    static func standard(for key: PublicKey) -> SignatureAlgorithm.Scheme? {
        switch key.kind {
        case .ec(.p256): .ecdsa(.sha256)
        case .ec(.p384): .ecdsa(.sha384)
        case .ec(.p521): .ecdsa(.sha512)
        case .rsa(let bits) where bits >= minimumRSABits: .rsaPKCS1(.sha256)
        case .other("Ed25519"): .ed25519
        default: nil
        }
    }

    /// An RSA key from its two numbers (RFC 8017, appendix A.1.1).
    static func pkcs1Key(_ der: [UInt8]) throws(PKIError) -> PublicKey {
        var outer = DERReader(der)
        var fields = try outer.sequence()
        try outer.end()
        let modulus = try fields.integer()
        let exponent = try fields.integer()
        try fields.end()
        return try PublicKey(rsaModulus: Array(modulus), exponent: Array(exponent))
    }
}
