import OCI
import Testing

@testable import ConfigurationModel
@testable import ServiceMetrics
@testable import Verification

/// Several verifiers in one configuration: each speaks for itself alone.
@Suite struct SeveralVerifiersTests {
    static let sbom = "application/spdx+json"

    private func run(
        _ artifacts: [Descriptor], _ verifiers: [ScriptedVerifier], _ policy: ConfigPolicy, maximumArtifacts: Int = 100
    ) async throws -> PipelineResult {
        let snapshot = ConfigurationSnapshot(
            generation: 1, stores: [ScriptedStore(listing: .success(artifacts))], verifiers: verifiers, policy: policy,
            settings: ServiceSettings(), maximumArtifacts: maximumArtifacts)
        return await Pipeline(snapshot: snapshot, metrics: MetricsRegistry())
            .run(try ImageReference(parsing: "r.example/a:v1"), deadline: .now + .seconds(5))
    }

    private func decision(_ result: PipelineResult) throws -> Decision {
        guard case .decided(let decision, _) = result else {
            Issue.record("not decided: \(result)")
            throw CancellationError()
        }
        return decision
    }

    /// A verifier that answers by the artifacts' texts.
    private func verifier(
        _ name: String, _ outcomes: [String: ArtifactOutcome] = [:], types: [String] = [ScriptedStore.signatureType],
        skips: Bool = false
    ) -> ScriptedVerifier {
        var verifier = ScriptedVerifier(name: name, artifactTypes: types, skips: skips)
        for (text, outcome) in outcomes {
            for type in types { verifier.outcomes[ScriptedStore.signature(text, type: type).digest] = outcome }
        }
        return verifier
    }

    private static let policies = [
        ConfigPolicy(defaultRule: .any), ConfigPolicy(defaultRule: .all),
        ConfigPolicy(rules: [ScriptedStore.signatureType: .any]),
        ConfigPolicy(rules: [ScriptedStore.signatureType: .all]),
    ]

    @Test func aWaiverDoesNotAdmitWhatAnotherVerifierMisses() async throws {
        for policy in Self.policies {
            for isFirst in [true, false] {
                let strict = verifier("strict")
                let waiving = verifier("waiving", skips: true)
                let decision = try decision(await run([], isFirst ? [strict, waiving] : [waiving, strict], policy))
                #expect(!decision.isSuccess)
                #expect(decision.reason?.hasPrefix("no signature is associated with") == true)
                #expect(decision.reason?.contains("\"strict\"") == true)
                let own = try #require(decision.reports.first { $0.verifierName == "strict" })
                #expect(!own.isSuccess && own.referenceDigest == nil)
                #expect(decision.failureClass == .unsigned)
            }
        }
    }

    /// Whoever strips a bad signature gains nothing, and a verifier that waives is not asked about it.
    @Test func aWaiverDoesNotAdmitABadSignature() async throws {
        let signature = ScriptedStore.signature("bad")
        for policy in Self.policies {
            for isFirst in [true, false] {
                let strict = verifier("strict", ["bad": ScriptedVerifier.bad()])
                let waiving = verifier("waiving", ["bad": ScriptedVerifier.good()], skips: true)
                let order = isFirst ? [strict, waiving] : [waiving, strict]
                #expect(try !decision(await run([signature], order, policy)).isSuccess)
            }
        }
    }

    @Test func aWaiverLeavesAGoodSignatureOfAnotherVerifierAlone() async throws {
        let signature = ScriptedStore.signature("good")
        for policy in Self.policies {
            let strict = verifier("strict", ["good": ScriptedVerifier.good()])
            let decision = try decision(
                await run([signature], [verifier("waiving", skips: true), strict], policy))
            #expect(decision.isSuccess)
            #expect(decision.reports.count == 2)
        }
    }

    /// "Signed by both", which docs/policies.md promises of two verifiers.
    @Test func everyVerifierOfATypeIsAsked() async throws {
        let artifacts = ["by build", "by release"].map { ScriptedStore.signature($0) }
        let build = verifier(
            "build", ["by build": ScriptedVerifier.good(), "by release": ScriptedVerifier.bad()])
        let release = verifier(
            "release", ["by build": ScriptedVerifier.bad(), "by release": ScriptedVerifier.good()])
        let policy = ConfigPolicy(defaultRule: .any)
        let both = try decision(await run(artifacts, [build, release], policy))
        #expect(both.isSuccess)
        #expect(both.reports.count == 4)
        for artifact in artifacts {
            for order in [[build, release], [release, build]] {
                let decision = try decision(await run([artifact], order, policy))
                #expect(!decision.isSuccess)
                #expect(decision.reason == "why")
                #expect(decision.reports.count == 2)
            }
        }
        #expect(try !decision(await run(artifacts, [build, release], ConfigPolicy())).isSuccess)
    }

    @Test func aVerifierOfAnotherTypeMissesItsArtifact() async throws {
        let signature = ScriptedStore.signature("good")
        let good = verifier("notation", ["good": ScriptedVerifier.good()])
        let sbom = verifier("sbom", types: [Self.sbom])
        for policy in Self.policies {
            let decision = try decision(await run([signature], [good, sbom], policy))
            #expect(!decision.isSuccess)
            #expect(decision.reason?.contains("no artifact of type \(Self.sbom)") == true)
        }
    }

    @Test func aTypeThatThePolicyNamesAndNobodyJudgesIsSaid() async throws {
        let policy = ConfigPolicy(rules: [Self.sbom: .any], defaultRule: .any)
        let waived = try decision(await run([], [verifier("waiving", skips: true)], policy))
        #expect(!waived.isSuccess)
        #expect(waived.reason?.contains("no verifier judges that type") == true)
        let signed = try decision(
            await run([ScriptedStore.signature("good")], [verifier("a", ["good": ScriptedVerifier.good()])], policy))
        #expect(!signed.isSuccess)
        #expect(signed.reason?.contains(Self.sbom) == true)
    }

    @Test func whatWasNotLookedAtCountsAgainstEachVerifier() async throws {
        let artifacts = (0..<5).map { ScriptedStore.signature("\($0)") }
        let outcomes = Dictionary(uniqueKeysWithValues: (0..<5).map { ("\($0)", ScriptedVerifier.good()) })
        let verifiers = [verifier("a", outcomes), verifier("b", outcomes)]
        #expect(try !decision(await run(artifacts, verifiers, ConfigPolicy(), maximumArtifacts: 4)).isSuccess)
        #expect(
            try decision(
                await run(artifacts, verifiers, ConfigPolicy(defaultRule: .any), maximumArtifacts: 4)
            ).isSuccess)
    }

    @Test func withoutVerifiersNothingIsAdmitted() async throws {
        for policy in Self.policies + [ConfigPolicy(rules: [:], defaultRule: .any)] {
            let decision = try decision(await run([ScriptedStore.signature("good")], [], policy))
            #expect(!decision.isSuccess && !decision.reports.isEmpty)
        }
    }
}
