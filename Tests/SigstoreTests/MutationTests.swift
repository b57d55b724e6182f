import Encoding
import Foundation
import PKI
import Sigstore
import SigstoreTestSupport
import StrictJSON
import TestSupport
import Testing

/// Bundles with something changed: nothing that is changed passes, but for what nothing relies on.
@Suite struct MutationTests {
    let instance: TestInstance

    init() throws { instance = try TestInstance() }

    /// What the format calls unauthenticated: hints for people.
    private func isHint(_ path: [String]) -> Bool {
        path.last == "hint" || path.last == "keyid"
    }

    private static let forms: [(String, @Sendable (inout TestInstance.Options) -> Void)] = [
        ("artifact, Rekor v1", { _ in }),
        ("artifact, Rekor v1, timestamp", { $0.timestamps = 1 }),
        (
            "statement, Rekor v2",
            {
                $0.predicateType = "a"
                $0.logs = [.dsse2]
                $0.timestamps = 1
            }
        ),
        (
            "statement, version 0.1, intoto",
            {
                $0.predicateType = "a"
                $0.logs = [.inToto2]
                $0.version = "0.1"
            }
        ),
        (
            "statement, both logs",
            {
                $0.predicateType = "a"
                $0.logs = [.dsse1, .hashedRekord2]
                $0.timestamps = 1
            }
        ),
    ]

    private func bundle(_ form: Int) throws -> JSONValue {
        var options = TestInstance.Options()
        Self.forms[form].1(&options)
        return try instance.sign(options)
    }

    private func outcome(_ bundle: JSONValue, _ verifier: BundleVerifier) -> BundleOutcome {
        verifier.verify(
            bundle: bundle.bytes, artifact: .content(TestInstance.Options().artifact), policy: TestInstance.policy)
    }

    @Test(arguments: forms.indices) func nothingThatIsChangedPasses(_ form: Int) throws {
        let bundle = try bundle(form)
        let verifier = BundleVerifier(root: try instance.root())
        let original = outcome(bundle, verifier)
        #expect(original.isVerified)
        var generator = SeededGenerator(seed: UInt64(form) + 1)
        var count = 0
        for place in bundle.places where !isHint(place) && !place.isEmpty {
            var changed: [JSONValue] = []
            switch bundle[place] {
            case .string(let text):
                changed += [.string(""), .null, 1, [], [:], .string(text + "A"), .string(String(text.dropLast()))]
                if var bytes = Base64.decode(text), bytes.count > 8 {
                    // Bits of what is encoded, and a part of it cut off or put to it.
                    for _ in 0..<10 {
                        let index = Int.random(in: bytes.indices, using: &generator)
                        let bit = UInt8(1) << UInt8.random(in: 0...7, using: &generator)
                        bytes[index] ^= bit
                        changed.append(.string(Base64.encode(bytes)))
                        bytes[index] ^= bit
                    }
                    changed += [
                        .string(Base64.encode(bytes.dropLast())), .string(Base64.encode(bytes + [0])),
                        .string(Base64.encode([0] + bytes)),
                    ]
                } else if !text.isEmpty {
                    for _ in 0..<8 {
                        var characters = Array(text.utf8)
                        let index = Int.random(in: characters.indices, using: &generator)
                        characters[index] = characters[index] == 0x31 ? 0x32 : 0x31
                        changed.append(.string(String(decoding: characters, as: UTF8.self)))
                    }
                }
            case .array(let elements):
                changed += [.array(elements + elements), .array([]), .null, .string("x")]
                if elements.count > 1 { changed.append(.array(elements.reversed())) }
            case .object(var object):
                changed += [.object(JSONObject()), .null, []]
                object["more"] = 1
                changed.append(.object(object))
            default: break
            }
            for value in changed where value != bundle[place] {
                var mutant = bundle
                mutant[place] = value
                count += 1
                guard !isAllowed(place, value, instead: bundle[place], form) else { continue }
                let outcome = outcome(mutant, verifier)
                if place.last == "signedTimestamp", outcome.isVerified {
                    // An authority does not sign the frame of its token, nor the certificates that come along: what it
                    // does sign must be what it was.
                    #expect(outcome.provenTimes == original.provenTimes)
                    continue
                }
                #expect(!outcome.isVerified, "\(Self.forms[form].0): \(place.joined(separator: ".")) as \(value)")
            }
        }
        print("\(Self.forms[form].0): \(count) bundles")
        #expect(count > 200)
    }

    /// What may be changed: the same proof once more, the order of proofs, and a proof left out beside another one that
    /// suffices. What a policy asks for, it says (`AttackTests.thresholdOfOneLogCountedTwice`).
    private func isAllowed(_ place: [String], _ value: JSONValue, instead original: JSONValue, _ form: Int) -> Bool {
        let isEmpty = value == .null || value == .string("") || value == [] || value == [:]
        let name = place.last ?? ""
        if name == "tlogEntries" || name == "rfc3161Timestamps", let elements = original.array {
            if value == .array(elements + elements) || value == .array(elements.reversed()) { return true }
        }
        // Nobody relies on the digest that a bundle states; one that is wrong is refused.
        if name == "messageDigest" { return value == .null }
        let hasTimestamp = Self.forms[form].0.hasSuffix("timestamp") || form == 4
        if ["timestampVerificationData", "rfc3161Timestamps"].contains(name), form != 2 { return isEmpty }
        if ["inclusionPromise", "signedEntryTimestamp"].contains(name), hasTimestamp { return isEmpty }
        // In version 0.1 the promise is what proves.
        if form == 3 {
            if name == "inclusionProof" { return value == .null }
            if name == "checkpoint" { return isEmpty && value != [] }
            if name == "envelope" { return isEmpty && value.array == nil }
        }
        return false
    }

    /// Each part of one good bundle in another one.
    @Test(arguments: forms.indices) func partsOfAnotherBundle(_ form: Int) throws {
        let (bundle, other) = (try bundle(form), try bundle(form))
        let verifier = BundleVerifier(root: try instance.root())
        for place in bundle.places where !place.isEmpty && bundle[place] != other[place] && !isHint(place) {
            var mutant = bundle
            mutant[place] = other[place]
            // All of the other bundle is the other bundle.
            guard mutant != other else { continue }
            #expect(!outcome(mutant, verifier).isVerified, "\(place.joined(separator: "."))")
        }
    }
}
