import TestSupport
import Testing

@testable import PKI

/// Two libraries check signatures here: where swift-crypto answers, OpenSSL must give the same answer.
@Suite struct SignatureAgreementTests {
    @Test(arguments: [
        (PublicKey.Kind.rsa(bits: 2048), SignatureAlgorithm.Scheme.rsaPKCS1(.sha256)),
        (.rsa(bits: 2048), .rsaPSS(hash: .sha256, mgf1Hash: .sha256, saltLength: 32)),
        (.rsa(bits: 3072), .rsaPKCS1(.sha384)),
        (.rsa(bits: 3072), .rsaPSS(hash: .sha512, mgf1Hash: .sha512, saltLength: 64)),
        (.ec(.p256), .ecdsa(.sha256)), (.ec(.p256), .ecdsa(.sha512)), (.ec(.p384), .ecdsa(.sha384)),
    ])
    func bothSayTheSame(kind: PublicKey.Kind, scheme: SignatureAlgorithm.Scheme) throws {
        let key = try TestKeys.key(kind)
        let other = try PrivateKey.generate(kind)
        let message = Array("what is signed".utf8)
        let signature = try key.signature(over: message, scheme: scheme)
        var candidates = [signature, [], [0], Array(signature.dropLast()), signature + [0], [0] + signature]
        candidates.append(try other.signature(over: message, scheme: scheme))
        for position in stride(from: 0, to: signature.count, by: 29) {
            var changed = signature
            changed[position] ^= 1 << UInt8(position % 8)
            candidates.append(changed)
        }
        for candidate in candidates {
            for said in [message, message + [0]] {
                let quick = key.publicKey.isValidBySwiftCrypto(candidate, over: said, scheme: scheme)
                let reference = OpenSSL.verify(
                    signature: candidate, message: said, spki: key.publicKey.spkiDER, scheme: scheme)
                #expect(quick == reference)
                #expect(quick == (candidate == signature && said == message))
            }
        }
    }

    @Test(arguments: [
        (PublicKey.Kind.rsa(bits: 1024), SignatureAlgorithm.Scheme.rsaPKCS1(.sha256)),
        (.rsa(bits: 2048), .rsaPKCS1(.sha1)),
        (.rsa(bits: 2048), .rsaPSS(hash: .sha256, mgf1Hash: .sha256, saltLength: 20)),
        (.rsa(bits: 2048), .rsaPSS(hash: .sha256, mgf1Hash: .sha384, saltLength: 32)),
        (.ec(.p521), .ecdsa(.sha512)), (.other("Ed25519"), .ed25519),
    ])
    func whatSwiftCryptoDoesNotCoverIsCheckedByOpenSSL(
        kind: PublicKey.Kind, scheme: SignatureAlgorithm.Scheme
    ) throws {
        let key = try PrivateKey.generate(kind)
        let signature = try key.signature(over: [1, 2, 3], scheme: scheme)
        #expect(key.publicKey.isValidBySwiftCrypto(signature, over: [1, 2, 3], scheme: scheme) == nil)
        #expect(key.publicKey.isValidSignature(signature, over: [1, 2, 3], scheme: scheme))
        #expect(!key.publicKey.isValidSignature(signature, over: [1, 2, 4], scheme: scheme))
    }
}
