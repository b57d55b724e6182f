import Testing

@testable import Verification

@Suite struct ConfigPolicyTests {
    typealias Evidence = PolicyEvidence
    static let notation = "application/vnd.cncf.notary.signature"
    static let sbom = "application/spdx+json"

    private func evidence(_ results: [Bool?], _ type: String = notation) -> [PolicyEvidence] {
        results.map { PolicyEvidence(artifactType: type, isSuccess: $0) }
    }

    @Test func nothingIsNeverEnough() {
        #expect(ConfigPolicy().verdict(on: []) == .failure)
        #expect(ConfigPolicy(defaultRule: .any).verdict(on: []) == .failure)
        #expect(ConfigPolicy(rules: [Self.notation: .any]).verdict(on: []) == .failure)
    }

    @Test(
        arguments: [
            ([true], PolicyVerdict.success), ([false], .failure), ([nil], .undecided), ([false, true], .success),
            ([nil, true], .success), ([nil, false], .undecided), ([false, false], .failure),
        ] as [([Bool?], PolicyVerdict)])
    func anyNeedsOneSuccess(results: [Bool?], expected: PolicyVerdict) {
        #expect(ConfigPolicy(rules: [Self.notation: .any]).verdict(on: evidence(results)) == expected)
        #expect(ConfigPolicy(defaultRule: .any).verdict(on: evidence(results)) == expected)
    }

    @Test(
        arguments: [
            ([true], PolicyVerdict.success), ([true, true], .success), ([true, false], .failure),
            ([nil, true], .undecided),
            ([nil, false], .failure), ([nil], .undecided),
        ] as [([Bool?], PolicyVerdict)])
    func allNeedsEverySuccess(results: [Bool?], expected: PolicyVerdict) {
        #expect(ConfigPolicy(rules: [Self.notation: .all]).verdict(on: evidence(results)) == expected)
        #expect(ConfigPolicy().verdict(on: evidence(results)) == expected)
    }

    @Test func aNamedTypeMustBeThere() {
        let policy = ConfigPolicy(rules: [Self.notation: .any, Self.sbom: .all])
        #expect(policy.verdict(on: evidence([true])) == .failure)
        #expect(policy.verdict(on: evidence([true]) + evidence([true], Self.sbom)) == .success)
    }

    @Test func aTypeThatFailsDecidesOverOneThatIsHidden() {
        let policy = ConfigPolicy(rules: [Self.notation: .any, Self.sbom: .all])
        #expect(policy.verdict(on: evidence([nil]) + evidence([false], Self.sbom)) == .failure)
        #expect(policy.verdict(on: evidence([nil]) + evidence([true], Self.sbom)) == .undecided)
    }

    /// No combination admits without a success, and none admits under `all` with a failure or a gap.
    @Test func neverAdmitsWithoutASuccess() {
        let values: [Bool?] = [true, false, nil]
        for first in values {
            for second in values {
                for third in values {
                    let results = [first, second, third]
                    if ConfigPolicy(defaultRule: .any).verdict(on: evidence(results)) == .success {
                        #expect(results.contains(true))
                    }
                    if ConfigPolicy().verdict(on: evidence(results)) == .success {
                        #expect(results.allSatisfy { $0 == true })
                    }
                }
            }
        }
    }
}
