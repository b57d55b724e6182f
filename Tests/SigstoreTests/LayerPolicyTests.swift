import Encoding
import Foundation
import PKI
import Sigstore
import SigstoreTestSupport
import StrictJSON
import TestSupport
import Testing

/// What policies ask for, of cosign's signatures of images.
@Suite struct LayerPolicyTests {
    let instance: TestInstance

    init() throws { instance = try TestInstance() }

    // MARK: Annotations

    @Test func annotationsOfLayers() throws {
        let layer = try instance.signLayer(
            payload: TestInstance.payload(annotations: ["team": "payments", "build": 7, "empty": "", "null": .null]))
        func refusal(_ annotations: [String: String]) throws -> String {
            var policy = TestInstance.policy
            policy.annotations = annotations
            return try instance.refusal(layer, policy: policy)
        }
        #expect(try refusal([:]) == "")
        #expect(try refusal(["team": "payments"]) == "")
        #expect(try refusal(["team": "payments", "empty": ""]) == "")
        #expect(try refusal(["team": "Payments"]) == "signature annotation")
        #expect(try refusal(["team": "payment"]) == "signature annotation")
        #expect(try refusal(["Team": "payments"]) == "signature annotation")
        #expect(try refusal(["team": "payments", "stage": "production"]) == "signature annotation")
        // Texts only: nothing else is the same as a text.
        #expect(try refusal(["build": "7"]) == "signature annotation")
        #expect(try refusal(["null": ""]) == "signature annotation")
        // Not signed at all, and only written beside.
        var bare = try instance.signLayer()
        bare.annotations["team"] = "payments"
        var policy = TestInstance.policy
        policy.annotations = ["team": "payments"]
        let outcome = try instance.verify(bare, policy: policy)
        #expect(TestInstance.name(outcome.refusal) == "signature annotation")
        #expect(outcome.refusal?.description.contains("\"team\"") == true)
    }

    @Test func annotationsOfBundles() throws {
        var policy = TestInstance.policy
        policy.annotations = ["team": "payments"]
        func refusal(_ annotations: JSONValue?) throws -> String {
            try instance.refusal(imageBundle: try instance.signImage(annotations: annotations), policy: policy)
        }
        #expect(try refusal(["team": "payments", "more": [1]]) == "")
        #expect(try refusal(["team": "billing"]) == "signature annotation")
        #expect(try refusal([:]) == "signature annotation")
        #expect(try refusal(nil) == "signature annotation")
        #expect(try refusal(["team"]) == "signature malformedStatement")
        // Those of another subject are about something else.
        var options = TestInstance.Options()
        options.logs = [.dsse1]
        func subject(_ digest: ArtifactDigest, _ annotations: JSONValue) -> JSONValue {
            ["digest": ["sha256": .string(digest.hex)], "annotations": annotations]
        }
        func refusalOfAll(_ subjects: JSONValue...) throws -> String {
            options.statement = [
                "_type": "https://in-toto.io/Statement/v1", "subject": .array(subjects),
                "predicateType": .string(CosignMediaType.signaturePredicate),
            ]
            return try instance.refusal(imageBundle: try instance.sign(options), policy: policy)
        }
        let other = ArtifactDigest(of: [1])
        #expect(
            try refusalOfAll(subject(TestInstance.image, [:]), subject(other, ["team": "payments"]))
                == "signature annotation")
        #expect(
            try refusalOfAll(subject(TestInstance.image, [:]), subject(TestInstance.image, ["team": "payments"])) == "")
        policy.annotations["stage"] = "test"
        #expect(
            try refusalOfAll(
                subject(TestInstance.image, ["stage": "test"]), subject(TestInstance.image, ["team": "payments"]))
                == "signature annotation")
        // A signature over the artifact itself has none.
        #expect(try instance.refusal(try instance.sign(), policy: policy) == "signature annotation")
    }

    // MARK: Predicate types

    /// An attestation beside, by the right signer and about the right image, is no signature.
    @Test("cosign CVE-2022-35929, policy-controller CVE-2022-35930: an attestation is no signature")
    func attestationIsNoSignature() throws {
        let type = "https://slsa.dev/provenance/v1"
        let attestation = try instance.signImage(predicateType: type)
        #expect(try Bundle(parsing: attestation.bytes).statedPredicateType == type)
        // It is good as what it is.
        let outcome = BundleVerifier(root: try instance.root()).verify(
            bundle: attestation.bytes, artifact: .digest(TestInstance.image), policy: TestInstance.policy)
        #expect(outcome.isVerified)
        #expect(try instance.refusal(imageBundle: attestation) == "signature predicateType")
        // Whatever types the policy has.
        var policy = TestInstance.policy
        policy.predicateTypes = [type]
        #expect(try instance.refusal(imageBundle: attestation, policy: policy) == "signature predicateType")
        #expect(try instance.refusal(imageBundle: try instance.signImage(), policy: policy) == "")
        for other in [type, "https://sigstore.dev/cosign/sign/v1/", "https://sigstore.dev/cosign/sign/V1"] {
            let bundle = try instance.signImage(predicateType: other)
            #expect(try instance.refusal(imageBundle: bundle) == "signature predicateType")
        }
        // A layer is no statement.
        #expect(try instance.refusal(try instance.signLayer(), policy: policy) == "signature predicateType")
        // Nor is a signature over the manifest's bytes itself one that says so.
        var options = TestInstance.Options()
        options.artifact = Array("the image's manifest".utf8)
        #expect(try instance.refusal(imageBundle: try instance.sign(options)) == "signature predicateType")
    }

    @Test func statedTypesAreReadOnly() throws {
        var options = TestInstance.Options()
        options.statement = "no statement"
        #expect(try Bundle(parsing: try instance.sign(options).bytes).statedPredicateType == nil)
        options.statement = nil
        options.predicateType = CosignMediaType.signaturePredicate
        options.payloadType = "text/plain"
        #expect(try Bundle(parsing: try instance.sign(options).bytes).statedPredicateType == nil)
        let layer = try instance.signLayer()
        let parsed = try Bundle(layer: layer.payload, annotations: layer.annotations)
        #expect(parsed.statedPredicateType == nil && parsed.version == nil)
    }

    // MARK: Keys

    @Test func severalKeys() throws {
        let key = try PrivateKey.generate(.ec(.p256))
        let others = try (0..<3).map { _ in try SigningKey(try PrivateKey.generate(.ec(.p256)).publicKey) }
        var options = TestInstance.Options()
        options.managedKey = key
        let layer = try instance.signLayer(options)
        let own = try SigningKey(key.publicKey)
        let outcome = try instance.verify(layer, policy: BundlePolicy(keys: others + [own]))
        #expect(outcome.isVerified && outcome.signer?.publicKey == key.publicKey)
        #expect(try instance.refusal(layer, policy: BundlePolicy(keys: others)) == "transparency otherKey")
        var unlogged = BundlePolicy(keys: others)
        unlogged.logThreshold = 0
        #expect(try instance.refusal(layer, policy: unlogged) == "signature badSignature")
        #expect(try instance.refusal(layer, policy: BundlePolicy()) == "signingKey noKey")
        #expect(try instance.refusal(layer) == "signingKey noKey")
        #expect(try instance.refusal(try instance.signLayer(), policy: unlogged) == "signingKey noIdentity")
        // One key with two periods: the second one has the signature's time.
        func limited(_ from: TimeInterval, _ to: TimeInterval) throws -> SigningKey {
            try SigningKey(
                key.publicKey,
                validity: ValidityPeriod(
                    start: TestInstance.signingTime.addingTimeInterval(from),
                    end: TestInstance.signingTime.addingTimeInterval(to)))
        }
        let (past, present) = (try limited(-900, -600), try limited(0, 60))
        for keys in [[past, present], [present, past]] {
            #expect(try instance.refusal(layer, policy: BundlePolicy(keys: keys)) == "")
        }
        #expect(
            try instance.refusal(layer, policy: BundlePolicy(keys: [past, past])) == "provenTime outsideKeyValidity")
    }

    /// Keys of Azure Key Vault: which hash, and RSA signatures in the wrapping of ECDSA's.
    @Test func keysOfKeyVault() throws {
        let hashes: [(PublicKey.Kind, SignatureAlgorithm.Scheme, Bool)] = [
            (.rsa(bits: 2048), .rsaPKCS1(.sha256), true), (.rsa(bits: 3072), .rsaPKCS1(.sha384), true),
            (.rsa(bits: 4096), .rsaPKCS1(.sha512), true), (.rsa(bits: 3072), .rsaPKCS1(.sha256), true),
            (.rsa(bits: 4096), .rsaPKCS1(.sha256), true), (.rsa(bits: 4096), .rsaPKCS1(.sha384), false),
            (.rsa(bits: 2048), .rsaPKCS1(.sha512), false),
            (.rsa(bits: 2048), .rsaPSS(hash: .sha256, mgf1Hash: .sha256, saltLength: 32), false),
            (.ec(.p256), .ecdsa(.sha256), true), (.ec(.p384), .ecdsa(.sha384), true),
            (.ec(.p384), .ecdsa(.sha256), true), (.ec(.p521), .ecdsa(.sha512), true),
            (.ec(.p256), .ecdsa(.sha384), false),
        ]
        // Each key once: large ones take seconds to make.
        var keys: [PublicKey.Kind: PrivateKey] = [:]
        for kind in Set(hashes.map(\.0)) { keys[kind] = try TestKeys.key(kind) }
        for (kind, scheme, isAccepted) in hashes {
            let key = try #require(keys[kind])
            var options = TestInstance.Options()
            options.managedKey = key
            options.scheme = scheme
            options.logs = []
            var policy = BundlePolicy(keys: [try SigningKey(keyVault: key.publicKey)])
            policy.logThreshold = 0
            let expected = isAccepted ? "" : "signature badSignature"
            var layer = try instance.signLayer(options)
            #expect(try instance.refusal(layer, policy: policy) == expected, "\(kind) \(scheme)")
            guard case .rsa = kind else { continue }
            let raw = Base64.decode(layer.annotations[CosignAnnotation.signature] ?? "") ?? []
            let wrapped = try #require(ECDSASignature.der(fromRaw: raw))
            layer.annotations[CosignAnnotation.signature] = Base64.encode(wrapped)
            #expect(try instance.refusal(layer, policy: policy) == expected, "\(kind) \(scheme) wrapped")
            // Of no other key than the vault's.
            policy.keys = [try SigningKey(key.publicKey)]
            #expect(try instance.refusal(layer, policy: policy) == "signature badSignature")
            // Of the same key with another content.
            policy.keys = [try SigningKey(keyVault: key.publicKey)]
            layer.payload.append(0x20)
            #expect(try instance.refusal(layer, policy: policy) == "signature badSignature")
            // In bundles, over the digest alone, too.
            options.statement = nil
            var bundle = try instance.sign(options)
            let message = ["messageSignature", "signature"]
            let signature = Base64.decode(bundle[message].string ?? "") ?? []
            bundle[message] = .string(Base64.encode(try #require(ECDSASignature.der(fromRaw: signature))))
            guard isAccepted, scheme == .rsaPKCS1(.sha256) else { continue }
            let outcome = BundleVerifier(root: try instance.root()).verify(
                bundle: bundle.bytes, artifact: .digest(ArtifactDigest(of: options.artifact)), policy: policy)
            #expect(outcome.isVerified)
        }
        for kind: PublicKey.Kind in [.other("Ed25519"), .rsa(bits: 1024)] {
            #expect(throws: SigningKeyError.self) { try SigningKey(keyVault: try TestKeys.key(kind).publicKey) }
        }
    }

    /// A signature whose halves begin with zeros, which Ratify loses.
    @Test func wrappedSignatureWithLeadingZeros() throws {
        let key = try TestKeys.key(.rsa(bits: 2048))
        var policy = BundlePolicy(keys: [try SigningKey(keyVault: key.publicKey)])
        policy.logThreshold = 0
        for number in 0..<2_000 {
            let payload = TestInstance.payload(annotations: ["n": .number(String(number))]).bytes
            let raw = try key.signature(over: payload, scheme: .rsaPKCS1(.sha256))
            guard raw[0] == 0 || raw[128] == 0 else { continue }
            let wrapped = try #require(ECDSASignature.der(fromRaw: raw))
            let layer = TestInstance.Layer(
                payload: payload, annotations: [CosignAnnotation.signature: Base64.encode(wrapped)])
            #expect(try instance.refusal(layer, policy: policy) == "")
            return
        }
        Issue.record("no signature with a leading zero")
    }

    // MARK: Times

    /// Without a log that the policy asks for, the log's time does not count, and a certificate needs one.
    @Test func certificateWithoutProvenTime() throws {
        var policy = TestInstance.policy
        policy.logThreshold = 0
        let logged = try instance.verify(try instance.signLayer(), policy: policy)
        #expect(TestInstance.name(logged.refusal) == "provenTime missing")
        #expect(logged.refusal?.description.contains("let the policy ask for one") == true)
        var options = TestInstance.Options()
        options.logs = []
        let bare = try instance.verify(try instance.signLayer(options), policy: policy)
        #expect(TestInstance.name(bare.refusal) == "provenTime missing")
        #expect(bare.refusal?.description.contains("sign with a timestamp authority") == true)
        options.timestamps = 1
        #expect(try instance.refusal(try instance.signLayer(options), policy: policy) == "")
        // The same for bundles.
        #expect(try instance.refusal(imageBundle: try instance.signImage(), policy: policy) == "provenTime missing")
    }

    /// An intermediate certificate that had expired, with and without a log.
    @Test("cosign CVE-2026-24122: an intermediate certificate that had expired, of a layer", arguments: [0, 1])
    func expiredIntermediate(_ logThreshold: Int) throws {
        var template = CertificateTemplate.authority("expired")
        template.notBefore = TestInstance.beginning
        template.notAfter = TestInstance.signingTime.addingTimeInterval(5)
        let expired = TestSupport.CertificateAuthority(try instance.fulcio.issue(template))
        var options = TestInstance.Options()
        options.leaf.authority = expired
        options.timestamps = 1
        options.logs = logThreshold == 0 ? [] : [.hashedRekord1]
        var policy = TestInstance.policy
        policy.logThreshold = logThreshold
        func layer() throws -> TestInstance.Layer {
            var layer = try instance.signLayer(options)
            layer.annotations[CosignAnnotation.chain] = ([expired.certificate] + instance.fulcio.identity.chain)
                .map(\.pem).joined()
            return layer
        }
        #expect(try instance.refusal(try layer(), policy: policy) == "certificateChain outsideValidity")
        options.timestampOffset = 3
        options.integratedOffset = 4
        #expect(try instance.refusal(try layer(), policy: policy) == "")
        var without = try layer()
        without.annotations[CosignAnnotation.chain] = nil
        #expect(try instance.refusal(without, policy: policy) == "certificateChain unknownAuthority")
    }

    /// What else a policy asks for is asked of layers, too.
    @Test func thresholds() throws {
        var options = TestInstance.Options()
        options.timestamps = 1
        let layer = try instance.signLayer(options)
        var policy = TestInstance.policy
        policy.timestampThreshold = 2
        #expect(try instance.refusal(layer, policy: policy) == "provenTime belowThreshold")
        policy.timestampThreshold = 1
        policy.logThreshold = 2
        #expect(try instance.refusal(layer, policy: policy) == "transparency belowThreshold")
        policy.logThreshold = 1
        policy.certificateLogThreshold = 2
        #expect(try instance.refusal(layer, policy: policy) == "certificateTimestamp unknownLog")
        policy.certificateLogThreshold = 1
        #expect(try instance.refusal(layer, policy: policy) == "")
        options.isCertificateLogged = false
        let unlogged = try instance.signLayer(options)
        #expect(try instance.refusal(unlogged, policy: policy) == "certificateTimestamp missing")
        policy.certificateLogThreshold = 0
        #expect(try instance.refusal(unlogged, policy: policy) == "")
        policy.identities = [CertificateIdentity(name: .exactly("nobody"), issuer: .exactly("nowhere"))]
        #expect(try instance.refusal(layer, policy: policy) == "identity mismatch")
    }

    /// Witnesses sign checkpoints: a log's promise alone was seen by none of them.
    @Test func witnessesOfAPromise() throws {
        var policy = TestInstance.policy
        policy.witnessThreshold = 1
        #expect(try instance.refusal(try instance.signLayer(), policy: policy) == "transparency witnesses")
        var options = TestInstance.Options()
        options.version = "0.1"
        var bundle = try instance.sign(options)
        bundle.remove(["verificationMaterial", "tlogEntries", "0", "inclusionProof"])
        #expect(try instance.refusal(bundle, policy: policy) == "transparency witnesses")
        policy.witnessThreshold = 0
        #expect(try instance.refusal(bundle, policy: policy) == "")
    }
}
