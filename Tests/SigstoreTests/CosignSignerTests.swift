import Encoding
import Foundation
import PKI
import StrictJSON
import TestSupport
import Testing

@testable import Sigstore

/// What `CosignSigner` makes: byte for byte what cosign signs, and signatures that the verifier and OpenSSL accept.
@Suite struct CosignSignerTests {
    static let image = ArtifactDigest(of: Array("the image's manifest".utf8))
    static let soon = ContinuousClock.now + .seconds(600)
    static let kinds: [PublicKey.Kind] = [
        .ec(.p256), .ec(.p384), .ec(.p521), .other("Ed25519"), .rsa(bits: 2048), .rsa(bits: 3072),
    ]

    /// A key that is elsewhere.
    struct Remote: RemoteCosignKey {
        let key: PrivateKey
        var fault: CosignSigningError?
        /// The form of the signature is spoilt.
        var isSpoilt = false

        func signature(
            ofDigest digest: [UInt8], scheme: SignatureAlgorithm.Scheme, deadline: ContinuousClock.Instant
        ) async throws(CosignSigningError) -> [UInt8] {
            if let fault { throw fault }
            do {
                let directory = try TemporaryDirectory()
                defer { directory.remove() }
                let file = directory.write(digest, to: "digest")
                let pem = directory.write(try key.pkcs8PEM(), to: "key.pem")
                let signature = try OpenSSLCommand.run(
                    "pkeyutl", "-sign", "-inkey", pem, "-in", file, "-pkeyopt", "digest:sha\(digest.count * 8)")
                return isSpoilt ? signature.dropLast() + [signature[signature.count - 1] ^ 1] : signature
            } catch { throw CosignSigningError("\(error)") }
        }
    }

    private func policy(_ key: SigningKey, _ annotations: [String: String] = [:]) -> BundlePolicy {
        var policy = BundlePolicy(keys: [key])
        policy.logThreshold = 0
        policy.annotations = annotations
        return policy
    }

    private let verifier = BundleVerifier(root: TrustedRoot())

    @Test func whatIsSignedIsWhatCosignSigns() {
        let payload = CosignSigner.payload(Self.image, "registry.example/shop/app", [:])
        #expect(
            String(decoding: payload, as: UTF8.self)
                == #"{"critical":{"identity":{"docker-reference":"registry.example/shop/app"},"image":"#
                + #"{"docker-manifest-digest":"\#(Self.image)"},"type":"cosign container image signature"},"#
                + #""optional":null}"#)
        let annotated = CosignSigner.payload(Self.image, "registry.example/app", ["b": "2", "a": "1"])
        #expect(String(decoding: annotated, as: UTF8.self).hasSuffix(#","optional":{"a":"1","b":"2"}}"#))
        let statement = CosignSigner.statement(Self.image, ["b": "2", "a": "1"])
        #expect(
            String(decoding: statement, as: UTF8.self)
                == #"{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"\#(Self.image.hex)"},"#
                + #""annotations":{"a":"1","b":"2"}}],"predicateType":"https://sigstore.dev/cosign/sign/v1","#
                + #""predicate":{}}"#)
    }

    @Test(arguments: kinds) func bothFormsVerifyByEveryKey(_ kind: PublicKey.Kind) async throws {
        let key = try TestKeys.key(kind)
        let signer = try CosignSigner(key: key)
        let annotations = ["team": "payments"]
        let layer = try await signer.layer(
            signing: Self.image, name: "registry.example/app", annotations: annotations, deadline: Self.soon)
        let bundle = try await signer.bundle(signing: Self.image, annotations: annotations, deadline: Self.soon)
        let own = try SigningKey(key.publicKey)
        let other = ArtifactDigest(of: [1])
        #expect(Set(layer.annotations.keys) == [CosignAnnotation.signature])

        func verifiesLayer(_ policy: BundlePolicy, _ image: ArtifactDigest = Self.image) -> Bool {
            verifier.verify(layer: layer.payload, annotations: layer.annotations, image: image, policy: policy)
                .isVerified
        }
        func verifiesBundle(_ policy: BundlePolicy, _ image: ArtifactDigest = Self.image) -> Bool {
            verifier.verify(imageBundle: bundle, image: image, policy: policy).isVerified
        }
        for verifies in [verifiesLayer, verifiesBundle] {
            #expect(verifies(policy(own), Self.image))
            #expect(verifies(policy(own, annotations), Self.image))
            // Another image, annotation or key; and a policy that asks for a log.
            #expect(!verifies(policy(own), other))
            #expect(!verifies(policy(own, ["team": "shop"]), Self.image))
            #expect(!verifies(policy(try SigningKey(try PrivateKey.generate(.ec(.p256)).publicKey)), Self.image))
            #expect(!verifies(BundlePolicy(keys: [own]), Self.image))
        }
        let json = try StrictJSON.parse(bundle)
        #expect(
            json["verificationMaterial"]?["publicKey"]?["hint"]?.string
                == Base64.encode(ArtifactDigest(of: key.publicKey.spkiDER).bytes))
        #expect(json["verificationMaterial"]?.object?.names == ["publicKey"])

        // OpenSSL, with what cosign hashes with unless told otherwise.
        let signature = try #require(Base64.decode(layer.annotations[CosignAnnotation.signature] ?? ""))
        try expectOpenSSL(signature, layer.payload, key.publicKey)
        let envelope = try #require(json["dsseEnvelope"])
        let statement = try #require(Base64.decode(envelope["payload"]?.string ?? ""))
        #expect(statement == CosignSigner.statement(Self.image, annotations))
        try expectOpenSSL(
            try #require(Base64.decode(envelope["signatures"]?.array?.first?["sig"]?.string ?? "")),
            Array("DSSEv1 28 application/vnd.in-toto+json \(statement.count) ".utf8) + statement, key.publicKey)
    }

    private func expectOpenSSL(_ signature: [UInt8], _ message: [UInt8], _ key: PublicKey) throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let pem = directory.write(PEM(label: "PUBLIC KEY", der: key.spkiDER).text, to: "key.pub")
        let (file, signed) = (directory.write(message, to: "message"), directory.write(signature, to: "signature"))
        if case .other = key.kind {
            try OpenSSLCommand.run(
                "pkeyutl", "-verify", "-pubin", "-inkey", pem, "-rawin", "-in", file, "-sigfile", signed)
        } else {
            try OpenSSLCommand.run("dgst", "-sha256", "-verify", pem, "-signature", signed, file)
        }
    }

    @Test(arguments: [PublicKey.Kind.rsa(bits: 1024), .other("Ed448")])
    func keysThatCosignDoesNotSignWithAreRefused(_ kind: PublicKey.Kind) throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let file = directory.path("key.pem")
        switch kind {
        case .rsa:
            try OpenSSLCommand.run("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024", "-out", file)
        default: try OpenSSLCommand.run("genpkey", "-algorithm", "ED448", "-out", file)
        }
        let key = try PrivateKey(pem: Array(try Data(contentsOf: URL(filePath: file))))
        #expect(throws: SigningKeyError.self) { try CosignSigner(key: key) }
    }

    @Test(arguments: [
        (PublicKey.Kind.rsa(bits: 2048), SignatureAlgorithm.Scheme.rsaPKCS1(.sha256)),
        (.rsa(bits: 3072), .rsaPKCS1(.sha384)), (.ec(.p256), .ecdsa(.sha256)), (.ec(.p384), .ecdsa(.sha384)),
        (.ec(.p521), .ecdsa(.sha512)),
    ])
    func keysElsewhereSignDigestsOfTheirSize(kind: PublicKey.Kind, scheme: SignatureAlgorithm.Scheme) async throws {
        let key = try TestKeys.key(kind)
        let signer = try CosignSigner(keyVault: Remote(key: key), publicKey: key.publicKey)
        #expect(signer.scheme == scheme)
        let bundle = try await signer.bundle(signing: Self.image, deadline: Self.soon)
        let outcome = verifier.verify(
            imageBundle: bundle, image: Self.image, policy: policy(try SigningKey(keyVault: key.publicKey)))
        #expect(outcome.isVerified, "\(String(describing: outcome.refusal))")
        _ = try await signer.layer(signing: Self.image, name: "registry.example/app", deadline: Self.soon)
    }

    @Test func whatDoesNotVerifyIsNotGivenAway() async throws {
        let (key, other) = (try PrivateKey.generate(.ec(.p256)), try PrivateKey.generate(.ec(.p256)))
        for remote in [Remote(key: other), Remote(key: key, isSpoilt: true)] {
            let signer = try CosignSigner(keyVault: remote, publicKey: key.publicKey)
            let error = await #expect(throws: CosignSigningError.self) {
                try await signer.bundle(signing: Self.image, deadline: Self.soon)
            }
            #expect(error?.description.contains("does not verify") == true && error?.isTransient == false)
            await #expect(throws: CosignSigningError.self) {
                try await signer.layer(signing: Self.image, name: "registry.example/app", deadline: Self.soon)
            }
        }
        let fault = CosignSigningError("the vault is down", isTransient: true)
        let signer = try CosignSigner(keyVault: Remote(key: key, fault: fault), publicKey: key.publicKey)
        await #expect(throws: fault) { try await signer.bundle(signing: Self.image, deadline: Self.soon) }
        // More annotations than anybody reads.
        let large = ["text": String(repeating: "x", count: SigstoreLimits.payloadBytes)]
        await #expect(throws: CosignSigningError.self) {
            try await CosignSigner(key: key).layer(
                signing: Self.image, name: "registry.example/app", annotations: large, deadline: Self.soon)
        }
    }

    @Test func aLayerIsRecognisedAsItsOwnOnlyWhenItVerifies() async throws {
        let (key, other) = (try PrivateKey.generate(.ec(.p256)), try PrivateKey.generate(.ec(.p256)))
        let signer = try CosignSigner(key: key)
        let layer = try await signer.layer(signing: Self.image, name: "registry.example/app", deadline: Self.soon)
        #expect(signer.hasSigned(layer.payload, annotations: layer.annotations, image: Self.image, annotations: [:]))
        #expect(
            try !CosignSigner(key: other).hasSigned(
                layer.payload, annotations: layer.annotations, image: Self.image, annotations: [:]))
        #expect(!signer.hasSigned(layer.payload, annotations: [:], image: Self.image, annotations: [:]))
        #expect(
            !signer.hasSigned(layer.payload, annotations: layer.annotations, image: Self.image, annotations: ["a": "1"])
        )
    }
}
