import ConfigurationModel
import OCI
import PKI
import ServiceMetrics
import Sigstore
import SigstoreTestSupport
import TestSupport
import Testing
import Verification

@testable import CosignVerifier

/// Whole verdicts on images: what counts, as what, and what does not.
@Suite struct CosignPipelineTests {
    static let provenance = "https://slsa.dev/provenance/v1"
    let instance: TestInstance

    init() throws { instance = try TestInstance() }

    private func decision(
        _ image: TestImage, _ verifier: TestVerifier, _ policy: ConfigPolicy = ConfigPolicy()
    ) async throws -> Decision {
        let snapshot = ConfigurationSnapshot(
            generation: 1, stores: [image], verifiers: [verifier.verifier], policy: policy, settings: ServiceSettings())
        let result = await Pipeline(snapshot: snapshot, metrics: MetricsRegistry())
            .run(image.reference, deadline: TestImage.soon)
        guard case .decided(let decision, _) = result else { throw Unexpected(text: "\(result)") }
        return decision
    }

    private static let policies = [
        ConfigPolicy(), ConfigPolicy(defaultRule: .any), ConfigPolicy(rules: [CosignMediaType.signatureArtifact: .any]),
        ConfigPolicy(rules: [CosignMediaType.signatureArtifact: .all], defaultRule: .any),
    ]

    @Test func anImageWithNothingButAttestations() async throws {
        let image = try await TestImage()
        let verifier = try TestVerifier([try .keyless()], root: try instance.root())
        for policy in Self.policies {
            let bare = try await decision(image, verifier, policy)
            #expect(!bare.isSuccess && bare.failureClass == .unsigned)
        }
        for type in [Self.provenance, "https://spdx.dev/Document"] {
            let bundle = try instance.signImage(TestInstance.Options(), image.digest, predicateType: type)
            _ = try await image.push(bundle: bundle.bytes)
        }
        for policy in Self.policies {
            let decision = try await decision(image, verifier, policy)
            #expect(!decision.isSuccess && decision.failureClass == .unsigned)
            #expect(decision.reason?.hasPrefix("no signature is associated with") == true)
            #expect(decision.reports.first?.remediation?.contains("cosign sign") == true)
        }
    }

    /// Attestations beside a signature count neither for it nor against it; a bad signature does.
    @Test func attestationsBesideASignature() async throws {
        let verifier = try TestVerifier([try .keyless()], root: try instance.root())
        for isBundle in [true, false] {
            let image = try await TestImage()
            let bundle = try instance.signImage(TestInstance.Options(), image.digest, predicateType: Self.provenance)
            _ = try await image.push(bundle: bundle.bytes)
            if isBundle {
                _ = try await image.push(bundle: try instance.signImage(TestInstance.Options(), image.digest).bytes)
            } else {
                _ = try await image.push([
                    try instance.signLayer(TestInstance.Options(), payload: TestInstance.payload(image.digest))
                ])
            }
            for policy in Self.policies {
                let decision = try await decision(image, verifier, policy)
                #expect(decision.isSuccess && decision.reports.count == 1, "\(policy)")
            }
            _ = try await image.push(
                bundle: try TestInstance("other").signImage(TestInstance.Options(), image.digest).bytes)
            for policy in Self.policies {
                let isAny = policy.rules[CosignMediaType.signatureArtifact] ?? policy.defaultRule == .any
                #expect(try await decision(image, verifier, policy).isSuccess == isAny, "\(policy)")
            }
        }
    }

    /// A policy that names the type of bundles asks for what no verifier counts as that.
    @Test func bothFormsAreOneType() async throws {
        let image = try await TestImage()
        let verifier = try TestVerifier([try .keyless()], root: try instance.root())
        _ = try await image.push(bundle: try instance.signImage(TestInstance.Options(), image.digest).bytes)
        let policy = ConfigPolicy(rules: [CosignMediaType.bundle: .any], defaultRule: .any)
        #expect(try await !decision(image, verifier, policy).isSuccess)
        let snapshot = ConfigurationSnapshot(
            generation: 1, stores: [image], verifiers: [verifier.verifier], policy: policy, settings: ServiceSettings())
        #expect(snapshot.unjudgedTypes.count == 1)
    }

    @Test func noPolicyFits() async throws {
        let image = try await TestImage()
        let key = try PrivateKey.generate(.ec(.p256))
        var options = TestInstance.Options()
        options.managedKey = key
        options.logs = []
        _ = try await image.push([try instance.signLayer(options, payload: TestInstance.payload(image.digest))])
        let verifier = try TestVerifier([try .keys(scopes: ["registry.example/other/*"])], keys: [key.publicKey])
        let denied = try await decision(image, verifier)
        #expect(!denied.isSuccess && denied.failureClass == .trustPolicy)
        #expect(denied.reason?.contains("no trust policy") == true)
        let fitting = try TestVerifier([try .keys(scopes: ["registry.example/team/*"])], keys: [key.publicKey])
        #expect(try await decision(image, fitting).isSuccess)
    }

    @Test func detailsAreForTheCommandLine() async throws {
        let image = try await TestImage()
        _ = try await image.push(bundle: try instance.signImage(TestInstance.Options(), image.digest).bytes)
        let verifier = try TestVerifier([try .keyless()], root: try instance.root(), keepsDetails: true)
        let details = try await decision(image, verifier).details
        let steps = details.first?["signatures"]?.array?.first?["steps"]?.array ?? []
        #expect(steps.count == VerificationStep.allCases.count)
        #expect(steps.allSatisfy { $0["result"]?.string == "passed" })
    }
}
