import Encoding
import Expressions
import Foundation
import PKI
import Sigstore
import SigstoreTestSupport
import StrictJSON
import TestSupport
import Testing

/// What went wrong elsewhere, by the names under which it was published: each test fails when the check is taken out.
@Suite struct AttackTests {
    let instance: TestInstance

    init() throws { instance = try TestInstance() }

    private let entry = ["verificationMaterial", "tlogEntries", "0"]

    /// The log entry is valid, but about another signature, key or
    /// artifact.
    @Test(
        "cosign CVE-2022-23649, CVE-2022-36056, CVE-2026-22703: a log entry about something else",
        arguments: TestInstance.Log.allCases)
    func entryAboutSomethingElse(_ log: TestInstance.Log) throws {
        var options = TestInstance.Options()
        options.predicateType = "a"
        options.logs = [log]
        options.timestamps = 1
        let other = try instance.sign(options)
        // The entry of another signature.
        var bundle = try instance.sign(options)
        bundle[entry] = other[entry]
        #expect(try instance.refusal(bundle) == "transparency otherSignature")
        // The entry has this signature, but another key or another artifact: a log that was fooled, or an attacker's own
        // entry with parts of this one.
        let another = try instance.certificate(for: TestKeys.key(.ec(.p256)).publicKey, .init())
        let pem: JSONValue = .string(Base64.encode(Array(another.pem.utf8)))
        let rawBytes: JSONValue = .string(Base64.encode(another.der))
        let (keyPath, digestPath, digest): ([String], [String], JSONValue)
        let zeros = [UInt8](repeating: 0, count: 32)
        switch log {
        case .hashedRekord1:
            keyPath = ["spec", "signature", "publicKey", "content"]
            digestPath = ["spec", "data", "hash", "value"]
        case .dsse1:
            keyPath = ["spec", "signatures", "0", "verifier"]
            digestPath = ["spec", "payloadHash", "value"]
        case .inToto2:
            keyPath = ["spec", "content", "envelope", "signatures", "0", "publicKey"]
            digestPath = ["spec", "content", "payloadHash", "value"]
        case .hashedRekord2:
            keyPath = ["spec", "hashedRekordV002", "signature", "verifier", "x509Certificate", "rawBytes"]
            digestPath = ["spec", "hashedRekordV002", "data", "digest"]
        case .dsse2:
            keyPath = ["spec", "dsseV002", "signatures", "0", "verifier", "x509Certificate", "rawBytes"]
            digestPath = ["spec", "dsseV002", "payloadHash", "digest"]
        }
        digest = .string(log.isVersion2 ? Base64.encode(zeros) : Hex.text(zeros))
        options.changeBody = { $0[keyPath] = log.isVersion2 ? rawBytes : pem }
        #expect(try instance.refusal(try instance.sign(options)) == "transparency otherKey")
        options.changeBody = { $0[digestPath] = digest }
        #expect(try instance.refusal(try instance.sign(options)) == "transparency otherArtifact")
    }

    /// The entry says one kind, the bundle another.
    @Test("cosign CVE-2022-36056: a log entry of another kind than the bundle says")
    func entryOfAnotherKind() throws {
        var bundle = try instance.sign()
        bundle[entry + ["kindVersion", "kind"]] = "dsse"
        #expect(try instance.refusal(bundle) == "transparency malformedEntry")
        var options = TestInstance.Options()
        options.changeBody = { $0[["apiVersion"]] = "0.0.9" }
        bundle = try instance.sign(options)
        #expect(try instance.refusal(bundle) == "transparency malformedEntry")
        bundle[entry + ["kindVersion", "version"]] = "0.0.9"
        #expect(try instance.refusal(bundle) == "transparency unknownEntry")
    }

    /// The type of a statement is the one of the statement that
    /// was verified.
    @Test("cosign CVE-2022-35929, policy-controller CVE-2022-35930: the type of another statement")
    func predicateTypeOfAnotherStatement() throws {
        var options = TestInstance.Options()
        options.predicateType = "https://example.org/harmless"
        options.logs = [.dsse1]
        var policy = TestInstance.policy
        policy.predicateTypes = ["https://slsa.dev/provenance/v1"]
        #expect(try instance.refusal(try instance.sign(options), policy: policy) == "signature predicateType")
        options.predicateType = "https://slsa.dev/provenance/v1"
        #expect(try instance.refusal(try instance.sign(options), policy: policy) == "")
        // A signature over the artifact is no statement at all.
        #expect(try instance.refusal(try instance.sign(), policy: policy) == "signature predicateType")
    }

    /// An intermediate certificate that had expired, with and without a log.
    @Test("cosign CVE-2026-24122: an intermediate certificate that had expired", arguments: [0, 1])
    func expiredIntermediate(_ logThreshold: Int) throws {
        var template = CertificateTemplate.authority("expired")
        template.notBefore = TestInstance.beginning
        template.notAfter = TestInstance.signingTime.addingTimeInterval(5)
        let expired = TestSupport.CertificateAuthority(try instance.fulcio.issue(template))
        var options = TestInstance.Options()
        options.version = "0.2"
        options.leaf.authority = expired
        options.timestamps = 1
        options.logs = logThreshold == 0 ? [] : [.hashedRekord1]
        var policy = TestInstance.policy
        policy.logThreshold = logThreshold
        let path = ["verificationMaterial", "x509CertificateChain", "certificates"]
        func bundle() throws -> JSONValue {
            var bundle = try instance.sign(options)
            bundle[path] = .array([
                bundle[path + ["0"]], ["rawBytes": .string(Base64.encode(expired.certificate.der))],
            ])
            return bundle
        }
        #expect(try instance.refusal(try bundle(), policy: policy) == "certificateChain outsideValidity")
        options.timestampOffset = 3
        options.integratedOffset = 4
        #expect(try instance.refusal(try bundle(), policy: policy) == "")
    }

    /// A payload that cannot be read verifies nothing.
    @Test("cosign CVE-2026-39395: a statement that cannot be read")
    func payloadThatCannotBeRead() throws {
        var options = TestInstance.Options()
        options.logs = [.dsse1]
        for statement: JSONValue in [
            .string("no statement"), [], ["_type": "https://in-toto.io/Statement/v1"],
            ["_type": "https://in-toto.io/Statement/v1", "predicateType": "a", "subject": []],
            ["_type": "https://in-toto.io/Statement/v1", "predicateType": "a", "subject": [["name": "x"]]],
            ["_type": "https://in-toto.io/Statement/v9", "predicateType": "a", "subject": [["digest": [:]]]],
        ] {
            options.statement = statement
            #expect(try instance.refusal(try instance.sign(options)) == "signature malformedStatement")
        }
        // A statement about nothing that can be compared is not about the artifact.
        for digest: JSONValue in [[:], ["gitCommit": "abc"], ["sha256": ""], ["sha256": "ABC"]] {
            options.statement = [
                "_type": "https://in-toto.io/Statement/v1", "predicateType": "a", "subject": [["digest": digest]],
            ]
            #expect(try instance.refusal(try instance.sign(options)) == "signature otherArtifact")
        }
        options.statement = nil
        options.predicateType = "a"
        options.payloadType = "text/plain"
        #expect(try instance.refusal(try instance.sign(options)) == "signature payloadType")
    }

    /// One log counts once, however many entries it has, and however often the trusted root
    /// has its key.
    @Test("sigstore-go CVE-2026-49834: one log or authority counted twice")
    func thresholdOfOneLogCountedTwice() throws {
        var policy = TestInstance.policy
        policy.logThreshold = 2
        var options = TestInstance.Options()
        options.logs = [.hashedRekord1, .hashedRekord1]
        #expect(try instance.refusal(try instance.sign(options), policy: policy) == "transparency belowThreshold")
        // The same key under another name.
        let other = [UInt8](repeating: 7, count: 32)
        let root = try instance.root { json in
            var log = json[["tlogs", "1"]]
            log[["logId", "keyId"]] = .string(Base64.encode(other))
            log[["checkpointKeyId"]] = ["keyId": json[["tlogs", "1", "logId", "keyId"]]]
            json[["tlogs"]] = .array((json[["tlogs"]].array ?? []) + [log])
        }
        options.logs = [.hashedRekord2, .hashedRekord2]
        options.timestamps = 1
        var bundle = try instance.sign(options)
        bundle[["verificationMaterial", "tlogEntries", "1", "logId", "keyId"]] = .string(Base64.encode(other))
        #expect(try instance.refusal(bundle, policy: policy, root: root) == "transparency belowThreshold")
        // Two logs are two.
        options.logs = [.hashedRekord1, .hashedRekord2]
        #expect(try instance.refusal(try instance.sign(options), policy: policy) == "")
        // One authority counts once, too.
        policy.timestampThreshold = 2
        options.timestamps = 2
        #expect(try instance.refusal(try instance.sign(options), policy: policy) == "provenTime belowThreshold")
    }

    /// A managed key is trusted for a time, and the signature was made outside of it.
    @Test("sigstore-go CVE-2026-54787: signed when the managed key was not trusted")
    func managedKeyOutsideItsValidity() throws {
        let key = try TestKeys.key(.ec(.p256))
        func policy(_ range: ClosedRange<TimeInterval>) throws -> BundlePolicy {
            BundlePolicy(keys: [
                try SigningKey(
                    key.publicKey,
                    validity: ValidityPeriod(
                        start: TestInstance.signingTime.addingTimeInterval(range.lowerBound),
                        end: TestInstance.signingTime.addingTimeInterval(range.upperBound)))
            ])
        }
        var options = TestInstance.Options()
        options.managedKey = key
        options.timestamps = 1
        let bundle = try instance.sign(options)
        #expect(try instance.refusal(bundle, policy: policy(0...60)) == "")
        // The timestamp is of 10 seconds, the log's time of 20: both count, and both ends belong to the validity.
        #expect(try instance.refusal(bundle, policy: policy(10...20)) == "")
        #expect(try instance.refusal(bundle, policy: policy(11...60)) == "provenTime outsideKeyValidity")
        #expect(try instance.refusal(bundle, policy: policy(0...19)) == "provenTime outsideKeyValidity")
        // Without a proven time nobody knows.
        options.timestamps = 0
        options.logs = []
        var unlogged = try policy(0...60)
        unlogged.logThreshold = 0
        #expect(try instance.refusal(try instance.sign(options), policy: unlogged) == "provenTime missing")
        unlogged.keys = [try SigningKey(key.publicKey)]
        #expect(try instance.refusal(try instance.sign(options), policy: unlogged) == "")
    }

    /// The authority's certificate must be the trusted root's, and for timestamps.
    @Test("timestamp-authority CVE-2026-39984: a timestamp by an untrusted certificate")
    func timestampByAnUntrustedCertificate() throws {
        var options = TestInstance.Options()
        options.timestamps = 1
        let other = try TestInstance()
        let path = ["verificationMaterial", "timestampVerificationData", "rfc3161Timestamps", "0", "signedTimestamp"]
        func bundle(by signer: Identity, certificates: [Certificate]?) throws -> JSONValue {
            var bundle = try instance.sign(options)
            var authority = TimestampAuthority(signer)
            authority.time = TestInstance.signingTime.addingTimeInterval(10)
            if let certificates { authority.certificates = certificates }
            let signature = Base64.decode(bundle[["messageSignature", "signature"]].string ?? "") ?? []
            bundle[path] = .string(Base64.encode(TestInstance.response(try authority.token(over: signature))))
            return bundle
        }
        // With the certificate of the trusted authority beside the signer's own.
        let trusted = instance.timestampSigner
        #expect(
            try instance.refusal(try bundle(by: other.timestampSigner, certificates: nil))
                == "provenTime unknownAuthority")
        #expect(
            try instance.refusal(
                try bundle(by: other.timestampSigner, certificates: other.timestampSigner.chain + trusted.chain))
                == "provenTime unknownAuthority")
        // Without a certificate in the token the trusted root's is taken.
        #expect(try instance.refusal(try bundle(by: trusted, certificates: [])) == "")
        // Someone else's signature under the trusted name.
        let impostor = Identity(
            certificate: trusted.certificate, key: other.timestampSigner.key, chain: trusted.chain)
        #expect(try instance.refusal(try bundle(by: impostor, certificates: nil)) == "provenTime badTimestamp")
    }

    /// A crafted object identifier takes no memory.
    @Test("timestamp-authority CVE-2025-66564: an object identifier of many numbers")
    func objectIdentifierOfManyNumbers() throws {
        var options = TestInstance.Options()
        options.timestamps = 1
        var bundle = try instance.sign(options)
        let huge = DERWriter.element(DER.objectIdentifier, [UInt8](repeating: 1, count: 100_000))
        let response = TestInstance.response(DERWriter.sequence([huge]))
        bundle[["verificationMaterial", "timestampVerificationData", "rfc3161Timestamps", "0", "signedTimestamp"]] =
            .string(Base64.encode(response))
        let begin = ContinuousClock.now
        #expect(try instance.refusal(bundle) == "provenTime badTimestamp")
        #expect(ContinuousClock.now - begin < .seconds(5))
    }

    /// Whatever is configured is checked.
    @Test("Kyverno CVE-2025-29778: an identity expression that is configured is checked")
    func identityThatIsConfigured() throws {
        let bundle = try instance.sign()
        func refusal(_ name: TextMatch, _ issuer: TextMatch) throws -> String {
            try instance.refusal(
                bundle, policy: BundlePolicy(identities: [CertificateIdentity(name: name, issuer: issuer)]))
        }
        let leaf = TestInstance.Leaf()
        #expect(try refusal(.exactly(leaf.subject), .exactly(leaf.issuer)) == "")
        #expect(try refusal(.exactly(leaf.subject), .exactly("https://issuer.example.evil")) == "identity mismatch")
        #expect(try refusal(.exactly("https://example.org/app"), .exactly(leaf.issuer)) == "identity mismatch")
        #expect(
            try refusal(.exactly(leaf.subject), .matching(try WholeExpression("https://other.*")))
                == "identity mismatch")
        // An expression without anchors is about the whole text.
        #expect(
            try refusal(.matching(try WholeExpression("example.org/app")), .exactly(leaf.issuer)) == "identity mismatch"
        )
        #expect(
            try refusal(
                .matching(try WholeExpression("https://example\\.org/app/.*@refs/heads/main")), .exactly(leaf.issuer))
                == "")
    }

    /// Witnesses of a checkpoint (C2SP `tlog-cosignature`), each once.
    @Test func witnesses() throws {
        let key = try PrivateKey.generate(.other("Ed25519"))
        let encoded = [0x04] + key.publicKey.keyBytes
        let identifier = TestInstance.sha256(Array("witness.example\n".utf8) + encoded)
        let verifierKey = "witness.example+\(Hex.text(identifier.prefix(4)))+\(Base64.encode(encoded))"
        let witness = try #require(Witness(verifierKey: verifierKey))
        #expect(Witness(verifierKey: verifierKey.replacing("witness.example", with: "other.example")) == nil)
        @Sendable func line(_ text: String, _ time: UInt64) throws -> String {
            let message = Array("cosignature/v1\ntime 5\n\(text)".utf8)
            let stated = (0..<8).reversed().map { UInt8(truncatingIfNeeded: time >> UInt64(8 * $0)) }
            return TestInstance.signatureLine(
                "witness.example", identifier, stated + (try key.signature(over: message, scheme: .ed25519)))
        }
        var options = TestInstance.Options()
        options.logs = [.hashedRekord2]
        options.timestamps = 1
        var policy = TestInstance.policy
        policy.witnesses = [witness, witness]
        policy.witnessThreshold = 1
        #expect(try instance.refusal(try instance.sign(options), policy: policy) == "transparency witnesses")
        options.moreSignatures = { try line($0, 5) + line($0, 5) }
        #expect(try instance.refusal(try instance.sign(options), policy: policy) == "")
        // One witness is one, however often it is named or has signed.
        policy.witnessThreshold = 2
        #expect(try instance.refusal(try instance.sign(options), policy: policy) == "transparency witnesses")
        policy.witnessThreshold = 1
        options.moreSignatures = { try line($0, 6) }
        #expect(try instance.refusal(try instance.sign(options), policy: policy) == "transparency witnesses")
    }
}
