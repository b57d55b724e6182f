import KeyManagement
import OCI
import PKI
import Sigstore
import SigstoreTestSupport
import StrictJSON
import TestSupport
import Testing
import Verification

@testable import CosignVerifier

/// What is no signature, what cannot be had, and what is not there yet.
@Suite struct SignatureContentTests {
    let instance: TestInstance

    init() throws { instance = try TestInstance() }

    private func keyLayer(_ image: TestImage, _ key: PrivateKey) throws -> TestInstance.Layer {
        var options = TestInstance.Options()
        options.managedKey = key
        options.logs = []
        return try instance.signLayer(options, payload: TestInstance.payload(image.digest))
    }

    // MARK: Attestations

    @Test func anAttestationIsNoSignature() async throws {
        let image = try await TestImage()
        let verifier = try TestVerifier([try .keyless()], root: try instance.root())
        let type = "https://slsa.dev/provenance/v1"
        let provenance = try instance.signImage(TestInstance.Options(), image.digest, predicateType: type).bytes
        for annotations in [[:], [CosignAnnotation.bundlePredicateType: type]] {
            let artifact = try await image.push(bundle: provenance, annotations: annotations)
            guard case .notJudged = await verifier.outcome(artifact, image) else {
                throw Unexpected(text: "an attestation was judged")
            }
        }
        // Said to be a signature, it is none either.
        let claimed = try await image.push(
            bundle: provenance, annotations: [CosignAnnotation.bundlePredicateType: CosignMediaType.signaturePredicate])
        guard case .notJudged = await verifier.outcome(claimed, image) else {
            throw Unexpected(text: "an attestation was judged")
        }
        // What nobody can read is judged, and fails.
        for bytes in [Array("{}".utf8), Array("no JSON".utf8), try instance.sign().bytes, []] {
            let report = try await verifier.report(try await image.push(bundle: bytes), image)
            #expect(!report.isSuccess && report.errorReason?.isEmpty == false)
        }
        var broken = try instance.signImage(TestInstance.Options(), image.digest, predicateType: type)
        broken[["dsseEnvelope", "payloadType"]] = "text/plain"
        #expect(try await !verifier.report(try await image.push(bundle: broken.bytes), image).isSuccess)
    }

    /// cosign CVE-2022-35929: an attestation of the wanted predicate type whose signature is not verified.
    @Test func aStatementThatNobodySigned() async throws {
        let image = try await TestImage()
        let verifier = try TestVerifier([try .keyless()], root: try instance.root())
        var bundle = try instance.signImage(TestInstance.Options(), image.digest)
        let other = try instance.signImage(
            TestInstance.Options(), image.digest, predicateType: "https://example.org/other")
        bundle[["dsseEnvelope", "signatures"]] = other[["dsseEnvelope", "signatures"]]
        #expect(try await !verifier.report(try await image.push(bundle: bundle.bytes), image).isSuccess)
    }

    // MARK: Bounds

    @Test func manifestsThatHoldNoSignature() async throws {
        let image = try await TestImage()
        let key = try PrivateKey.generate(.ec(.p256))
        let verifier = try TestVerifier([try .keys()], root: try instance.root(), keys: [key.publicKey])
        let layer = try keyLayer(image, key)
        let bundle = try instance.signImage(TestInstance.Options(), image.digest).bytes
        var huge = layer
        huge.payload = Array(repeating: 0x20, count: SigstoreLimits.payloadBytes + 1)
        let artifacts: [(Descriptor, String)] = [
            (try await image.push([]), "has no layers"),
            (try await image.push([layer], mediaType: "application/octet-stream"), "media type"),
            (try await image.push([huge]), "at most \(SigstoreLimits.payloadBytes)"),
            (try await image.push(bundle: bundle, layers: 2), "exactly one"),
            (try await image.push(bundle: bundle, layers: 0), "exactly one"),
            (try await image.push(bundle: bundle, mediaType: "application/json"), "not a bundle's"),
            (
                try await image.push(bundle: Array(repeating: 0x20, count: SigstoreLimits.bundleBytes + 1)),
                "at most \(SigstoreLimits.bundleBytes)"
            ),
        ]
        for (artifact, reason) in artifacts {
            let report = try await verifier.report(artifact, image)
            #expect(!report.isSuccess && report.errorReason?.contains(reason) == true, "\(report.errorReason ?? "")")
            #expect(report.remediation?.isEmpty == false && report.failureClass == .signature)
        }
        var index = try await image.push([layer])
        index.mediaType = MediaType.ociIndex
        #expect(try await !verifier.report(index, image).isSuccess)
        var large = try await image.push([layer])
        large.size = Int64(SignatureContent.maximumManifestBytes) + 1
        #expect(try await !verifier.report(large, image).isSuccess)
    }

    /// Where the listing does not know the type the manifest says which form it is.
    @Test func typesThatTheListingDoesNotKnow() async throws {
        let image = try await TestImage()
        let key = try PrivateKey.generate(.ec(.p256))
        let byKey = try TestVerifier([try .keys()], keys: [key.publicKey])
        let keyless = try TestVerifier([try .keyless()], root: try instance.root())
        var layer = try await image.push([try keyLayer(image, key)])
        layer.artifactType = nil
        #expect(try await byKey.report(layer, image).isSuccess)
        var bundle = try await image.push(bundle: try instance.signImage(TestInstance.Options(), image.digest).bytes)
        for type in [nil, ""] {
            bundle.artifactType = type
            #expect(try await keyless.report(bundle, image).isSuccess)
        }
    }

    // MARK: Faults

    /// A registry in trouble says nothing about an image; what it serves in place of what was signed does.
    @Test func faultsOfTheRegistry() async throws {
        let image = try await TestImage()
        let key = try PrivateKey.generate(.ec(.p256))
        let verifier = try TestVerifier([try .keys()], keys: [key.publicKey])
        let good = try keyLayer(image, key)
        let bad = try keyLayer(image, try PrivateKey.generate(.ec(.p256)))
        let artifact = try await image.push([bad, good])
        func fail(_ digest: Digest, _ kind: RegistryError.Kind?) {
            image.faults.withLock { faults in
                faults = kind.map { [digest: RegistryError($0, host: "registry.example", detail: "in a test")] } ?? [:]
            }
        }
        for digest in [artifact.digest, Digest(of: good.payload)] {
            for kind in RegistryError.Kind.allCases {
                fail(digest, kind)
                let isTransient = RegistryError(kind, host: "", detail: "").isTransient
                switch await verifier.outcome(artifact, image) {
                case .fault(let fault): #expect(isTransient && fault.host == image.reference.endpoint, "\(kind)")
                case .judged(let report, _): #expect(!isTransient && !report.isSuccess, "\(kind)")
                case .notJudged: Issue.record("not judged: \(kind)")
                }
            }
        }
        // Another layer's trouble does not matter where one is valid.
        let two = try await image.push([try keyLayer(image, key), extraLayer(image)])
        fail(Digest(of: extraLayer(image).payload), .timeout)
        #expect(try await verifier.report(two, image).isSuccess)
        fail(artifact.digest, nil)
        #expect(try await verifier.report(artifact, image).isSuccess)
    }

    private func extraLayer(_ image: TestImage) -> TestInstance.Layer {
        TestInstance.Layer(payload: Array("another layer".utf8), annotations: [:])
    }

    /// A layer that is another than the manifest says.
    @Test func aTamperedLayer() async throws {
        let image = try await TestImage()
        let key = try PrivateKey.generate(.ec(.p256))
        let verifier = try TestVerifier([try .keys()], keys: [key.publicKey])
        let layer = try keyLayer(image, key)
        let artifact = try await image.push([layer])
        let digest = Digest(of: layer.payload)
        var other = layer.payload
        other[20] ^= 1
        image.directory.write(other, to: "blobs/sha256/\(digest.hex)")
        let report = try await verifier.report(artifact, image)
        #expect(!report.isSuccess && report.extensions["signatures"]?.array?.count == 1)
        #expect(report.verification()["isSuccess"]?.bool == false)
    }

    // MARK: Keys and roots

    @Test func providersThatAreNotThere() async throws {
        let image = try await TestImage()
        let key = try PrivateKey.generate(.ec(.p256))
        let layer = try await image.push([try keyLayer(image, key)])
        for awaited in [true, false] {
            let byKey = try TestVerifier([try .keys()], awaited: awaited)
            #expect(byKey.definition.missingProviders(in: byKey.trusted).first?.contains("\"keys\"") == true)
            #expect(try await byKey.fault(layer, image).isConfiguration == !awaited)
            let keyless = try TestVerifier([try .keyless()], awaited: awaited)
            #expect(keyless.definition.missingProviders(in: keyless.trusted).first?.contains("\"root\"") == true)
            #expect(try await keyless.fault(layer, image).isConfiguration == !awaited)
        }
        // A root that is still fetched, and one that is none.
        let waiting = try TestVerifier([try .keyless()], others: [FixedRoot("root", nil)])
        #expect(try await !waiting.fault(layer, image).isConfiguration)
        #expect(waiting.definition.missingProviders(in: waiting.trusted).isEmpty)
        let wrong = try TestVerifier([try .keyless()], others: [FixedKeys("root", [])])
        #expect(try await wrong.fault(layer, image).isConfiguration)
        #expect(wrong.definition.unusableStores(in: wrong.trusted).first?.contains("type sigstore") == true)
    }

    /// A signature that no key has made may be by the one that is not there; a good one counts without it.
    @Test func someKeysThatAreNotThere() async throws {
        let image = try await TestImage()
        let key = try PrivateKey.generate(.ec(.p256))
        let sources: [CosignKeySource] = [
            .provider("absent", name: nil, version: nil), .provider("keys", name: nil, version: nil),
        ]
        let verifier = try TestVerifier([try .keys(sources)], keys: [key.publicKey], awaited: true)
        #expect(try await verifier.report(try await image.push([try keyLayer(image, key)]), image).isSuccess)
        let stranger = try await image.push([try keyLayer(image, try PrivateKey.generate(.ec(.p256)))])
        let fault = try await verifier.fault(stranger, image)
        #expect(fault.cause.contains("\"absent\"") && !fault.isConfiguration)
    }

    @Test func namesAndVersions() async throws {
        let image = try await TestImage()
        let keys = try (0..<3).map { _ in try PrivateKey.generate(.ec(.p256)) }
        let vault = FixedKeys(
            "vault", type: "azurekeyvault",
            [
                TrustedKey(name: "release", version: "1", key: keys[0].publicKey),
                TrustedKey(name: "release", version: "2", key: keys[1].publicKey),
                TrustedKey(name: "test", version: "1", key: keys[2].publicKey),
            ])
        func passing(_ name: String?, _ version: String?) async throws -> [Int] {
            let verifier = try TestVerifier(
                [try .keys([.provider("vault", name: name, version: version)])], others: [vault])
            var passing: [Int] = []
            for (index, key) in keys.enumerated() {
                let report = try await verifier.report(try await image.push([try keyLayer(image, key)]), image)
                guard report.isSuccess else { continue }
                passing.append(index)
                let information = report.verification()["keyInformation"]
                #expect(information?["provider"]?.string == "vault")
                #expect(information?["name"]?.string == (index == 2 ? "test" : "release"))
                #expect(information?["version"]?.string == (index == 1 ? "2" : "1"))
            }
            return passing
        }
        #expect(try await passing(nil, nil) == [0, 1, 2])
        #expect(try await passing("release", nil) == [0, 1])
        #expect(try await passing("release", "2") == [1])
        let none = try TestVerifier([try .keys([.provider("vault", name: "release", version: "3")])], others: [vault])
        #expect(none.definition.unusableStores(in: none.trusted).first?.contains("no key release/3") == true)
        let fault = try await none.fault(try await image.push([try keyLayer(image, keys[0])]), image)
        #expect(fault.isConfiguration && fault.cause.contains("release/3"))
    }

    /// Only a vault's keys may have signed as a vault does.
    @Test func signaturesOfAVault() async throws {
        let image = try await TestImage()
        let key = try TestKeys.key(.rsa(bits: 3072))
        var options = TestInstance.Options()
        options.managedKey = key
        options.scheme = .rsaPKCS1(.sha384)
        options.logs = []
        let artifact = try await image.push([
            try instance.signLayer(options, payload: TestInstance.payload(image.digest))
        ])
        for (type, passes) in [("azurekeyvault", true), ("inline", false)] {
            let verifier = try TestVerifier(
                [try .keys()], others: [FixedKeys("keys", type: type, [TrustedKey(key: key.publicKey)])])
            #expect(try await verifier.report(artifact, image).isSuccess == passes)
        }
    }

    @Test func keysInFiles() async throws {
        let image = try await TestImage()
        let key = try PrivateKey.generate(.ec(.p256))
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let file = directory.write(PEM(label: "PUBLIC KEY", der: key.publicKey.spkiDER).text, to: "cosign.pub")
        let verifier = try TestVerifier([try .keys([.file(file)])])
        let artifact = try await image.push([try keyLayer(image, key)])
        let report = try await verifier.report(artifact, image)
        #expect(report.isSuccess && report.verification()["keyInformation"]?["file"]?.string == file)
        #expect(verifier.definition.unusableStores(in: verifier.trusted).isEmpty)
        let absent = try TestVerifier([try .keys([.file(directory.path("absent.pub"))])])
        #expect(absent.definition.unusableStores(in: absent.trusted).first?.contains("absent.pub") == true)
        #expect(try await absent.fault(artifact, image).isConfiguration)
    }

    /// A policy that names no trusted root has the public good instance's, which has not signed this.
    @Test func thePublicGoodInstance() async throws {
        let image = try await TestImage()
        let policy = try CosignTrustPolicy(name: "default", scopes: [], signers: .identities([TestInstance.identity]))
        let verifier = try TestVerifier([policy])
        let artifact = try await image.push([
            try instance.signLayer(TestInstance.Options(), payload: TestInstance.payload(image.digest))
        ])
        let report = try await verifier.report(artifact, image)
        #expect(!report.isSuccess)
        let known = try CosignTrustPolicy(
            name: "default", scopes: [], signers: .identities([TestInstance.identity]),
            logURL: "https://rekor.sigstore.dev/")
        #expect(throws: Never.self) { try TestVerifier([known]) }
        let unknown = try CosignTrustPolicy(
            name: "default", scopes: [], signers: .identities([TestInstance.identity]),
            logURL: "https://rekor.internal.example")
        let error = #expect(throws: CosignPolicyError.self) { try TestVerifier([unknown]) }
        #expect(error?.member == "rekorURL" && error?.problem.contains("trustedRoot") == true)
    }
}
