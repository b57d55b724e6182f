import Encoding
import Foundation
import PKI
import Sigstore
import SigstoreTestSupport
import StrictJSON
import TestSupport
import Testing

/// What must not pass as cosign's signature of an image: each test fails when the check is taken out.
@Suite struct LayerAttackTests {
    let instance: TestInstance

    init() throws { instance = try TestInstance() }

    private func keyed(_ options: inout TestInstance.Options) throws -> BundlePolicy {
        let key = try PrivateKey.generate(.ec(.p256))
        options.managedKey = key
        return BundlePolicy(keys: [try SigningKey(key.publicKey)])
    }

    // MARK: Annotations

    @Test func everyAnnotationMissing() throws {
        var options = TestInstance.Options()
        options.timestamps = 1
        let layer = try instance.signLayer(options)
        let expected = [
            CosignAnnotation.signature: "bundle content", CosignAnnotation.certificate: "bundle content",
            // The trusted root has Fulcio's certificates itself.
            CosignAnnotation.chain: "", CosignAnnotation.bundle: "transparency missing",
            // The log states a time, too.
            CosignAnnotation.timestamp: "",
        ]
        #expect(Set(layer.annotations.keys) == Set(expected.keys))
        for (name, refusal) in expected {
            for value in [nil, ""] {
                var changed = layer
                changed.annotations[name] = value
                #expect(try instance.refusal(changed) == refusal, "\(name)")
            }
        }
        // Certificate and chain: then it is a key's, of which the policy has none.
        var changed = layer
        changed.annotations[CosignAnnotation.certificate] = nil
        changed.annotations[CosignAnnotation.chain] = nil
        #expect(try instance.refusal(changed) == "signingKey noKey")
        // Names of others, and of another case, are nobody's.
        changed = layer
        changed.annotations["org.opencontainers.image.created"] = "today"
        changed.annotations["Dev.cosignproject.cosign/signature"] = "x"
        #expect(try instance.refusal(changed) == "")
    }

    /// Parts of another signature, each good where it belongs.
    @Test(
        "cosign CVE-2022-23649, CVE-2022-36056, CVE-2026-22703: annotations of another image", arguments: [true, false])
    func annotationsOfAnotherImage(_ isByKey: Bool) throws {
        var options = TestInstance.Options()
        options.timestamps = 1
        let policy = isByKey ? try keyed(&options) : TestInstance.policy
        let another = ArtifactDigest(of: Array("another image".utf8))
        let layer = try instance.signLayer(options)
        for other in [
            // Of another image, and a second signature of the same image.
            try instance.signLayer(options, payload: TestInstance.payload(another)), try instance.signLayer(options),
        ] {
            #expect(other.annotations.count == (isByKey ? 3 : 5))
            for name in other.annotations.keys where name != CosignAnnotation.chain {
                var changed = layer
                changed.annotations[name] = other.annotations[name]
                let refusal = try instance.refusal(changed, policy: policy)
                switch name {
                case CosignAnnotation.timestamp: #expect(refusal == "provenTime badTimestamp")
                case CosignAnnotation.signature: #expect(refusal == "provenTime badTimestamp")
                case CosignAnnotation.certificate: #expect(refusal == "transparency otherKey")
                default: #expect(refusal == "transparency otherSignature")
                }
            }
        }
        // All of the other image's signature.
        let whole = try instance.signLayer(options, payload: TestInstance.payload(another))
        #expect(try instance.refusal(whole, policy: policy) == "signature otherArtifact")
        // Its annotations on this image's payload, and the other way round.
        var mixed = whole
        mixed.payload = layer.payload
        #expect(try instance.refusal(mixed, policy: policy) == "transparency otherArtifact")
        #expect(try instance.refusal(mixed, policy: Self.unlogged(policy)) == "signature badSignature")
    }

    private static func unlogged(_ policy: BundlePolicy) -> BundlePolicy {
        var policy = policy
        policy.logThreshold = 0
        return policy
    }

    /// The log entry has this signature, but another key, another payload, or is of another kind.
    @Test func entryAboutSomethingElse() throws {
        var options = TestInstance.Options()
        let another = try instance.certificate(for: TestKeys.key(.ec(.p256)).publicKey, .init())
        options.changeBody = {
            $0[["spec", "signature", "publicKey", "content"]] = .string(Base64.encode(Array(another.pem.utf8)))
        }
        #expect(try instance.refusal(try instance.signLayer(options)) == "transparency otherKey")
        options.changeBody = {
            $0[["spec", "data", "hash", "value"]] = .string(Hex.text([UInt8](repeating: 0, count: 32)))
        }
        #expect(try instance.refusal(try instance.signLayer(options)) == "transparency otherArtifact")
        options.changeBody = {
            $0[["spec", "signature", "content"]] = .string(Base64.encode([1, 2, 3]))
        }
        #expect(try instance.refusal(try instance.signLayer(options)) == "transparency otherSignature")
        // The key of a certificate alone is not the certificate.
        let key = try TestKeys.key(.ec(.p256))
        options.managedKey = key
        options.changeBody = {
            $0[["spec", "signature", "publicKey", "content"]] = .string(Base64.encode(Array(another.pem.utf8)))
        }
        #expect(
            try instance.refusal(
                try instance.signLayer(options), policy: BundlePolicy(keys: [try SigningKey(key.publicKey)]))
                == "transparency otherKey")
        // Entries of envelopes are not about payloads.
        options = TestInstance.Options()
        options.logs = [.dsse1]
        #expect(try instance.refusal(try instance.signLayer(options)) == "transparency otherArtifact")
        // Bodies that say nothing, or are of a kind that is not known.
        options.logs = [.hashedRekord1]
        options.changeBody = { $0.remove(["kind"]) }
        #expect(try instance.refusal(try instance.signLayer(options)) == "transparency malformedEntry")
        options.changeBody = { $0 = .string("not a body") }
        #expect(try instance.refusal(try instance.signLayer(options)) == "transparency malformedEntry")
        options.changeBody = { $0[["kind"]] = "rekord" }
        #expect(try instance.refusal(try instance.signLayer(options)) == "transparency unknownEntry")
        // Of a log that nobody trusts.
        let other = try TestInstance("other")
        #expect(
            try instance.refusal(try other.signLayer()) == "provenTime badPromise")
    }

    @Test func certificatesInAnnotations() throws {
        let layer = try instance.signLayer()
        let own = try #require(layer.annotations[CosignAnnotation.certificate])
        let key = try TestKeys.key(.ec(.p256)).publicKey
        var leaf = TestInstance.Leaf()
        leaf.certificateLog = instance.certificateLogKey
        let other = try instance.certificate(for: key, leaf).pem
        func refusal(_ name: String, _ text: String) throws -> String {
            var changed = layer
            changed.annotations[name] = text
            return try instance.refusal(changed)
        }
        // One certificate, whichever comes first.
        #expect(try refusal(CosignAnnotation.certificate, own + own) == "bundle content")
        #expect(try refusal(CosignAnnotation.certificate, own + other) == "bundle content")
        #expect(try refusal(CosignAnnotation.certificate, own + instance.fulcio.certificate.pem) == "bundle content")
        #expect(try refusal(CosignAnnotation.certificate, other) == "transparency otherKey")
        #expect(try refusal(CosignAnnotation.certificate, "no certificate") == "bundle malformed")
        #expect(
            try refusal(CosignAnnotation.certificate, PEM(label: "CERTIFICATE", der: [1]).text) == "bundle malformed")
        #expect(
            try refusal(CosignAnnotation.certificate, PEM(label: "PUBLIC KEY", der: key.spkiDER).text)
                == "bundle malformed")
        #expect(try refusal(CosignAnnotation.certificate, String(own.dropLast(40))) == "bundle malformed")
        // A chain is of authorities; roots are passed over, whoever's they are.
        #expect(try refusal(CosignAnnotation.chain, other) == "bundle content")
        #expect(try refusal(CosignAnnotation.chain, "no certificate") == "bundle malformed")
        #expect(
            try refusal(CosignAnnotation.chain, PEM(label: "PUBLIC KEY", der: key.spkiDER).text) == "bundle malformed")
        #expect(try refusal(CosignAnnotation.chain, TestInstance("other").fulcio.identity.chain.last?.pem ?? "") == "")
        // A whole chain to a root of one's own does not help.
        let attacker = try TestInstance("attacker")
        var options = TestInstance.Options()
        options.leaf.authority = attacker.fulcio
        var forged = try instance.signLayer(options)
        forged.annotations[CosignAnnotation.chain] = attacker.fulcio.identity.chain.map(\.pem).joined()
        #expect(try instance.refusal(forged) == "certificateChain unknownAuthority")
    }

    @Test func malformedAnnotations() throws {
        var options = TestInstance.Options()
        options.timestamps = 1
        let layer = try instance.signLayer(options)
        func refusal(_ name: String, _ change: (inout JSONValue) -> Void) throws -> String {
            var changed = layer
            change(&changed[json: name])
            return try instance.refusal(changed)
        }
        let entry = CosignAnnotation.bundle
        for name in ["SignedEntryTimestamp", "Payload"] {
            #expect(try refusal(entry) { $0.remove([name]) } == "bundle malformed")
            #expect(try refusal(entry) { $0[[name]] = .null } == "bundle malformed")
            #expect(try refusal(entry) { $0[[name]] = 1 } == "bundle malformed")
        }
        for name in ["body", "integratedTime", "logIndex", "logID"] {
            #expect(try refusal(entry) { $0.remove(["Payload", name]) } == "bundle malformed", "\(name)")
            #expect(try refusal(entry) { $0[["Payload", name]] = .null } == "bundle malformed", "\(name)")
            #expect(try refusal(entry) { $0[["Payload", name]] = true } == "bundle malformed", "\(name)")
        }
        for name in ["integratedTime", "logIndex"] {
            let number = layer[json: entry][["Payload", name]]
            guard case .number(let text) = number else { throw PKIError(.missing, name) }
            for other: JSONValue in [.string(text), .number("-1"), .number(text + ".0"), .number("1e3")] {
                #expect(try refusal(entry) { $0[["Payload", name]] = other } == "bundle malformed")
            }
            #expect(try refusal(entry) { $0[["Payload", name]] = 7 } == "provenTime badPromise")
        }
        let log = layer[json: entry][["Payload", "logID"]].string ?? ""
        #expect(try refusal(entry) { $0[["Payload", "logID"]] = .string(log.uppercased()) } == "bundle malformed")
        #expect(try refusal(entry) { $0[["Payload", "logID"]] = .string(log + "00") } == "bundle malformed")
        #expect(try refusal(entry) { $0[["more"]] = 1 } == "bundle malformed")
        #expect(try refusal(entry) { $0[["Payload", "more"]] = 1 } == "bundle malformed")
        let timestamp = CosignAnnotation.timestamp
        #expect(try refusal(timestamp) { $0[["more"]] = 1 } == "bundle malformed")
        #expect(try refusal(timestamp) { $0.remove(["SignedRFC3161Timestamp"]) } == "bundle malformed")
        #expect(try refusal(timestamp) { $0[["SignedRFC3161Timestamp"]] = "AAAA" } == "provenTime badTimestamp")
        // What is no JSON, no object, or says one thing twice.
        for name in [entry, timestamp] {
            for text in ["x", "[]", "null", "{", "\"\""] {
                var changed = layer
                changed.annotations[name] = text
                #expect(try instance.refusal(changed) == "bundle malformed", "\(name) \(text)")
            }
            var twice = layer
            let text = layer.annotations[name] ?? ""
            let member = name == entry ? "\"SignedEntryTimestamp\":\"AAAA\"," : "\"SignedRFC3161Timestamp\":\"AAAA\","
            twice.annotations[name] = "{\(member)\(text.dropFirst())"
            #expect(try instance.refusal(twice) == "bundle malformed")
        }
        // Base64 that is none, or has a second spelling.
        let signature = layer.annotations[CosignAnnotation.signature] ?? ""
        for text in ["?", String(signature.dropLast()), signature + "\n", " " + signature, signature + "=", "AAA"] {
            var changed = layer
            changed.annotations[CosignAnnotation.signature] = text
            #expect(try instance.refusal(changed) == "bundle malformed")
        }
    }

    @Test("cosign CVE-2023-46737, CVE-2024-29902, CVE-2024-29903: layers and annotations without end")
    func limits() throws {
        // Payload.
        let room = SigstoreLimits.payloadBytes - TestInstance.payload(annotations: ["a": ""]).bytes.count
        func payload(_ count: Int) -> JSONValue {
            TestInstance.payload(annotations: ["a": .string(String(repeating: "x", count: count))])
        }
        #expect(try instance.refusal(try instance.signLayer(payload: payload(room))) == "")
        #expect(try instance.refusal(try instance.signLayer(payload: payload(room + 1))) == "bundle limit")
        let many = TestInstance.payload(annotations: ["a": .array(Array(repeating: 1, count: 12_000))])
        #expect(try instance.refusal(try instance.signLayer(payload: many)) == "signature malformedPayload")
        // Each annotation.
        var options = TestInstance.Options()
        options.timestamps = 1
        let layer = try instance.signLayer(options)
        for name in layer.annotations.keys {
            var changed = layer
            let text = layer.annotations[name] ?? ""
            let filler = String(repeating: "\n", count: SigstoreLimits.annotationBytes - text.utf8.count)
            if name != CosignAnnotation.signature {
                changed.annotations[name] = text + filler
                #expect(try instance.refusal(changed) == "", "\(name)")
            }
            changed.annotations[name] = text + filler + "\n"
            #expect(try instance.refusal(changed) == "bundle limit", "\(name)")
        }
        var changed = layer
        changed.annotations[CosignAnnotation.signature] = Base64.encode(
            [UInt8](repeating: 1, count: SigstoreLimits.signatureBytes + 3))
        #expect(try instance.refusal(changed) == "bundle limit")
        changed = layer
        changed[json: CosignAnnotation.bundle][["SignedEntryTimestamp"]] = .string(
            Base64.encode([UInt8](repeating: 1, count: SigstoreLimits.signatureBytes + 3)))
        #expect(try instance.refusal(changed) == "bundle limit")
        changed = layer
        changed[json: CosignAnnotation.timestamp][["SignedRFC3161Timestamp"]] = .string(
            Base64.encode([UInt8](repeating: 1, count: TimestampToken.maximumBytes + 3)))
        #expect(try instance.refusal(changed) == "bundle limit")
        // Certificates: how many, and how large.
        changed = layer
        let root = instance.fulcio.identity.chain.last?.pem ?? ""
        changed.annotations[CosignAnnotation.chain] = String(repeating: root, count: 10)
        #expect(try instance.refusal(changed) == "")
        changed.annotations[CosignAnnotation.chain] = String(repeating: root, count: 11)
        #expect(try instance.refusal(changed) == "bundle limit")
        options.leaf.extensions = [
            TestExtension(oid: "1.2.3.4", isCritical: false, value: [UInt8](repeating: 1, count: 31 << 10))
        ]
        #expect(try instance.refusal(try instance.signLayer(options)) == "")
        options.leaf.extensions[0].value = [UInt8](repeating: 1, count: 32 << 10)
        #expect(try instance.refusal(try instance.signLayer(options)) == "bundle limit")
        // Values of an annotation's JSON.
        changed = layer
        changed[json: CosignAnnotation.bundle][["more"]] = .array(Array(repeating: 1, count: 100_000))
        #expect(try instance.refusal(changed) == "bundle malformed")
    }

    // MARK: Payloads

    /// A payload that cannot be read, however well it is signed and logged.
    @Test("cosign CVE-2026-39395: a payload that cannot be read")
    func payloadThatCannotBeRead() throws {
        let good = TestInstance.payload()
        func refusal(_ change: (inout JSONValue) -> Void) throws -> String {
            var payload = good
            change(&payload)
            return try instance.refusal(try instance.signLayer(payload: payload))
        }
        let malformed = "signature malformedPayload"
        for text in ["", " ", "null", "[]", "{}", "x", "\"x\"", "{\"critical\":{}}"] {
            #expect(try instance.refusal(try instance.signLayer(.init(), bytes: Array(text.utf8))) == malformed)
        }
        // Members that say one thing twice, and bytes after the end.
        let text = String(decoding: good.bytes, as: UTF8.self)
        let digest = "\"docker-manifest-digest\":\"\(TestInstance.image)\""
        for changed in [
            text.replacing(digest, with: "\(digest),\(digest)"), text + "{}", text + "x",
            text.replacing("\"optional\":null", with: "\"optional\":null,\"optional\":null"),
            text.replacing("{\"critical\":", with: "{\"critical\":{},\"critical\":"),
        ] {
            #expect(changed != text)
            #expect(try instance.refusal(try instance.signLayer(.init(), bytes: Array(changed.utf8))) == malformed)
        }
        for path in [
            ["critical"], ["critical", "type"], ["critical", "image"], ["critical", "identity"],
            ["critical", "image", "docker-manifest-digest"],
        ] {
            #expect(try refusal { $0.remove(path) } == malformed, "\(path)")
            #expect(try refusal { $0[path] = .null } == malformed, "\(path)")
            #expect(try refusal { $0[path] = 1 } == malformed, "\(path)")
        }
        // "MUST reject unexpected data".
        for path in [
            ["more"], ["critical", "more"], ["critical", "image", "more"], ["critical", "identity", "more"],
        ] {
            #expect(try refusal { $0[path] = "x" } == malformed, "\(path)")
        }
        for type in ["atomic container signature", "Cosign container image signature", "", "cosign"] {
            #expect(try refusal { $0[["critical", "type"]] = .string(type) } == malformed)
        }
        let hex = TestInstance.image.hex
        for digest in [hex, "sha256:" + hex.uppercased(), "sha256:" + hex.dropLast(), "SHA256:" + hex, "md5:00", ""] {
            #expect(
                try refusal { $0[["critical", "image", "docker-manifest-digest"]] = .string(digest) } == malformed)
        }
        for optional: JSONValue in ["x", 1, [], true] {
            #expect(try refusal { $0[["optional"]] = optional } == malformed)
        }
        // What is read: without annotations, and what old versions wrote.
        #expect(try refusal { $0.remove(["optional"]) } == "")
        #expect(try refusal { $0[["optional"]] = [:] } == "")
        #expect(try refusal { $0[["critical", "identity", "docker-reference"]] = "" } == "")
        #expect(try refusal { $0[["critical", "identity"]] = [:] } == "")
        #expect(try refusal { $0[["critical", "identity", "docker-reference"]] = 1 } == malformed)
        let old = "Docker-manifest-digest"
        #expect(try refusal { $0[["critical", "image"]] = [old: .string(TestInstance.image.description)] } == "")
        // Both spellings: nobody knows which one a reader takes.
        #expect(try refusal { $0[["critical", "image", old]] = .string(TestInstance.image.description) } == malformed)
        let other = ArtifactDigest(of: [1])
        #expect(try refusal { $0[["critical", "image", old]] = .string(other.description) } == malformed)
        #expect(
            try refusal { $0[["critical", "image"]] = [old: .string(other.description)] } == "signature otherArtifact")
        // Nothing is said of a payload that did not verify.
        var layer = try instance.signLayer()
        layer.payload.append(0x20)
        let outcome = try instance.verify(layer, policy: Self.unlogged(TestInstance.policy))
        #expect(outcome.payload == nil && !outcome.isVerified)
    }

    /// The digest is the image's with the algorithm that the image is known by.
    @Test func digestsOfOtherAlgorithms() throws {
        let image = ArtifactDigest(of: [1, 2, 3], algorithm: .sha512)
        let layer = try instance.signLayer(payload: TestInstance.payload(image))
        #expect(try instance.refusal(layer, image: image) == "")
        #expect(try instance.refusal(layer, image: ArtifactDigest(of: [1, 2, 3])) == "signature otherArtifact")
    }
}
