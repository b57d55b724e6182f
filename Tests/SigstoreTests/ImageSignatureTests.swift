import Encoding
import Foundation
import PKI
import Sigstore
import SigstoreTestSupport
import StrictJSON
import TestSupport
import Testing

/// What cosign signs images with verifies: layers with annotations, and bundles.
@Suite struct ImageSignatureTests {
    let instance: TestInstance

    init() throws { instance = try TestInstance() }

    @Test func layerWithCertificate() throws {
        let layer = try instance.signLayer(payload: TestInstance.payload(annotations: ["team": "payments", "n": 1]))
        let outcome = try instance.verify(layer)
        #expect(outcome.isVerified, "\(String(describing: outcome.refusal))")
        #expect(outcome.results.allSatisfy { $0.status == .passed })
        #expect(outcome.identity?.name == TestInstance.Leaf().subject)
        #expect(outcome.payload?.imageDigest == TestInstance.image)
        #expect(outcome.payload?.dockerReference == "registry.example/app")
        #expect(outcome.payload?.optional["team"]?.string == "payments")
        #expect(outcome.statement == nil)
        #expect(outcome.bundle?.version == nil)
        #expect(outcome.logEntries.map(\.logIndex) == [1003])
        #expect(outcome.logEntries.first?.hasInclusionProof == false)
        #expect(outcome.certificateLogs == ["https://ct.test.example"])
        #expect(try instance.refusal(layer, image: ArtifactDigest(of: [1])) == "signature otherArtifact")
    }

    @Test func layerWithTimestamp() throws {
        var options = TestInstance.Options()
        options.timestamps = 1
        let layer = try instance.signLayer(options)
        #expect(try instance.verify(layer).provenTimes.count == 2)
        #expect(try instance.refusal(layer) == "")
        // Without a log.
        options.logs = []
        var policy = TestInstance.policy
        policy.logThreshold = 0
        #expect(try instance.refusal(try instance.signLayer(options), policy: policy) == "")
    }

    @Test(arguments: VerificationTests.kinds.indices) func layerByEveryKey(_ index: Int) throws {
        let (kind, scheme) = VerificationTests.kinds[index]
        let key = try TestKeys.key(kind)
        var options = TestInstance.Options()
        options.managedKey = key
        options.scheme = scheme
        let layer = try instance.signLayer(options)
        let policy = BundlePolicy(keys: [try SigningKey(key.publicKey)])
        let outcome = try instance.verify(layer, policy: policy)
        #expect(outcome.isVerified, "\(kind) \(String(describing: outcome.refusal))")
        #expect(outcome[.certificateChain]?.status == .skipped)
        // Not logged, as Ratify's policies allow it.
        options.logs = []
        var unlogged = policy
        #expect(try instance.refusal(try instance.signLayer(options), policy: unlogged) == "transparency missing")
        unlogged.logThreshold = 0
        #expect(try instance.refusal(try instance.signLayer(options), policy: unlogged) == "")
        let other = BundlePolicy(keys: [try SigningKey(try PrivateKey.generate(.ec(.p256)).publicKey)])
        #expect(try instance.refusal(layer, policy: other) == "transparency otherKey")
    }

    @Test func imageBundle() throws {
        let bundle = try instance.signImage()
        #expect(try instance.refusal(imageBundle: bundle) == "")
        #expect(try instance.refusal(imageBundle: bundle, image: ArtifactDigest(of: [1])) == "signature otherArtifact")
        #expect(try Bundle(parsing: bundle.bytes).statedPredicateType == "https://sigstore.dev/cosign/sign/v1")
        #expect(try Bundle(parsing: instance.sign().bytes).statedPredicateType == nil)
    }
}
