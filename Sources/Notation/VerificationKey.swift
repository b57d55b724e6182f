import Crypto
import CryptoExtras
import FoundationEssentials
import PKI

/// The public key of a signing certificate, parsed and bound to the one algorithm that it may sign with.
struct VerificationKey: Sendable {
    private enum Backing: Sendable {
        case rsa(_RSA.Signing.PublicKey)
        case p256(P256.Signing.PublicKey)
        case p384(P384.Signing.PublicKey)
        case p521(P521.Signing.PublicKey)
    }

    /// The algorithm.
    let algorithm: SigningAlgorithm
    private let backing: Backing

    /// `nil` for a key that may not sign, or that is malformed.
    init?(_ key: PublicKey) {
        guard let algorithm = SigningAlgorithm(key: key) else { return nil }
        self.algorithm = algorithm
        do {
            switch algorithm {
            case .ps256, .ps384, .ps512: backing = .rsa(try _RSA.Signing.PublicKey(derRepresentation: key.spkiDER))
            case .es256: backing = .p256(try P256.Signing.PublicKey(x963Representation: key.keyBytes))
            case .es384: backing = .p384(try P384.Signing.PublicKey(x963Representation: key.keyBytes))
            case .es512: backing = .p521(try P521.Signing.PublicKey(x963Representation: key.keyBytes))
            }
        } catch { return nil }
    }

    /// Whether a signature is this key's over a message that is the concatenation of some parts.
    ///
    /// RSASSA-PSS has MGF1 with the same hash and a salt exactly as long as the hash: RFC 7518, section 3.5, for JWS
    /// and RFC 8230, section 2, for COSE. (The reference accepts any salt in JWS.) ECDSA signatures are r and s side by
    /// side, each as long as the order: RFC 7518, section 3.4, and RFC 9053, section 2.1.
    func isValid(_ signature: [UInt8], over parts: some Sequence<[UInt8]>) -> Bool {
        switch algorithm.hash {
        case .sha256: isValid(signature, Self.digest(parts, SHA256.self))
        case .sha384: isValid(signature, Self.digest(parts, SHA384.self))
        case .sha512: isValid(signature, Self.digest(parts, SHA512.self))
        default: false
        }
    }

    private static func digest<Hash: HashFunction>(_ parts: some Sequence<[UInt8]>, _: Hash.Type) -> Hash.Digest {
        var hash = Hash()
        for part in parts { hash.update(data: part) }
        return hash.finalize()
    }

    private func isValid(_ signature: [UInt8], _ digest: some Crypto.Digest) -> Bool {
        switch backing {
        case .rsa(let key):
            return key.isValidSignature(
                _RSA.Signing.RSASignature(rawRepresentation: signature), for: digest, padding: .PSS)
        case .p256(let key):
            guard signature.count == 64,
                let value = try? P256.Signing.ECDSASignature(rawRepresentation: signature)
            else { return false }
            return key.isValidSignature(value, for: digest)
        case .p384(let key):
            guard signature.count == 96,
                let value = try? P384.Signing.ECDSASignature(rawRepresentation: signature)
            else { return false }
            return key.isValidSignature(value, for: digest)
        case .p521(let key):
            guard signature.count == 132,
                let value = try? P521.Signing.ECDSASignature(rawRepresentation: signature)
            else { return false }
            return key.isValidSignature(value, for: digest)
        }
    }
}
