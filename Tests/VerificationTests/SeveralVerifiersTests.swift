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

    /// What a verifier does not judge is neither for the image nor against it.
    @Test func whatIsNotJudgedCountsForNothing() async throws {
        let artifacts = ["signature", "attestation"].map { ScriptedStore.signature($0) }
        for policy in Self.policies {
            let good = verifier("a", ["signature": ScriptedVerifier.good(), "attestation": .notJudged])
            let admitted = try decision(await run(artifacts, [good], policy))
            #expect(admitted.isSuccess && admitted.reports.count == 1)
            let bad = verifier("a", ["signature": ScriptedVerifier.bad(), "attestation": .notJudged])
            #expect(try !decision(await run(artifacts, [bad], policy)).isSuccess)
            let nothing = verifier("a", ["signature": .notJudged, "attestation": .notJudged])
            let unsigned = try decision(await run(artifacts, [nothing], policy))
            #expect(!unsigned.isSuccess && unsigned.failureClass == .unsigned)
            #expect(unsigned.reason?.hasPrefix("no signature is associated with") == true)
            // It helps no other verifier either.
            let both = try decision(
                await run(
                    artifacts, [good, verifier("b", ["signature": .notJudged, "attestation": .notJudged])], policy))
            #expect(!both.isSuccess)
        }
        let hidden = verifier("a", ["signature": ScriptedVerifier.fault, "attestation": .notJudged])
        guard case .fault = try await run(artifacts, [hidden], ConfigPolicy()) else {
            return #expect(Bool(false), "a fault was decided")
        }
    }

    /// Types that count as one are one for the policy, and the others' names are for nothing that it can ask for.
    @Test func typesThatCountAsOne() async throws {
        let other = "application/vnd.example.other"
        var counting = verifier("a", ["good": ScriptedVerifier.good()], types: [ScriptedStore.signatureType, other])
        counting.counted = [other: ScriptedStore.signatureType]
        let artifact = ScriptedStore.signature("good", type: other)
        for policy in Self.policies { #expect(try decision(await run([artifact], [counting], policy)).isSuccess) }
        let policy = ConfigPolicy(rules: [other: .any], defaultRule: .any)
        #expect(try !decision(await run([artifact], [counting], policy)).isSuccess)
        counting.counted = [:]
        #expect(try decision(await run([artifact], [counting], policy)).isSuccess)
    }

    /// What holds for a tag alone stands in for nothing that is asked for by digest while the registry is down.
    @Test(arguments: [true, false]) func admissionsBoundToATag(_ isBound: Bool) async throws {
        let artifact = ScriptedStore.signature("good")
        var report = VerifierReport(subject: "r.example/a:v1", isSuccess: true, message: "good")
        report.isBoundToTag = isBound
        let verified = VerifiedImages()
        func service(_ store: ScriptedStore) -> PipelineService {
            let snapshot = ConfigurationSnapshot(
                generation: 1, stores: [store],
                verifiers: [verifier("a", ["good": .judged(report, validUntil: nil)])], policy: ConfigPolicy(),
                settings: ServiceSettings(staleIfError: .seconds(600)))
            return PipelineService(
                source: PipelineServiceTests.Source(current: .success(snapshot)),
                cache: DecisionCache(timeToLive: .zero), metrics: MetricsRegistry(), verified: verified)
        }
        let up = service(ScriptedStore(listing: .success([artifact])))
        guard
            case .decided(let decision) = try await up.verify(
                ImageKey(parsing: "r.example/a:v1"), deadline: .now + .seconds(5))
        else { return #expect(Bool(false), "not decided") }
        #expect(decision.isSuccess)
        let down = service(
            ScriptedStore(resolution: .failure(RegistryError(.unavailable, host: "r.example", detail: "down"))))
        let answer = try await down.verify(
            ImageKey(parsing: "r.example/a@\(ScriptedStore.image.digest)"), deadline: .now + .seconds(5))
        switch answer {
        case .decided(let stale): #expect(!isBound && stale.isSuccess && stale.isStale)
        default: #expect(isBound, "\(answer)")
        }
    }

    @Test func withoutVerifiersNothingIsAdmitted() async throws {
        for policy in Self.policies + [ConfigPolicy(rules: [:], defaultRule: .any)] {
            let decision = try decision(await run([ScriptedStore.signature("good")], [], policy))
            #expect(!decision.isSuccess && !decision.reports.isEmpty)
        }
    }
}
