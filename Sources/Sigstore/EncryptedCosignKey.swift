import Encoding
import PKI
import Quotation
import StrictJSON

/// A private key as `cosign generate-key-pair` writes it: PKCS #8, encrypted with a password by scrypt and NaCl's
/// secretbox, as JSON in PEM.
public struct EncryptedCosignKey: Sendable {
    /// The labels of such keys.
    public static let labels = ["ENCRYPTED SIGSTORE PRIVATE KEY", "ENCRYPTED COSIGN PRIVATE KEY"]

    private let salt: [UInt8]
    private let cost: Int
    private let nonce: [UInt8]
    private let box: [UInt8]

    /// The costs that cosign writes, and that it reads, all of them with r 8 and p 1: no file makes this program take
    /// more than 128 MiB.
    private static let costs = [32_768, 65_536, 131_072]
    private static let blockSize = 8
    private static let maximumBytes = 64 << 10

    /// Whether a text has such a key.
    public static func isEncrypted(_ text: [UInt8]) -> Bool {
        (try? PEM.parse(text))?.contains { labels.contains($0.label) } ?? false
    }

    /// Reads such a key. Other blocks beside it are an error.
    public init(pem text: [UInt8]) throws(PKIError) {
        let blocks = try PEM.parse(text)
        guard let block = blocks.first, blocks.count == 1, Self.labels.contains(block.label) else {
            throw PKIError(.malformed, "expected one PEM block \(Self.labels.joined(separator: " or ")), and no other")
        }
        try self.init(json: block.der)
    }

    /// Reads what is in such a block.
    init(json bytes: [UInt8]) throws(PKIError) {
        guard bytes.count <= Self.maximumBytes else {
            throw PKIError(.tooLarge, "the encrypted private key has more than \(Self.maximumBytes) bytes")
        }
        guard let json = try? StrictJSON.parse(bytes, maximumDepth: 8, maximumValues: 64) else {
            throw Self.malformed("is not JSON")
        }
        try Self.expect(json["kdf"]?["name"], "scrypt", "a way to derive a key")
        try Self.expect(json["cipher"]?["name"], "nacl/secretbox", "a cipher")
        let parameters = json["kdf"]?["params"]
        guard let cost = parameters?["N"]?.integer, let blockSize = parameters?["r"]?.integer,
            let parallelization = parameters?["p"]?.integer
        else { throw Self.malformed("does not say how its key is derived") }
        guard let known = Self.costs.first(where: { $0 == cost }), blockSize == Self.blockSize, parallelization == 1
        else {
            throw PKIError(
                .unsupported,
                "the encrypted private key asks for scrypt with N \(cost), r \(blockSize) and p \(parallelization); accepted "
                    + "are N \(Self.costs.map(String.init).joined(separator: ", ")) with r 8 and p 1, as cosign writes and "
                    + "reads them")
        }
        self.cost = known
        salt = try Self.bytes(json["kdf"]?["salt"], "salt")
        nonce = try Self.bytes(json["cipher"]?["nonce"], "nonce")
        box = try Self.bytes(json["ciphertext"], "ciphertext")
        guard nonce.count == SecretBox.nonceLength else {
            throw Self.malformed("has a nonce of \(nonce.count) bytes instead of \(SecretBox.nonceLength)")
        }
    }

    /// The key.
    ///
    /// - Throws: ``PKIError`` of the kind `encrypted` when the password is another one, or the file was altered.
    public func decrypted(password: [UInt8]) throws(PKIError) -> PrivateKey {
        let key = try Scrypt.key(
            password: password, salt: salt, cost: cost, blockSize: Self.blockSize, parallelization: 1,
            length: SecretBox.keyLength)
        guard let der = SecretBox.open(box, nonce: nonce, key: key) else {
            throw PKIError(.encrypted, "the password is not that of the private key, or the file has been altered")
        }
        return try PrivateKey(der: der)
    }

    private static func malformed(_ problem: String) -> PKIError {
        PKIError(.malformed, "the encrypted private key \(problem)")
    }

    private static func expect(_ value: JSONValue?, _ name: String, _ what: String) throws(PKIError) {
        guard let text = value?.string else { throw malformed("does not name \(what)") }
        guard isSame(text, name) else {
            throw PKIError(
                .unsupported, "the encrypted private key names \(what), \"\(text.quoted)\", that is not \"\(name)\"")
        }
    }

    private static func bytes(_ value: JSONValue?, _ name: String) throws(PKIError) -> [UInt8] {
        guard let text = value?.string, let bytes = Base64.decode(text), !bytes.isEmpty else {
            throw malformed("has no \(name) in Base64")
        }
        return bytes
    }
}
