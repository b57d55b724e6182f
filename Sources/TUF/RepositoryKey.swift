import Crypto
import Encoding
import FoundationEssentials
import PKI
import StrictJSON

/// A key of a repository (specification, section 4.2.2).
struct RepositoryKey: Hashable, Sendable {
    /// What signatures are checked with. Two keys are one when this is the same, whatever their ids are.
    enum Material: Hashable, Sendable {
        /// The 32 bytes of the public key.
        case ed25519([UInt8])
        case ecdsaP256(PublicKey)
        /// At least 2048 bits.
        case rsaPSS(PublicKey)
        /// A type or scheme that is not known, or a key that cannot be read: nothing is ever signed by it.
        case unusable
    }

    let material: Material

    init(_ value: JSONValue) throws(TUFError.Problem) {
        let members = try MetadataMembers(value, "a key")
        let type = try members.string("keytype")
        let scheme = try members.string("scheme")
        material = Self.material(type: type, scheme: scheme, text: try members.object("keyval")["public"]?.string ?? "")
    }

    private static func material(type: String, scheme: String, text: String) -> Material {
        switch (type, scheme) {
        case ("ed25519", "ed25519"):
            guard let bytes = hexBytes(text), bytes.count == 32 else { return .unusable }
            return .ed25519(bytes)
        // The second spelling of the type is older; Sigstore's roots had it.
        case ("ecdsa", "ecdsa-sha2-nistp256"), ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256"):
            guard let key = try? PublicKey(pem: Array(text.utf8)), key.kind == .ec(.p256) else { return .unusable }
            return .ecdsaP256(key)
        case ("rsa", "rsassa-pss-sha256"):
            guard let key = try? PublicKey(pem: Array(text.utf8)), case .rsa(let bits) = key.kind, bits >= 2048 else {
                return .unusable
            }
            return .rsaPSS(key)
        default: return .unusable
        }
    }

    /// Whether a signature is this key's over a message.
    func isValidSignature(_ signature: [UInt8], over message: [UInt8]) -> Bool {
        switch material {
        case .ed25519(let bytes):
            guard let key = try? Curve25519.Signing.PublicKey(rawRepresentation: bytes) else { return false }
            return key.isValidSignature(signature, for: message)
        case .ecdsaP256(let key): return key.isValidSignature(signature, over: message, scheme: .ecdsa(.sha256))
        case .rsaPSS(let key):
            // The specification leaves the salt's length open. The reference implementation writes one as long as the
            // hash, Go's library the longest that fits: EM of RFC 8017, section 9.1.1, less hash and two bytes.
            guard case .rsa(let bits) = key.kind else { return false }
            return [32, (bits + 6) / 8 - 32 - 2].contains { salt in
                key.isValidSignature(
                    signature, over: message, scheme: .rsaPSS(hash: .sha256, mgf1Hash: .sha256, saltLength: salt))
            }
        case .unusable: return false
        }
    }

    /// Bytes from hexadecimal text of either case; `nil` when it is none.
    static func hexBytes(_ text: String) -> [UInt8]? {
        let digits = Array(text.utf8)
        guard digits.count % 2 == 0 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(digits.count / 2)
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let byte = Hex.byte(digits[index], digits[index + 1]) else { return nil }
            bytes.append(byte)
        }
        return bytes
    }
}
