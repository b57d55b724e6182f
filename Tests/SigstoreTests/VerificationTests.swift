import Encoding
import Foundation
import PKI
import Sigstore
import SigstoreTestSupport
import StrictJSON
import TestSupport
import Testing

/// What signers make verifies: each kind of content, key, log and version.
@Suite struct VerificationTests {
    let instance: TestInstance

    init() throws { instance = try TestInstance() }

    @Test(arguments: TestInstance.Log.allCases, ["", "https://slsa.dev/provenance/v1"])
    func everyKindOfEntry(_ log: TestInstance.Log, _ predicateType: String) throws {
        var options = TestInstance.Options()
        options.predicateType = predicateType.isEmpty ? nil : predicateType
        options.logs = [log]
        options.timestamps = log.isVersion2 ? 1 : 0
        let bundle = try instance.sign(options)
        let refusal = try instance.refusal(bundle)
        // An entry about an envelope is none about the artifact.
        let isAboutEnvelope = log == .dsse1 || log == .dsse2 || log == .inToto2
        #expect(refusal == (isAboutEnvelope && predicateType.isEmpty ? "transparency otherArtifact" : ""))
    }

    @Test(arguments: ["0.1", "0.2", "0.3"]) func everyVersion(_ version: String) throws {
        var options = TestInstance.Options()
        options.version = version
        #expect(try instance.refusal(try instance.sign(options)) == "")
        // What each version needs of an entry.
        var bundle = try instance.sign(options)
        bundle.remove(["verificationMaterial", "tlogEntries", "0", "inclusionPromise"])
        #expect(
            try instance.refusal(bundle) == (version == "0.1" ? "bundle malformed" : "provenTime missing"))
        bundle = try instance.sign(options)
        bundle.remove(["verificationMaterial", "tlogEntries", "0", "inclusionProof"])
        #expect(try instance.refusal(bundle) == (version == "0.1" ? "" : "bundle malformed"))
        bundle = try instance.sign(options)
        bundle.remove(["verificationMaterial", "tlogEntries", "0", "inclusionProof", "checkpoint"])
        #expect(try instance.refusal(bundle) == (version == "0.1" ? "" : "bundle malformed"))
    }

    @Test func bothSpellingsOfVersion3() throws {
        var bundle = try instance.sign()
        bundle[["mediaType"]] = "application/vnd.dev.sigstore.bundle+json;version=0.3"
        #expect(try instance.refusal(bundle) == "")
        for other in ["0.4", "0.30", "1.0", ""] {
            bundle[["mediaType"]] = .string("application/vnd.dev.sigstore.bundle+json;version=\(other)")
            #expect(try instance.refusal(bundle) == "bundle unknownVersion")
        }
    }

    static let kinds: [(PublicKey.Kind, SignatureAlgorithm.Scheme?)] = [
        (.ec(.p256), nil), (.ec(.p384), nil), (.ec(.p521), nil), (.other("Ed25519"), nil), (.rsa(bits: 2048), nil),
        // As cosign signs with them.
        (.ec(.p384), .ecdsa(.sha256)), (.ec(.p521), .ecdsa(.sha256)),
        (.rsa(bits: 3072), .rsaPSS(hash: .sha256, mgf1Hash: .sha256, saltLength: 32)),
    ]

    @Test(arguments: kinds.indices) func everyKeyOfASigner(_ index: Int) throws {
        let (kind, scheme) = Self.kinds[index]
        let key = try TestKeys.key(kind)
        for statement in [nil, "https://sigstore.dev/cosign/sign/v1"] {
            var options = TestInstance.Options()
            options.managedKey = key
            options.scheme = scheme
            options.predicateType = statement
            let policy = BundlePolicy(keys: [try SigningKey(key.publicKey)])
            let bundle = try instance.sign(options)
            #expect(try instance.refusal(bundle, policy: policy) == "", "\(kind)")
            #expect(try instance.refusal(bundle, artifact: [1], policy: policy) != "", "\(kind)")
            // With the digest alone.
            let outcome = BundleVerifier(root: try instance.root()).verify(
                bundle: bundle.bytes, artifact: .digest(ArtifactDigest(of: options.artifact)), policy: policy)
            // A key that hashes the artifact itself in another way, or not at all, needs it.
            let needs = statement == nil && (kind == .other("Ed25519") || scheme == nil && kind.needsAnotherHash)
            #expect(
                needs
                    ? (outcome.refusal as? ArtifactSignatureError)?.kind != nil : outcome.isVerified,
                "\(kind) \(String(describing: outcome.refusal))")
        }
    }

    @Test func keysThatAreNotAccepted() throws {
        #expect(throws: SigningKeyError.self) { try SigningKey(try TestKeys.key(.rsa(bits: 1024)).publicKey) }
        let key = try TestKeys.key(.other("Ed25519")).publicKey
        let error = #expect(throws: SigningKeyError.self) { try SigningKey(key, details: "PKIX_ED25519_PH") }
        #expect(error?.description.contains("Ed25519ph") == true)
        _ = try SigningKey(key, details: "PKIX_ED25519")
        #expect(throws: SigningKeyError.self) { try SigningKey(key, details: "PKIX_ECDSA_P256_SHA_256") }
        // In an entry of Rekor v2, too.
        var options = TestInstance.Options()
        options.logs = [.hashedRekord2]
        options.timestamps = 1
        options.changeBody = {
            $0[["spec", "hashedRekordV002", "signature", "verifier", "keyDetails"]] = "PKIX_ED25519_PH"
        }
        let outcome = try instance.verify(try instance.sign(options))
        #expect(outcome.refusal?.description.contains("Ed25519ph") == true)
    }

    @Test func whatIsProvenIsReported() throws {
        var options = TestInstance.Options()
        options.predicateType = "https://slsa.dev/provenance/v1"
        options.logs = [.dsse1, .hashedRekord2]
        options.timestamps = 1
        let outcome = try instance.verify(try instance.sign(options))
        #expect(outcome.isVerified && outcome.refusal == nil)
        #expect(outcome.results.allSatisfy { $0.status == .passed })
        #expect(outcome.identity?.name == TestInstance.Leaf().subject)
        #expect(outcome.provenTimes.count == 2)
        #expect(
            outcome.logEntries.map(\.log) == [
                "https://\(instance.rekorHost)", "https://\(instance.rekor2Host)",
            ])
        #expect(outcome.logEntries.map(\.logIndex) == [1003, 3])
        #expect(outcome.certificateLogs == ["https://ct.test.example"])
        #expect(outcome.statement?.predicateType == options.predicateType)
        #expect(outcome.chain.count == 3)
    }

    @Test func aFailureEndsTheVerification() throws {
        var bundle = try instance.sign()
        bundle[["verificationMaterial", "tlogEntries", "0", "logIndex"]] = "1004"
        let outcome = try instance.verify(bundle)
        #expect(!outcome.isVerified)
        #expect(outcome[.bundle]?.status == .passed && outcome[.signingKey]?.status == .passed)
        #expect(outcome[.provenTime]?.status == .failed && outcome[.provenTime]?.message != nil)
        #expect(outcome[.transparency]?.status == .notRun && outcome[.identity]?.status == .notRun)
    }

    @Test func keysHaveNoCertificateSteps() throws {
        let key = try TestKeys.key(.ec(.p256))
        var options = TestInstance.Options()
        options.managedKey = key
        let bundle = try instance.sign(options)
        let outcome = try instance.verify(bundle, policy: BundlePolicy(keys: [try SigningKey(key.publicKey)]))
        #expect(outcome.isVerified)
        #expect(outcome[.certificateChain]?.status == .skipped && outcome[.identity]?.status == .skipped)
        #expect(try instance.refusal(bundle) == "signingKey noKey")
        #expect(try instance.refusal(try instance.sign(), policy: BundlePolicy()) == "signingKey noIdentity")
        // Of several keys the one that signed is found without a hint.
        let others = try (0..<3).map { _ in try SigningKey(TestKeys.key(.ec(.p256)).publicKey) }
        var unnamed = bundle
        unnamed[["verificationMaterial", "publicKey", "hint"]] = "another name"
        let policy = BundlePolicy(keys: others + [try SigningKey(key.publicKey)])
        #expect(try instance.refusal(unnamed, policy: policy) == "")
        #expect(try instance.refusal(unnamed, policy: BundlePolicy(keys: others)) == "transparency otherKey")
    }

    /// A private instance without logs, as GitHub's.
    @Test func withoutLogs() throws {
        var options = TestInstance.Options()
        options.logs = []
        options.timestamps = 1
        options.isCertificateLogged = false
        var policy = TestInstance.policy
        let bundle = try instance.sign(options)
        #expect(try instance.refusal(bundle, policy: policy) == "certificateTimestamp missing")
        policy.certificateLogThreshold = 0
        #expect(try instance.refusal(bundle, policy: policy) == "transparency missing")
        policy.logThreshold = 0
        #expect(try instance.refusal(bundle, policy: policy) == "")
        policy.timestampThreshold = 2
        #expect(try instance.refusal(bundle, policy: policy) == "provenTime belowThreshold")
        // Without a log its word counts nothing, the time that it states neither.
        let logged = try instance.sign()
        policy.timestampThreshold = 0
        #expect(try instance.refusal(logged, policy: policy) == "provenTime missing")
    }
}

extension PublicKey.Kind {
    /// Whether keys of this kind hash with another algorithm than SHA-256 by default.
    fileprivate var needsAnotherHash: Bool { self == .ec(.p384) || self == .ec(.p521) }
}
