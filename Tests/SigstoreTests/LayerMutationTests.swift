import Encoding
import Foundation
import PKI
import Sigstore
import SigstoreTestSupport
import StrictJSON
import TestSupport
import Testing

/// Layers of cosign's signatures with something changed: nothing that is changed passes, but for what nobody relies on.
@Suite struct LayerMutationTests {
    let instance: TestInstance

    init() throws { instance = try TestInstance() }

    private static let forms: [(String, @Sendable (inout TestInstance.Options) -> Void)] = [
        ("certificate, log", { _ in }),
        ("certificate, log, timestamp", { $0.timestamps = 1 }),
        (
            "certificate, timestamp",
            {
                $0.timestamps = 1
                $0.logs = []
            }
        ),
        ("key, log", { $0.managedKey = try? TestKeys.key(.ec(.p256)) }),
        (
            "key alone",
            {
                $0.managedKey = try? TestKeys.key(.ec(.p256))
                $0.logs = []
            }
        ),
    ]

    private struct Form {
        let layer: TestInstance.Layer
        let policy: BundlePolicy
    }

    private func form(_ number: Int) throws -> Form {
        var options = TestInstance.Options()
        Self.forms[number].1(&options)
        var policy = TestInstance.policy
        policy.logThreshold = options.logs.count
        if let key = options.managedKey { policy = BundlePolicy(keys: [try SigningKey(key.publicKey)]) }
        if options.logs.isEmpty { policy.logThreshold = 0 }
        return Form(layer: try instance.signLayer(options), policy: policy)
    }

    @Test(arguments: forms.indices) func nothingThatIsChangedPasses(_ number: Int) throws {
        let form = try form(number)
        let verifier = BundleVerifier(root: try instance.root())
        func outcome(_ layer: TestInstance.Layer) -> BundleOutcome {
            verifier.verify(
                layer: layer.payload, annotations: layer.annotations, image: TestInstance.image, policy: form.policy)
        }
        let original = outcome(form.layer)
        #expect(original.isVerified, "\(String(describing: original.refusal))")
        var generator = SeededGenerator(seed: UInt64(number) + 1)
        var count = 0
        func mustFail(_ changed: TestInstance.Layer, _ what: @autoclosure () -> String) {
            count += 1
            let outcome = outcome(changed)
            #expect(!outcome.isVerified, "\(Self.forms[number].0): \(what())")
        }
        // Each byte of the payload, which is signed as it is.
        for index in form.layer.payload.indices {
            var changed = form.layer
            changed.payload[index] ^= UInt8(1) << UInt8.random(in: 0..<8, using: &generator)
            mustFail(changed, "payload at \(index)")
        }
        for payload in [form.layer.payload + [0x0A], Array(form.layer.payload.dropLast()), []] {
            var changed = form.layer
            changed.payload = payload
            mustFail(changed, "payload of \(payload.count) bytes")
        }
        for (name, text) in form.layer.annotations where name != CosignAnnotation.chain {
            let bytes = Array(text.utf8)
            for index in stride(from: 0, to: bytes.count, by: max(1, bytes.count / 300)) {
                var characters = bytes
                var other = UInt8.random(in: 0x20...0x7E, using: &generator)
                if other == characters[index] { other = other == 0x21 ? 0x22 : 0x21 }
                characters[index] = other
                var changed = form.layer
                changed.annotations[name] = String(decoding: characters, as: UTF8.self)
                count += 1
                let outcome = outcome(changed)
                guard outcome.isVerified else { continue }
                // An authority does not sign the frame of its token, nor the certificates that come along; a line break
                // between the lines of PEM may be a blank.
                let isSame =
                    name == CosignAnnotation.timestamp
                    ? outcome.provenTimes == original.provenTimes
                    : name == CosignAnnotation.certificate && bytes[index] == 0x0A && outcome.chain == original.chain
                #expect(isSame, "\(Self.forms[number].0): \(name) at \(index)")
            }
            for text in [String(text.dropLast(3)), text + text, "x" + text] {
                var changed = form.layer
                changed.annotations[name] = text
                mustFail(changed, "\(name) as \(text.utf8.count) bytes")
            }
        }
        print("\(Self.forms[number].0): \(count) layers")
        #expect(count > 300)
    }
}
