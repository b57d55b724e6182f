import Encoding
import Expressions
import FoundationEssentials
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

/// What the verifier makes of the signatures of an image: layers at the tag, and bundles.
@Suite struct CosignVerifierTests {
    let instance: TestInstance

    init() throws { instance = try TestInstance() }

    private func options(_ key: PrivateKey?, logged: Bool = false) -> TestInstance.Options {
        var options = TestInstance.Options()
        options.managedKey = key
        if !logged { options.logs = [] }
        return options
    }

    private func layer(
        _ image: TestImage, _ options: TestInstance.Options, annotations: JSONValue = .null
    ) throws -> TestInstance.Layer {
        try instance.signLayer(options, payload: TestInstance.payload(image.digest, annotations: annotations))
    }

    // MARK: Good signatures

    @Test func aKey() async throws {
        let image = try await TestImage()
        let key = try PrivateKey.generate(.ec(.p256))
        let artifact = try await image.push([try layer(image, options(key))])
        let verifier = try TestVerifier([try .keys()], keys: [key.publicKey])
        let report = try await verifier.report(artifact, image)
        #expect(report.isSuccess)
        #expect(
            report.message
                == "Verification success. Valid signatures found. Please refer to extensions field for verifications performed."
        )
        #expect(report.verifierName == "verifier-cosign" && report.verifierType == "cosign")
        #expect(report.referenceDigest == artifact.digest.description)
        #expect(report.extensions["trustPolicy"]?.string == "default")
        #expect(report.verification()["isSuccess"]?.bool == true)
        #expect(report.verification()["bundleVerified"]?.bool == false)
        #expect(report.verification()["keyInformation"]?["provider"]?.string == "keys")
        #expect(report.verification()["certificate"] == nil && report.verification()["error"] == nil)
        #expect(report.verification()["summary"]?.array?.isEmpty == false)
        #expect(report.details == nil)
        // The same key, and a log that must have the signature.
        let logged = try TestVerifier([try .keys(logs: 1)], root: try instance.root(), keys: [key.publicKey])
        let refused = try await logged.report(artifact, image)
        #expect(!refused.isSuccess && refused.failureClass == .transparency)
        #expect(refused.remediation?.contains("tLogVerify") == true)
        let other = try await image.push([try layer(image, options(key, logged: true))])
        let passed = try await logged.report(other, image)
        #expect(passed.isSuccess && passed.verification()["bundleVerified"]?.bool == true)
        #expect(passed.verification()["logEntries"]?.array?.count == 1)
    }

    @Test func anotherKey() async throws {
        let image = try await TestImage()
        let artifact = try await image.push([try layer(image, options(try PrivateKey.generate(.ec(.p256))))])
        let verifier = try TestVerifier([try .keys()], keys: [try PrivateKey.generate(.ec(.p256)).publicKey])
        let report = try await verifier.report(artifact, image)
        #expect(!report.isSuccess && report.failureClass == .integrity)
        #expect(report.errorReason?.contains("another key signed") == true)
        #expect(report.verification()["isSuccess"]?.bool == false)
        #expect(report.verification()["error"]?.string?.isEmpty == false)
        #expect(report.verification()["keyInformation"] == nil)
        // A certificate where a key must have signed.
        let keyless = try await image.push([try layer(image, TestInstance.Options())])
        #expect(try await verifier.report(keyless, image).failureClass == .authenticity)
    }

    @Test func aCertificate() async throws {
        let image = try await TestImage()
        let verifier = try TestVerifier([try .keyless()], root: try instance.root())
        var signing = TestInstance.Options()
        signing.leaf.extensions = [
            TestExtension(
                oid: FulcioExtension.sourceRepositoryURI.oid, isCritical: false,
                value: DERWriter.element(DER.utf8String, Array("https://example.org/app".utf8)))
        ]
        let artifact = try await image.push([try layer(image, signing)])
        let bundle = try await image.push(bundle: try instance.signImage(signing, image.digest).bytes)
        for artifact in [artifact, bundle] {
            let report = try await verifier.report(artifact, image)
            #expect(report.isSuccess, "\(report.errorReason ?? "")")
            let certificate = report.verification()["certificate"]
            #expect(certificate?["identity"]?.string == TestInstance.Leaf().subject)
            #expect(certificate?["issuer"]?.string == TestInstance.Leaf().issuer)
            #expect(certificate?["extensions"]?["sourceRepositoryURI"]?.string == "https://example.org/app")
            #expect(report.verification()["provenTimes"]?.array?.isEmpty == false)
            #expect(report.verification()["keyInformation"] == nil)
            #expect(report.artifactType == artifact.artifactType)
            #expect(!report.signingChain.isEmpty)
        }
        #expect(verifier.verifier.artifactTypes.count == 5)
        #expect(verifier.verifier.countedTypes == [CosignMediaType.signatureArtifact])
    }

    @Test func anotherIdentity() async throws {
        let image = try await TestImage()
        let wanted = CertificateIdentity(
            name: .exactly("https://example.org/other"), issuer: .exactly(TestInstance.Leaf().issuer))
        let verifier = try TestVerifier([try .keyless([wanted])], root: try instance.root())
        for artifact in [
            try await image.push([try layer(image, TestInstance.Options())]),
            try await image.push(bundle: try instance.signImage(TestInstance.Options(), image.digest).bytes),
        ] {
            let report = try await verifier.report(artifact, image)
            #expect(!report.isSuccess && report.failureClass == .authenticity)
            #expect(report.errorReason?.contains("https://example.org/other") == true)
            // Who signed is proven, and still nobody for templates to believe.
            #expect(report.verification()["certificate"] == nil && report.verification()["isSuccess"]?.bool == false)
            #expect(report.signingChain.isEmpty)
        }
    }

    /// A signature that was copied from another image.
    @Test func anotherImage() async throws {
        let image = try await TestImage()
        let other = try await TestImage(content: "another image")
        let key = try PrivateKey.generate(.ec(.p256))
        let byKey = try TestVerifier([try .keys()], keys: [key.publicKey])
        let keyless = try TestVerifier([try .keyless()], root: try instance.root())
        let copied = try await image.push([try layer(other, options(key))])
        let report = try await byKey.report(copied, image)
        #expect(!report.isSuccess && report.failureClass == .signature)
        #expect(report.errorReason?.contains("made for another image") == true)
        let bundle = try await image.push(bundle: try instance.signImage(TestInstance.Options(), other.digest).bytes)
        #expect(try await !keyless.report(bundle, image).isSuccess)
        let layer = try await image.push([try layer(other, TestInstance.Options())])
        #expect(try await !keyless.report(layer, image).isSuccess)
        // Another subject in the manifest itself, whatever it holds.
        let foreign = try await other.push(bundle: try instance.signImage(TestInstance.Options(), image.digest).bytes)
        let outcome = await keyless.verifier.verify(
            artifact: foreign, subject: image.subject, reference: image.reference, store: other,
            deadline: TestImage.soon)
        guard case .judged(let denied, _) = outcome else { throw Unexpected(text: "not judged") }
        #expect(!denied.isSuccess && denied.errorReason?.contains("about another image") == true)
    }

    // MARK: Several layers

    /// Ratify's verdict is that of the last layer: here any valid one counts, wherever it stands.
    @Test(arguments: 0..<3) func oneGoodLayerOfThree(_ position: Int) async throws {
        let image = try await TestImage()
        let key = try PrivateKey.generate(.ec(.p256))
        var layers = try (0..<3).map { number in
            try layer(image, options(try PrivateKey.generate(.ec(.p256))), annotations: ["n": .number("\(number)")])
        }
        let verifier = try TestVerifier([try .keys()], keys: [key.publicKey])
        let bad = try await verifier.report(try await image.push(layers), image)
        #expect(!bad.isSuccess && bad.extensions["signatures"]?.array?.count == 3)
        layers[position] = try layer(image, options(key))
        let report = try await verifier.report(try await image.push(layers), image)
        #expect(report.isSuccess && report.extensions["signatures"]?.array?.count == 3)
        for index in 0..<3 {
            #expect(report.verification(index)["isSuccess"]?.bool == (index == position))
            let signature = report.extensions["signatures"]?.array?[index]["signature"]?.string
            #expect(signature == layers[index].annotations[CosignAnnotation.signature])
        }
    }

    @Test func moreLayersThanAreLookedAt() async throws {
        let image = try await TestImage()
        let key = try PrivateKey.generate(.ec(.p256))
        let stranger = try PrivateKey.generate(.ec(.p256))
        func layers(_ count: Int) throws -> [TestInstance.Layer] {
            try (0..<count).map { try layer(image, options(stranger), annotations: ["n": .number("\($0)")]) }
        }
        let verifier = try TestVerifier([try .keys()], keys: [key.publicKey])
        let good = try layer(image, options(key))
        let eleventh = try await verifier.report(try await image.push(try layers(10) + [good]), image)
        #expect(!eleventh.isSuccess && eleventh.errorReason?.contains("1 more signatures were not looked at") == true)
        let tenth = try await verifier.report(try await image.push(try layers(9) + [good] + layers(3)), image)
        #expect(tenth.isSuccess)
        #expect(tenth.extensions["signaturesNotLookedAt"]?.integer == 3)
        #expect(tenth.json.bytes.count <= 32 << 10)
    }

    /// Whoever pushes signatures does not choose how large a report is, and does not hide a good one in it.
    @Test func reportsAreBounded() async throws {
        let image = try await TestImage()
        let key = try PrivateKey.generate(.ec(.p256))
        let verifier = try TestVerifier([try .keys()], keys: [key.publicKey])
        var huge = try layer(image, options(key))
        // One that can be read, and is as large as one may be.
        huge.annotations[CosignAnnotation.signature] = Base64.encode([UInt8](repeating: 7, count: 4_096))
        let good = try layer(image, options(key), annotations: ["good": "yes"])
        let report = try await verifier.report(
            try await image.push(Array(repeating: huge, count: 9) + [good]), image)
        #expect(report.isSuccess && report.json.bytes.count <= 32 << 10)
        let shown = report.extensions["signatures"]?.array ?? []
        #expect(shown.contains { $0["verifications"]?.array?.first?["isSuccess"]?.bool == true })
        #expect(report.extensions["signaturesLeftOut"]?.integer == Int64(10 - shown.count))
    }

    @Test func signatureThreshold() async throws {
        let image = try await TestImage()
        let keys = try (0..<3).map { _ in try PrivateKey.generate(.ec(.p256)) }
        let verifier = try TestVerifier([try .keys(signatures: 2)], keys: keys.map(\.publicKey))
        let layers = try keys.map { try layer(image, options($0)) }
        let again = try layer(image, options(keys[0]), annotations: ["again": "yes"])
        #expect(try await verifier.report(try await image.push([layers[0], layers[2]]), image).isSuccess)
        // One key twice is one.
        for few in [[layers[1]], [layers[0], again]] {
            let report = try await verifier.report(try await image.push(few), image)
            #expect(!report.isSuccess && report.errorReason?.contains("signatureThreshold") == true)
        }
        // Identities: one signer that two of them accept is one signer.
        let pattern = CertificateIdentity(
            name: .matching(try .init("https://example\\.org/.*")), issuer: TestInstance.identity.issuer)
        var thresholds = CosignTrustPolicy.Thresholds()
        thresholds.signatures = 2
        let keyless = try TestVerifier(
            [try .keyless([pattern, TestInstance.identity], thresholds: thresholds)], root: try instance.root())
        var other = TestInstance.Options()
        other.leaf.subject = "https://example.org/second"
        let first = try layer(image, TestInstance.Options())
        let second = try layer(image, TestInstance.Options(), annotations: ["n": 1])
        let third = try layer(image, other)
        #expect(try await !keyless.report(try await image.push([first, second]), image).isSuccess)
        for both in [[first, third], [third, first]] {
            #expect(try await keyless.report(try await image.push(both), image).isSuccess)
        }
        // A bundle has one signature.
        let bundle = try await image.push(bundle: try instance.signImage(TestInstance.Options(), image.digest).bytes)
        #expect(try await !keyless.report(bundle, image).isSuccess)
    }

    // MARK: What policies ask for

    @Test func annotations() async throws {
        let image = try await TestImage()
        let key = try PrivateKey.generate(.ec(.p256))
        let verifier = try TestVerifier([try .keys(annotations: ["stage": "release"])], keys: [key.publicKey])
        for (signed, passes): (JSONValue, Bool) in [
            (["stage": "release", "n": 1], true), (["stage": "test"], false), (.null, false),
            (["Stage": "release"], false),
        ] {
            let artifact = try await image.push([try layer(image, options(key), annotations: signed)])
            #expect(try await verifier.report(artifact, image).isSuccess == passes, "\(signed)")
        }
        // Annotations of the layer are signed by nobody.
        var layer = try layer(image, options(key))
        layer.annotations["stage"] = "release"
        let report = try await verifier.report(try await image.push([layer]), image)
        #expect(!report.isSuccess && report.remediation?.contains("cosign sign -a") == true)
    }

    @Test func thresholds() async throws {
        let image = try await TestImage()
        var signing = TestInstance.Options()
        signing.timestamps = 1
        let artifact = try await image.push([try layer(image, signing)])
        func passes(_ change: (inout CosignTrustPolicy.Thresholds) -> Void) async throws -> Bool {
            var thresholds = CosignTrustPolicy.Thresholds()
            change(&thresholds)
            let verifier = try TestVerifier([try .keyless(thresholds: thresholds)], root: try instance.root())
            return try await verifier.report(artifact, image).isSuccess
        }
        #expect(try await passes { _ in })
        #expect(try await passes { $0.timestamps = 1 })
        #expect(try await passes { $0.logs = 0 })
        #expect(try await !passes { $0.timestamps = 2 })
        #expect(try await !passes { $0.logs = 2 })
        #expect(try await !passes { $0.certificateLogs = 2 })
    }

    @Test func unloggedCertificate() async throws {
        let image = try await TestImage()
        var signing = TestInstance.Options()
        signing.logs = []
        let verifier = try TestVerifier([try .keyless()], root: try instance.root())
        let layer = try await image.push([try layer(image, signing)])
        #expect(try await !verifier.report(layer, image).isSuccess)
        signing.timestamps = 1
        let stamped = try await verifier.report(
            try await image.push([try self.layer(image, signing)]), image)
        #expect(!stamped.isSuccess && stamped.failureClass == .transparency)
        signing = TestInstance.Options()
        signing.isCertificateLogged = false
        let promised = try await verifier.report(try await image.push([try self.layer(image, signing)]), image)
        #expect(!promised.isSuccess && promised.failureClass == .transparency)
    }

    @Test func onlyOneLogCounts() async throws {
        let image = try await TestImage()
        let logged = try await image.push([try layer(image, TestInstance.Options())])
        func verifier(_ url: String) throws -> TestVerifier {
            try TestVerifier([try .keyless(logURL: url)], root: try instance.root())
        }
        #expect(try await verifier("https://\(instance.rekorHost)").report(logged, image).isSuccess)
        #expect(try await verifier("HTTPS://\(instance.rekorHost)/").report(logged, image).isSuccess)
        let report = try await verifier("https://\(instance.rekor2Host)").report(logged, image)
        #expect(!report.isSuccess)
        // One that the trusted root does not have is nobody's fault but the operator's.
        let unknown = try verifier("https://rekor.nowhere.example")
        let fault = try await unknown.fault(logged, image)
        #expect(fault.isConfiguration && fault.cause.contains("trustedRoot"))
        #expect(unknown.definition.unusableStores(in: unknown.trusted).first?.contains("rekor.nowhere.example") == true)
    }
}
