import Testing

@testable import Verification

@Suite struct ConfigPolicyTests {
    typealias Evidence = PolicyEvidence
    static let notation = "application/vnd.cncf.notary.signature"
    static let sbom = "application/spdx+json"

    private func evidence(_ results: [Bool?], _ type: String = notation) -> [PolicyEvidence] {
        results.map { PolicyEvidence(artifactType: type, isSuccess: $0) }
    }

    /// What one verifier of all types found.
    private func found(_ outcomes: [PolicyEvidence]) -> [VerifierEvidence] {
        [VerifierEvidence(artifactTypes: ["*"], outcomes: outcomes)]
    }

    @Test func nothingIsNeverEnough() {
        #expect(ConfigPolicy().verdict(on: found([])) == .failure)
        #expect(ConfigPolicy(defaultRule: .any).verdict(on: found([])) == .failure)
        #expect(ConfigPolicy().verdict(on: []) == .failure)
        #expect(ConfigPolicy(rules: [Self.notation: .any]).verdict(on: found([])) == .failure)
    }

    @Test(
        arguments: [
            ([true], PolicyVerdict.success), ([false], .failure), ([nil], .undecided), ([false, true], .success),
            ([nil, true], .success), ([nil, false], .undecided), ([false, false], .failure),
        ] as [([Bool?], PolicyVerdict)])
    func anyNeedsOneSuccess(results: [Bool?], expected: PolicyVerdict) {
        #expect(ConfigPolicy(rules: [Self.notation: .any]).verdict(on: found(evidence(results))) == expected)
        #expect(ConfigPolicy(defaultRule: .any).verdict(on: found(evidence(results))) == expected)
    }

    @Test(
        arguments: [
            ([true], PolicyVerdict.success), ([true, true], .success), ([true, false], .failure),
            ([nil, true], .undecided),
            ([nil, false], .failure), ([nil], .undecided),
        ] as [([Bool?], PolicyVerdict)])
    func allNeedsEverySuccess(results: [Bool?], expected: PolicyVerdict) {
        #expect(ConfigPolicy(rules: [Self.notation: .all]).verdict(on: found(evidence(results))) == expected)
        #expect(ConfigPolicy().verdict(on: found(evidence(results))) == expected)
    }

    @Test func aNamedTypeMustBeThere() {
        let policy = ConfigPolicy(rules: [Self.notation: .any, Self.sbom: .all])
        #expect(policy.verdict(on: found(evidence([true]))) == .failure)
        #expect(policy.verdict(on: found(evidence([true]) + evidence([true], Self.sbom))) == .success)
    }

    @Test func aTypeThatFailsDecidesOverOneThatIsHidden() {
        let policy = ConfigPolicy(rules: [Self.notation: .any, Self.sbom: .all])
        #expect(policy.verdict(on: found(evidence([nil]) + evidence([false], Self.sbom))) == .failure)
        #expect(policy.verdict(on: found(evidence([nil]) + evidence([true], Self.sbom))) == .undecided)
    }

    /// No combination admits without a success, and none admits under `all` with a failure or a gap.
    @Test func neverAdmitsWithoutASuccess() {
        let values: [Bool?] = [true, false, nil]
        for first in values {
            for second in values {
                for third in values {
                    let results = [first, second, third]
                    if ConfigPolicy(defaultRule: .any).verdict(on: found(evidence(results))) == .success {
                        #expect(results.contains(true))
                    }
                    if ConfigPolicy().verdict(on: found(evidence(results))) == .success {
                        #expect(results.allSatisfy { $0 == true })
                    }
                }
            }
        }
    }

    // MARK: Several verifiers

    private func verifier(_ types: [String], _ outcomes: [PolicyEvidence]) -> VerifierEvidence {
        VerifierEvidence(artifactTypes: types, outcomes: outcomes)
    }

    private func waived(_ types: [String]) -> VerifierEvidence {
        VerifierEvidence(artifactTypes: types, isWaived: true, outcomes: [])
    }

    /// Whatever others found or waived, a verifier that found nothing has failed.
    @Test(arguments: [ConfigPolicy.Rule.any, .all]) func eachVerifierMustFindSomething(rule: ConfigPolicy.Rule) {
        for policy in [ConfigPolicy(defaultRule: rule), ConfigPolicy(rules: [Self.notation: rule])] {
            let empty = verifier([Self.notation], [])
            for other in [
                waived([Self.notation]), waived(["*"]), verifier([Self.notation], evidence([true])),
                verifier(["*"], evidence([true])),
            ] {
                #expect(policy.verdict(on: [other, empty]) == .failure)
                #expect(policy.verdict(on: [empty, other]) == .failure)
            }
            #expect(policy.verdict(on: [waived([Self.notation]), waived([Self.notation])]) == .success)
            let good = verifier([Self.notation], evidence([true]))
            #expect(policy.verdict(on: [good, waived([Self.notation])]) == .success)
            #expect(policy.verdict(on: [good, good]) == .success)
            #expect(policy.verdict(on: [good, verifier([Self.notation], evidence([false]))]) == .failure)
            #expect(policy.verdict(on: [good, verifier([Self.notation], evidence([nil]))]) == .undecided)
        }
    }

    @Test func aNamedTypeThatNobodyJudgesIsNeverThere() {
        let policy = ConfigPolicy(rules: [Self.sbom: .any], defaultRule: .any)
        #expect(policy.verdict(on: [verifier([Self.notation], evidence([true]))]) == .failure)
        #expect(policy.verdict(on: [waived([Self.notation])]) == .failure)
        #expect(policy.verdict(on: [waived([Self.sbom])]) == .success)
    }

    /// The waiver of one verifier does not bring what another one is asked for.
    @Test func aNamedTypeIsMissedByEachVerifierThatJudgesIt() {
        let policy = ConfigPolicy(rules: [Self.sbom: .any], defaultRule: .any)
        let both = verifier([Self.notation, Self.sbom], evidence([true]))
        #expect(policy.verdict(on: [both, waived([Self.sbom])]) == .failure)
        #expect(
            policy.verdict(on: [
                verifier([Self.notation, Self.sbom], evidence([true]) + evidence([true], Self.sbom)),
                waived([Self.sbom]),
            ]) == .success)
    }

    @Test func whatCannotJudgeNowLeavesTheVerdictOpen() {
        let degraded = VerifierEvidence(artifactTypes: [Self.notation], isDegraded: true, outcomes: [])
        let policy = ConfigPolicy(defaultRule: .any)
        #expect(policy.verdict(on: [degraded]) == .undecided)
        #expect(policy.verdict(on: [degraded, waived(["*"])]) == .undecided)
        #expect(policy.verdict(on: [verifier([Self.notation], []), degraded]) == .failure)
    }
}
