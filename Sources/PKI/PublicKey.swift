import COpenSSL
import Crypto
import Encoding

/// A public key, from a SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7).
public struct PublicKey: Hashable, Sendable, CustomStringConvertible {
    /// A curve of a key for ECDSA.
    public enum Curve: Hashable, Sendable {
        case p256, p384, p521
        /// Any other curve, by its object identifier.
        case other(String)

        /// How many bytes r and s have each in a signature; nil for curves that are not used for signatures here.
        public var coordinateLength: Int? {
            switch self {
            case .p256: 32
            case .p384: 48
            case .p521: 66
            case .other: nil
            }
        }
    }

    /// The kind of a key and its size.
    public enum Kind: Hashable, Sendable, CustomStringConvertible {
        /// RSA (rsaEncryption), with the exact number of bits of its modulus.
        case rsa(bits: Int)
        /// ECDSA on a named curve.
        case ec(Curve)
        /// Anything else: Ed25519, a key restricted to RSASSA-PSS, DSA, …
        case other(String)

        /// The kind, for a person: `RSA-2048`, `EC P-256`.
        public var description: String {
            switch self {
            case .rsa(let bits): "RSA-\(bits)"
            case .ec(.p256): "EC P-256"
            case .ec(.p384): "EC P-384"
            case .ec(.p521): "EC P-521"
            case .ec(.other(let oid)): "EC on curve \(oid)"
            case .other(let name): name
            }
        }
    }

    /// What kind of key it is.
    public let kind: Kind
    /// The SubjectPublicKeyInfo, as it was encoded.
    public let spkiDER: [UInt8]
    /// The key itself: the content of the BIT STRING (RSAPublicKey, or the point).
    public let keyBytes: [UInt8]

    /// Reads a SubjectPublicKeyInfo.
    public init(spkiDER: [UInt8]) throws(PKIError) {
        var reader = DERReader(spkiDER)
        let element = try reader.element(DER.sequence)
        try reader.end()
        try self.init(element)
    }

    /// Reads a public key from PEM: one block `PUBLIC KEY`.
    public init(pem text: [UInt8]) throws(PKIError) {
        let blocks = try PEM.parse(text)
        guard let block = blocks.first else {
            throw PKIError(.missing, "there is no public key; expected a PEM block PUBLIC KEY")
        }
        guard blocks.count == 1 else {
            throw PKIError(.malformed, "there are \(blocks.count) PEM blocks; expected one")
        }
        guard block.label == "PUBLIC KEY" else {
            throw PKIError(.unsupported, "expected a PEM block PUBLIC KEY, found \(block.shownLabel)")
        }
        try self.init(spkiDER: block.der)
    }

    /// The SHA-256 of the SubjectPublicKeyInfo, in lower-case hexadecimal.
    public var sha256Hex: String { Hex.text(SHA256.hash(data: spkiDER)) }

    /// Keys are the same when they are encoded in the same way.
    public static func == (left: PublicKey, right: PublicKey) -> Bool { left.spkiDER == right.spkiDER }

    /// Hashes the encoding.
    public func hash(into hasher: inout Hasher) { hasher.combine(spkiDER) }

    /// The kind.
    public var description: String { kind.description }

    /// Reads a SubjectPublicKeyInfo.
    package init(_ element: DERElement) throws(PKIError) {
        var reader = element.reader
        var algorithm = try reader.sequence()
        let key = try reader.octetAlignedBitString()
        try reader.end()
        let oid = try algorithm.objectIdentifier()
        spkiDER = Array(element.encoded)
        keyBytes = Array(key)
        switch oid {
        case "1.2.840.113549.1.1.1":
            // RFC 3279, section 2.3.1: the parameters must be NULL.
            guard try algorithm.element(DER.null).content.isEmpty else { throw DER.fault("has a NULL with content") }
            try algorithm.end()
            kind = .rsa(bits: try PublicKey.modulusBits(key))
        case "1.2.840.10045.2.1":
            // RFC 5480, section 2.1.1: only named curves.
            guard algorithm.nextTag == DER.objectIdentifier else {
                throw PKIError(.unsupported, "an EC key that does not name its curve")
            }
            let curve = try algorithm.objectIdentifier()
            try algorithm.end()
            kind = .ec(try PublicKey.curve(curve, point: key))
        default:
            if !algorithm.isAtEnd { _ = try algorithm.any() }
            try algorithm.end()
            kind = .other(PublicKey.name(ofAlgorithm: oid))
        }
    }

    /// The name of a key algorithm that nothing is verified with but certificates, or not even those.
    private static func name(ofAlgorithm oid: String) -> String {
        switch oid {
        case "1.3.101.112": "Ed25519"
        case "1.3.101.113": "Ed448"
        case "1.2.840.113549.1.1.10": "RSA restricted to RSASSA-PSS"
        case "1.2.840.10040.4.1": "DSA"
        default: "key algorithm \(oid)"
        }
    }

    /// The bits of the modulus of an RSAPublicKey (RFC 8017, appendix A.1.1).
    private static func modulusBits(_ key: ArraySlice<UInt8>) throws(PKIError) -> Int {
        var reader = DERReader(key)
        var fields = try reader.sequence()
        try reader.end()
        let modulus = try fields.integer()
        let exponent = try fields.integer()
        try fields.end()
        guard let first = modulus.first, first < 0x80, let low = exponent.first, low < 0x80 else {
            throw DER.fault("has an RSA key with a negative number")
        }
        let magnitude = modulus.drop { $0 == 0 }
        guard let top = magnitude.first, exponent.contains(where: { $0 != 0 }) else {
            throw DER.fault("has an RSA key with a zero")
        }
        return magnitude.count * 8 - top.leadingZeroBitCount
    }

    private static func curve(_ oid: String, point: ArraySlice<UInt8>) throws(PKIError) -> Curve {
        let curve: Curve =
            switch oid {
            case "1.2.840.10045.3.1.7": .p256
            case "1.3.132.0.34": .p384
            case "1.3.132.0.35": .p521
            default: .other(oid)
            }
        // RFC 5480, section 2.2: the uncompressed form is the one that must be supported.
        if let length = curve.coordinateLength {
            guard point.first == 0x04, point.count == 1 + 2 * length else {
                throw DER.fault("has an EC key that is not an uncompressed point of its curve")
            }
        }
        return curve
    }

    /// Whether a signature is this key's over a message. False for every signature that cannot be checked, too: another
    /// kind of key than the algorithm needs, an unsupported algorithm.
    public func isValidSignature(
        _ signature: some Collection<UInt8>, over message: some Collection<UInt8>, algorithm: SignatureAlgorithm
    ) -> Bool {
        isValidSignature(signature, over: message, scheme: algorithm.scheme)
    }

    /// The same with the scheme alone.
    public func isValidSignature(
        _ signature: some Collection<UInt8>, over message: some Collection<UInt8>, scheme: SignatureAlgorithm.Scheme
    ) -> Bool {
        let (signature, message) = (Array(signature), Array(message))
        return isValidBySwiftCrypto(signature, over: message, scheme: scheme)
            ?? OpenSSL.verify(signature: signature, message: message, spki: spkiDER, scheme: scheme)
    }

    /// The same for a message of which no more is known than its digest, by the hash of the scheme. False for schemes
    /// that sign the message itself (Ed25519), too.
    public func isValidSignature(
        _ signature: some Collection<UInt8>, ofDigest digest: [UInt8], scheme: SignatureAlgorithm.Scheme
    ) -> Bool {
        OpenSSL.verify(signature: Array(signature), digest: digest, spki: spkiDER, scheme: scheme)
    }
}
