import COpenSSL

/// A private key for signing. It is never printed, and leaves only through ``pkcs8PEM``.
///
/// Safe to share between threads although a C pointer is inside: the EVP_PKEY is made complete in the initializer and
/// never changed after it, OpenSSL documents such a key as safe for concurrent use by operations that each have their
/// own context (EVP_MD_CTX, made and freed inside one call here), its own caches are behind its locks, and it is freed
/// when the last reference is gone.
public final class PrivateKey: @unchecked Sendable, CustomStringConvertible, CustomReflectable {
    /// The public half.
    public let publicKey: PublicKey

    private let key: OpaquePointer

    /// Takes over the pointer.
    private init(owning key: OpaquePointer) throws(PKIError) {
        self.key = key
        let spki: [UInt8]
        do { spki = try PrivateKey.output("public key") { countersign_key_spki(key, $0, $1, $2) } } catch {
            countersign_key_free(key)
            throw error
        }
        do { publicKey = try PublicKey(spkiDER: spki) } catch {
            countersign_key_free(key)
            throw error
        }
    }

    deinit { countersign_key_free(key) }

    /// Reads a private key from PEM: PKCS#8 (`PRIVATE KEY`), PKCS#1 (`RSA PRIVATE KEY`) or SEC1 (`EC PRIVATE KEY`).
    /// Other blocks around it, such as `EC PARAMETERS` or certificates, are skipped; a second key is an error.
    public convenience init(pem text: [UInt8]) throws(PKIError) {
        let blocks = try PEM.parse(text).filter { $0.label.hasSuffix("PRIVATE KEY") }
        guard let block = blocks.first else {
            throw PKIError(
                .missing, "there is no private key; expected a PEM block PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY"
            )
        }
        guard blocks.count == 1 else {
            throw PKIError(.malformed, "there are \(blocks.count) private keys; expected one")
        }
        guard block.label != "ENCRYPTED PRIVATE KEY", !block.headers.contains(where: { $0.value.contains("ENCRYPTED") })
        else {
            throw PKIError(
                .encrypted,
                "the private key is encrypted, which is not supported; decrypt it first, for example with openssl pkey")
        }
        guard ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"].contains(block.label) else {
            throw PKIError(.unsupported, "a PEM block \(block.shownLabel) is not a supported form of private key")
        }
        try self.init(der: block.der)
    }

    /// Reads a private key from the DER of PKCS#8, PKCS#1 or SEC1.
    public convenience init(der: [UInt8]) throws(PKIError) {
        guard der.count <= Certificate.maximumBytes else { throw PKIError(.tooLarge, "the private key is too large") }
        let (key, reason) = OpenSSL.explained { countersign_private_key(der, der.count, $0) }
        guard let key else { throw PKIError(.malformed, "the private key cannot be read: \(reason)") }
        try self.init(owning: key)
    }

    /// Makes a new key.
    public static func generate(_ kind: PublicKey.Kind) throws(PKIError) -> PrivateKey {
        let (name, bits): (String, Int32)
        switch kind {
        case .rsa(let size) where (512...16_384).contains(size): (name, bits) = ("RSA", Int32(size))
        case .ec(.p256): (name, bits) = ("P-256", 0)
        case .ec(.p384): (name, bits) = ("P-384", 0)
        case .ec(.p521): (name, bits) = ("P-521", 0)
        case .other("Ed25519"): (name, bits) = ("ED25519", 0)
        default: throw PKIError(.unsupported, "keys of the kind \(kind) cannot be made")
        }
        let (key, reason) = OpenSSL.explained { countersign_generate_key(name, bits, $0) }
        guard let key else { throw PKIError(.failed, "making a key of the kind \(kind) failed: \(reason)") }
        return try PrivateKey(owning: key)
    }

    /// Whether this is the key of a certificate.
    public func matches(_ certificate: Certificate) -> Bool { certificate.publicKey == publicKey }

    /// The signature over a message in the form of X.509: for ECDSA the DER of r and s.
    public func signature(
        over message: some Collection<UInt8>, scheme: SignatureAlgorithm.Scheme
    ) throws(PKIError) -> [UInt8] {
        let message = Array(message)
        let key = self.key
        // A first call asks how long it may become, the second one signs: its length may be less.
        let (size, _) = OpenSSL.explained {
            countersign_sign(key, CountersignSignatureParameters(), nil, 0, nil, 0, $0)
        }
        var output = [UInt8](repeating: 0, count: max(size, 128))
        let capacity = output.count
        let answer = OpenSSL.withParameters(scheme) { parameters in
            OpenSSL.explained { countersign_sign(key, parameters, message, message.count, &output, capacity, $0) }
        }
        guard let (length, reason) = answer else {
            throw PKIError(.unsupported, "this signature algorithm is not supported")
        }
        guard length > 0, length <= capacity else {
            throw PKIError(.failed, "signing with a key of the kind \(publicKey.kind) failed: \(reason)")
        }
        return Array(output.prefix(length))
    }

    /// The signature over a message in the form of JWS and COSE (RFC 7518, section 3.4; RFC 9053, section 2.1):
    /// RSASSA-PSS with MGF1 of the same hash and a salt as long as the hash, or r and s of ECDSA side by side.
    public func envelopeSignature(over message: some Collection<UInt8>, hash: HashAlgorithm) throws(PKIError) -> [UInt8]
    {
        switch publicKey.kind {
        case .rsa:
            return try signature(
                over: message, scheme: .rsaPSS(hash: hash, mgf1Hash: hash, saltLength: hash.length))
        case .ec(let curve):
            guard let length = curve.coordinateLength else { break }
            return try ECDSASignature.raw(
                fromDER: signature(over: message, scheme: .ecdsa(hash)), coordinateLength: length)
        case .other: break
        }
        throw PKIError(.unsupported, "a key of the kind \(publicKey.kind) cannot sign an envelope")
    }

    /// The key as PKCS#8 in PEM: secret.
    public func pkcs8PEM() throws(PKIError) -> String {
        let key = self.key
        return PEM(
            label: "PRIVATE KEY", der: try PrivateKey.output("private key") { countersign_key_pkcs8(key, $0, $1, $2) }
        )
        .text
    }

    /// The kind of key, and nothing of the key.
    public var description: String { "private key (\(publicKey.kind))" }

    /// No children: a dump shows nothing of the key.
    public var customMirror: Mirror { Mirror(self, children: []) }

    /// Calls a function that writes when there is room and always says how much it needs.
    private static func output(
        _ what: String, _ write: (UnsafeMutablePointer<UInt8>, Int, UnsafeMutablePointer<CChar>) -> Int
    ) throws(PKIError) -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: 8 << 10)
        let capacity = buffer.count
        let (length, reason) = OpenSSL.explained { write(&buffer, capacity, $0) }
        guard length > 0, length <= capacity else {
            throw PKIError(.failed, "the \(what) cannot be encoded: \(reason)")
        }
        return Array(buffer.prefix(length))
    }
}
