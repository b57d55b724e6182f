import Foundation
import PKI
import Sigstore
import SigstoreTestSupport
import StrictJSON
import TestSupport
import Testing

/// Changes of what `Tests/SigstoreInstance` made: of each member of bundles, each annotation of layers, each leaf of a
/// trusted root. Nothing that is changed passes but what ``HarmlessMutation`` and ``HarmlessRootMutation`` list.
@Suite struct InstanceMutationTests {
    /// How many changes of one thing are tried; `COUNTERSIGN_MUTATIONS` says another number, 0 for all.
    static let most: Int = {
        let asked = ProcessInfo.processInfo.environment["COUNTERSIGN_MUTATIONS"].flatMap { Int($0) } ?? 50
        return asked == 0 ? .max : asked
    }()

    /// A sample of the changes of a bundle, and of the parts of other good ones in it.
    static func mutations(
        of bundle: MadeBundle, _ others: [MadeBundle], _ generator: inout SeededGenerator
    ) -> [(mutation: Mutation, source: MadeBundle?)] {
        var all: [(Mutation, MadeBundle?)] = Mutation.all(
            of: bundle.json, flips: most == .max ? 40 : 6, using: &generator
        ).shuffled(using: &generator).prefix(most).map { ($0, nil) }
        let sources = others.filter { $0.name != bundle.name }.shuffled(using: &generator)
        for other in sources.prefix(most == .max ? sources.count : 3) {
            all += Mutation.taking(from: other.json, named: other.name, into: bundle.json)
                .shuffled(using: &generator).prefix(most / 4).map { ($0, other) }
        }
        return all
    }

    @Test func bundles() throws {
        let bundles = try MadeBundle.all.get()
        let verifiers = try MadeBundle.verifiers()
        let outcomes = try bundles.map { $0.verify(with: try #require(verifiers[$0.instance])) }
        let outcome = Dictionary(uniqueKeysWithValues: zip(bundles.map(\.name), outcomes))
        var generator = SeededGenerator(seed: 1)
        var count = MutationCount()
        for bundle in bundles {
            let verifier = try #require(verifiers[bundle.instance])
            let before = try #require(outcome[bundle.name])
            for (mutation, source) in Self.mutations(of: bundle, bundles, &generator) {
                count.count()
                let after = bundle.verify(mutation.applied(to: bundle.json), with: verifier)
                guard after.isVerified else { continue }
                let change = HarmlessMutation.Change(
                    mutation: mutation, original: bundle.json, policy: bundle.policy, before: before, after: after,
                    source: source.flatMap { outcome[$0.name] })
                guard let reason = HarmlessMutation.reason(for: change) else {
                    Issue.record("\(bundle.name) passes with \(mutation)")
                    continue
                }
                count.count(passed: reason)
            }
        }
        print(count.table("bundles"))
        #expect(count.all > 8_000)
    }

    /// A layer as one JSON value: its annotations, and those that are JSON taken apart.
    private struct LayerForm {
        let json: JSONValue

        init(_ annotations: [String: String]) {
            var members = JSONObject()
            for (name, text) in annotations.sorted(by: { $0.key < $1.key }) { members[name] = .string(text) }
            json = ["annotations": .object(members)]
        }

        static func annotations(_ json: JSONValue) -> [String: String] {
            var annotations: [String: String] = [:]
            for (name, value) in json[["annotations"]].object?.members ?? [] { annotations[name] = value.string }
            return annotations
        }

        /// Changes of the annotations' texts, and of the values inside those that are JSON.
        func mutations(_ generator: inout SeededGenerator) -> [Mutation] {
            // Annotations are texts, and those of other names are nobody's.
            var all = Mutation.all(of: json, flips: 20, using: &generator).filter {
                $0.place.count == 2 && ($0.value.isNull || $0.value.string != nil)
            }
            for name in [CosignAnnotation.bundle, CosignAnnotation.timestamp] {
                let place = ["annotations", name]
                guard let text = json[place].string, let inner = try? StrictJSON.parse(Array(text.utf8)) else {
                    continue
                }
                all += Mutation.all(of: inner, flips: 20, using: &generator).map { mutation in
                    Mutation(kind: mutation.kind, place: place, value: .string(mutation.applied(to: inner).text))
                }
            }
            return all
        }
    }

    @Test func layers() throws {
        let images = try MadeImages()
        let verifier = BundleVerifier(root: images.root)
        struct Case {
            let name: String
            let payload: [UInt8]
            let form: LayerForm
            let digest: ArtifactDigest
            let policy: BundlePolicy
            let before: BundleOutcome
        }
        var cases: [Case] = []
        for image in images.all {
            for (name, policy) in images.policies.sorted(by: { $0.key < $1.key }) where image.verifiedBy.contains(name)
            {
                for case .layer(let payload, let annotations) in image.signatures {
                    let before = verifier.verify(
                        layer: payload, annotations: annotations, image: image.digest, policy: policy)
                    guard before.isVerified else { continue }
                    cases.append(
                        Case(
                            name: "\(image.name) by \(name)", payload: payload, form: LayerForm(annotations),
                            digest: image.digest, policy: policy, before: before))
                }
            }
        }
        #expect(cases.count > 15)
        var generator = SeededGenerator(seed: 2)
        var count = MutationCount()
        for one in cases {
            var changes = one.form.mutations(&generator).shuffled(using: &generator).prefix(3 * Self.most)
                .map { ($0, Case?.none) }
            for other in cases.shuffled(using: &generator).prefix(4) where other.form.json != one.form.json {
                changes += Mutation.taking(from: other.form.json, named: other.name, into: one.form.json)
                    .map { ($0, other) }
            }
            for (mutation, source) in changes {
                count.count()
                let annotations = LayerForm.annotations(mutation.applied(to: one.form.json))
                let after = verifier.verify(
                    layer: one.payload, annotations: annotations, image: one.digest, policy: one.policy)
                guard after.isVerified else { continue }
                let change = HarmlessMutation.Change(
                    mutation: mutation, original: one.form.json, policy: one.policy, before: one.before, after: after,
                    source: source?.before)
                guard let reason = HarmlessMutation.reason(for: change) else {
                    Issue.record("\(one.name) passes with \(mutation)")
                    continue
                }
                count.count(passed: reason)
            }
            // The payload is signed as it is: each byte of it.
            for index in one.payload.indices {
                var payload = one.payload
                payload[index] ^= UInt8(1) << UInt8.random(in: 0...7, using: &generator)
                count.count()
                let after = verifier.verify(
                    layer: payload, annotations: LayerForm.annotations(one.form.json), image: one.digest,
                    policy: one.policy)
                #expect(!after.isVerified, "\(one.name): the payload at \(index)")
            }
        }
        print(count.table("layers"))
        #expect(count.all > 4_000)
    }

    /// Bundles that between them need everything that a trusted root has.
    static let ofRoots = ["thresholds", "chain-in-the-bundle", "version-0.1-key", "second-certificate-rekor2"]

    @Test(arguments: ofRoots) func trustedRoots(_ name: String) throws {
        let bundle = try #require(try MadeBundle.all.get().first { $0.name == name })
        let root = try HarmlessRootMutation.least(for: bundle, of: MadeBundle.rootJSON(bundle.instance))
        func outcome(_ root: JSONValue) -> BundleOutcome? {
            guard let parsed = try? TrustedRoot(parsing: root.bytes) else { return nil }
            return bundle.verify(with: BundleVerifier(root: parsed))
        }
        let before = try #require(outcome(root))
        #expect(before.isVerified)
        var generator = SeededGenerator(seed: 3)
        var count = MutationCount()
        let mutations = Mutation.all(of: root, flips: Self.most == .max ? 400 : Self.most / 4, using: &generator)
        for mutation in mutations.shuffled(using: &generator).prefix(20 * min(Self.most, 100_000)) {
            count.count()
            guard let after = outcome(mutation.applied(to: root)), after.isVerified else { continue }
            guard let reason = HarmlessRootMutation.reason(mutation, of: root, before, after) else {
                Issue.record("\(name) passes with the trusted root's \(mutation)")
                continue
            }
            count.count(passed: reason)
        }
        print(count.table("the trusted root of \(name)"))
        #expect(count.all > 200)
    }
}
