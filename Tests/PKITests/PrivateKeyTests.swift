import Foundation
import PKI
import TestSupport
import Testing

@Suite struct PrivateKeyTests {
    @Test(arguments: [
        ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
        ["genrsa", "-traditional", "2048"],
        ["ecparam", "-name", "prime256v1", "-genkey"],
        ["ecparam", "-name", "secp384r1", "-genkey", "-noout"],
        ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
        ["genpkey", "-algorithm", "ED25519"],
    ])
    func everyFormThatOpenSSLWritesIsRead(command: [String]) throws {
        let pem = try OpenSSLCommand.run(command)
        let key = try PrivateKey(pem: pem)
        let published = try OpenSSLCommand.run("pkey", "-pubout", "-outform", "DER", input: pem)
        #expect(key.publicKey.spkiDER == published)
        #expect(try PrivateKey(pem: Array(key.pkcs8PEM().utf8)).publicKey == key.publicKey)
    }

    @Test(arguments: [
        ["genrsa", "-traditional", "-aes128", "-passout", "pass:secret", "2048"],
        ["genrsa", "-aes128", "-passout", "pass:secret", "2048"],
    ])
    func anEncryptedKeyIsRefusedWithAClearMessage(command: [String]) throws {
        let pem = try OpenSSLCommand.run(command)
        let error = try #require(throws: PKIError.self) { try PrivateKey(pem: pem) }
        #expect(error.kind == .encrypted)
        #expect(error.description.contains("is encrypted, which is not supported"))
    }

    @Test func whatIsNoKeyIsRefused() throws {
        let certificate = try CertificateAuthority(name: "x").certificate
        #expect(throws: PKIError.self) { try PrivateKey(pem: Array(certificate.pem.utf8)) }
        #expect(throws: PKIError.self) { try PrivateKey(pem: []) }
        #expect(throws: PKIError.self) { try PrivateKey(der: certificate.der) }
        let key = try TestKeys.key(.ec(.p256)).pkcs8PEM()
        #expect(throws: PKIError.self) { try PrivateKey(pem: Array((key + key).utf8)) }
        #expect(throws: PKIError.self) {
            try PrivateKey(pem: Array(key.replacing("PRIVATE KEY", with: "DSA PRIVATE KEY").utf8))
        }
        #expect(throws: PKIError.self) { try PrivateKey.generate(.ec(.other("1.2.3"))) }
    }

    @Test func itNeverShowsItself() throws {
        let key = try TestKeys.key(.ec(.p256))
        var dumped = ""
        dump(key, to: &dumped)
        #expect("\(key)" == "private key (EC P-256)")
        #expect(String(reflecting: key) == "private key (EC P-256)")
        #expect(!dumped.contains("0x"), "\(dumped)")
    }

    @Test(arguments: [PublicKey.Kind.rsa(bits: 2048), .rsa(bits: 3072), .ec(.p256), .ec(.p384), .ec(.p521)])
    func envelopeSignaturesAreOpenSSLsToo(kind: PublicKey.Kind) throws {
        let key = try TestKeys.key(kind)
        let hash: HashAlgorithm =
            switch kind {
            case .rsa(bits: 3072), .ec(.p384): .sha384
            case .ec(.p521): .sha512
            default: .sha256
            }
        let message = Array("what is signed".utf8)
        let signature = try key.envelopeSignature(over: message, hash: hash)
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let keyFile = directory.write(PEM(label: "PUBLIC KEY", der: key.publicKey.spkiDER).text, to: "key.pem")
        var arguments = ["dgst", "-\(hash.rawValue.lowercased())", "-verify", keyFile]
        switch kind {
        case .ec(let curve):
            let length = try #require(curve.coordinateLength)
            #expect(signature.count == 2 * length)
            let der = try #require(ECDSASignature.der(fromRaw: signature))
            #expect(try ECDSASignature.raw(fromDER: der, coordinateLength: length) == signature)
            arguments += ["-signature", directory.write(der, to: "signature")]
        default:
            arguments += ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:\(hash.length)"]
            arguments += ["-signature", directory.write(signature, to: "signature")]
        }
        try OpenSSLCommand.run(arguments, input: message)
        #expect(throws: OpenSSLCommand.Failure.self) { try OpenSSLCommand.run(arguments, input: message + [0]) }
    }

    @Test func oneKeySignsInManyTasksAtOnce() async throws {
        let key = try TestKeys.key(.rsa(bits: 2048))
        let valid = try await withThrowingTaskGroup(of: Bool.self) { group in
            for number in 0..<64 {
                group.addTask {
                    let message = Array("\(number)".utf8)
                    let scheme = SignatureAlgorithm.Scheme.rsaPSS(hash: .sha256, mgf1Hash: .sha256, saltLength: 32)
                    let signature = try key.signature(over: message, scheme: scheme)
                    return key.publicKey.isValidSignature(signature, over: message, scheme: scheme)
                }
            }
            return try await group.reduce(true) { $0 && $1 }
        }
        #expect(valid)
    }

    @Test func itKnowsItsCertificate() throws {
        let root = try CertificateAuthority(name: "root")
        let leaf = try root.issue(.codeSigning("leaf"))
        #expect(leaf.key.matches(leaf.certificate))
        #expect(!root.key.matches(leaf.certificate))
    }

    @Test func signaturesOfAWrongFormAreRefused() throws {
        #expect(ECDSASignature.der(fromRaw: []) == nil)
        #expect(ECDSASignature.der(fromRaw: [1, 2, 3]) == nil)
        #expect(throws: PKIError.self) { try ECDSASignature.raw(fromDER: [0x30, 0], coordinateLength: 32) }
        let long = DERWriter.sequence([
            DERWriter.integer(magnitude: [UInt8](repeating: 1, count: 33)), DERWriter.integer(1),
        ])
        #expect(throws: PKIError.self) { try ECDSASignature.raw(fromDER: long, coordinateLength: 32) }
        let negative = DERWriter.sequence([DERWriter.element(DER.integer, [0xFF]), DERWriter.integer(1)])
        #expect(throws: PKIError.self) { try ECDSASignature.raw(fromDER: negative, coordinateLength: 32) }
    }
}
