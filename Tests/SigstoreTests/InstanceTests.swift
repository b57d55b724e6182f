import Encoding
import Foundation
import PKI
import Sigstore
import SigstoreTestSupport
import StrictJSON
import TestSupport
import Testing

/// What `Tests/SigstoreInstance` makes with OpenSSL and Python: everything that is good verifies, nothing else does.
@Suite struct InstanceTests {
    @Test func everyBundleVerifies() throws {
        let bundles = try MadeBundle.all.get()
        #expect(bundles.count > 100)
        let verifiers = try MadeBundle.verifiers()
        for bundle in bundles {
            let verifier = try #require(verifiers[bundle.instance])
            let outcome = bundle.verify(with: verifier)
            #expect(
                outcome.isVerified, "\(bundle.name): \(TestInstance.name(outcome.refusal)) \(outcome.refusal as Any)")
            // Of another artifact, and with the other instance's trusted root.
            let other = verifier.verify(bundle: bundle.json.bytes, artifact: .content([1]), policy: bundle.policy)
            #expect(!other.isVerified, "\(bundle.name) of another artifact")
            for (name, verifier) in verifiers where name != bundle.instance {
                #expect(!bundle.verify(with: verifier).isVerified, "\(bundle.name) with the trusted root of \(name)")
            }
        }
    }

    /// The policy of each bundle lets no bundle pass that somebody else signed.
    @Test func noPolicyAcceptsAnothersBundle() throws {
        let bundles = try MadeBundle.all.get()
        let verifiers = try MadeBundle.verifiers()
        for bundle in bundles {
            let verifier = try #require(verifiers[bundle.instance])
            for other in bundles where other.signer?.name != bundle.signer?.name || other.signer == nil {
                let outcome = verifier.verify(
                    bundle: bundle.json.bytes, artifact: .content(bundle.artifact), policy: other.policy)
                guard outcome.isVerified else { continue }
                // The same key for several bundles, in policies that ask for no more than this one gives.
                let isSameKey = bundle.policy.keys == other.policy.keys && !bundle.policy.keys.isEmpty
                #expect(isSameKey, "\(bundle.name) by the policy of \(other.name)")
            }
        }
    }

    /// Two authorities are two. One is one, however often it has signed.
    @Test(arguments: [("two-timestamps", true), ("two-timestamps-of-one-authority", false)])
    func timestampsOfTwoAuthorities(_ name: String, _ areTwo: Bool) throws {
        var bundle = try #require(try MadeBundle.all.get().first { $0.name == name })
        let verifier = try #require(try MadeBundle.verifiers()[bundle.instance])
        let outcome = bundle.verify(with: verifier)
        #expect(outcome.isVerified)
        #expect(outcome.provenTimes.count == 2)
        #expect(Set(outcome.provenTimes.map(\.source)).count == (areTwo ? 2 : 1))
        bundle.policy.timestampThreshold = 2
        #expect(
            TestInstance.name(bundle.verify(with: verifier).refusal) == (areTwo ? "none" : "provenTime belowThreshold"))
        // A second name for the same authority in the trusted root makes no second authority.
        var root = try MadeBundle.rootJSON(bundle.instance)
        var again = root[["timestampAuthorities", "0"]]
        again[["uri"]] = "https://another-name.example"
        again[["subject"]] = ["organization": "another name", "commonName": "another name"]
        root[["timestampAuthorities"]] = .array([again, root[["timestampAuthorities", "0"]]])
        let named = BundleVerifier(root: try TrustedRoot(parsing: root.bytes))
        #expect(
            TestInstance.name(bundle.verify(with: named).refusal)
                == (areTwo ? "provenTime unknownAuthority" : "provenTime belowThreshold"))
        bundle.policy.timestampThreshold = 3
        #expect(TestInstance.name(bundle.verify(with: verifier).refusal) == "provenTime belowThreshold")
    }

    /// Each image of `images.json` under each of its policies: those that it names accept it, no other one does.
    @Test func imagesByEveryPolicy() throws {
        let images = try MadeImages()
        let verifier = BundleVerifier(root: images.root)
        var count = 0
        for image in images.all {
            for (name, policy) in images.policies {
                let outcomes = image.signatures.map { $0.verify(image.digest, policy, verifier) }
                let accepted = outcomes.contains(where: \.isVerified)
                #expect(
                    accepted == image.verifiedBy.contains(name),
                    "\(image.name) by \(name): \(outcomes.map { TestInstance.name($0.refusal) })")
                count += 1
            }
            #expect(image.signatures.count(where: \.isLayer) == image.layers, "\(image.name)")
            #expect(image.signatures.count(where: { !$0.isLayer }) == image.bundles, "\(image.name)")
        }
        #expect(count > 400)
    }
}
