import Crypto
import CryptoExtras
import FoundationEssentials

/// Signature checks by swift-crypto, for the algorithms that certificates are signed with today. OpenSSL 3.0 spends
/// 100 µs and more on decoding a public key before it looks at the signature, and a chain that was never seen needs one
/// key for each link.
extension PublicKey {
    /// Whether a signature is valid; nil for an algorithm, a parameter or a key that is left to OpenSSL.
    func isValidBySwiftCrypto(
        _ signature: [UInt8], over message: [UInt8], scheme: SignatureAlgorithm.Scheme
    ) -> Bool? {
        switch scheme {
        case .rsaPKCS1(let hash):
            isValidRSA(signature, over: message, hash: hash, padding: .insecurePKCS1v1_5)
        case .rsaPSS(let hash, let mask, let salt) where mask == hash && salt == hash.length:
            isValidRSA(signature, over: message, hash: hash, padding: .PSS)
        case .ecdsa(let hash):
            isValidECDSA(signature, over: message, hash: hash)
        case .rsaPSS, .ed25519, .other: nil
        }
    }

    private func isValidRSA(
        _ signature: [UInt8], over message: [UInt8], hash: HashAlgorithm, padding: _RSA.Signing.Padding
    ) -> Bool? {
        // 2048 is the least that swift-crypto takes, 8192 what BoringSSL takes at any build.
        guard case .rsa(let bits) = kind, (2048...8192).contains(bits) else { return nil }
        let signature = _RSA.Signing.RSASignature(rawRepresentation: signature)
        func check(_ digest: some Crypto.Digest) -> Bool? {
            guard let key = rsaKey else { return nil }
            return key.isValidSignature(signature, for: digest, padding: padding)
        }
        switch hash {
        case .sha256: return check(SHA256.hash(data: message))
        case .sha384: return check(SHA384.hash(data: message))
        case .sha512: return check(SHA512.hash(data: message))
        case .md5, .sha1, .sha224: return nil
        }
    }

    private var rsaKey: _RSA.Signing.PublicKey? {
        var reader = DERReader(keyBytes)
        guard var fields = try? reader.sequence(), let modulus = try? fields.integer(),
            let exponent = try? fields.integer()
        else { return nil }
        return try? _RSA.Signing.PublicKey(n: Array(modulus), e: Array(exponent))
    }

    private func isValidECDSA(_ signature: [UInt8], over message: [UInt8], hash: HashAlgorithm) -> Bool? {
        switch hash {
        case .sha256: isValidECDSA(signature, of: SHA256.hash(data: message))
        case .sha384: isValidECDSA(signature, of: SHA384.hash(data: message))
        case .sha512: isValidECDSA(signature, of: SHA512.hash(data: message))
        case .md5, .sha1, .sha224: nil
        }
    }

    private func isValidECDSA(_ signature: [UInt8], of digest: some Crypto.Digest) -> Bool? {
        // OpenSSL is the quicker one for P-521.
        switch kind {
        case .ec(.p256):
            guard let key = try? P256.Signing.PublicKey(x963Representation: keyBytes) else { return nil }
            guard let value = try? P256.Signing.ECDSASignature(derRepresentation: signature) else { return false }
            return key.isValidSignature(value, for: digest)
        case .ec(.p384):
            guard let key = try? P384.Signing.PublicKey(x963Representation: keyBytes) else { return nil }
            guard let value = try? P384.Signing.ECDSASignature(derRepresentation: signature) else { return false }
            return key.isValidSignature(value, for: digest)
        default: return nil
        }
    }
}
