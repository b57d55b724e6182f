import StrictJSON
import TestSupport
import Testing

@testable import Verification

/// A decision keeps what answers are made of, and no more; the answers are those that all reports make.
@Suite struct DecisionTests {
    private func report(
        _ number: Int, isSuccess: Bool = false, reason: String? = nil, isAboutImage: Bool = false
    ) -> VerifierReport {
        VerifierReport(
            subject: "r.example/app", isSuccess: isSuccess, verifierName: "notation",
            referenceDigest: isAboutImage ? nil : "sha256:\(number)", message: "looked at", errorReason: reason,
            remediation: "do \(number)")
    }

    private func decision(_ reports: [VerifierReport], isSuccess: Bool = false) -> Decision {
        Decision(isSuccess: isSuccess, reference: "r.example/app", digest: nil, reports: reports)
    }

    /// The answer of all reports, as it was made when a decision had them all.
    private func answer(_ reports: [VerifierReport]) -> [UInt8] {
        let failed = reports.count { !$0.isSuccess && $0.referenceDigest != nil }
        guard failed > 10 else { return JSONValue.array(reports.map(\.json)).bytes }
        var room = 10
        var kept = reports.filter { report in
            guard !report.isSuccess, report.referenceDigest != nil else { return true }
            room -= 1
            return room >= 0
        }
        kept.append(
            VerifierReport(
                subject: "r.example/app", isSuccess: false, message: "failed to verify artifact: r.example/app",
                errorReason: "\(failed - 10) more checks failed; countersign inspect shows them all",
                remediation: "Delete signatures that are no longer of use from the repository"))
        return JSONValue.array(kept.map(\.json)).bytes
    }

    private func reasons(_ reports: [VerifierReport]) -> [String] {
        reports.reduce(into: []) { reasons, report in
            let reason = report.errorReason ?? report.message
            if !report.isSuccess, !reasons.contains(reason) { reasons.append(reason) }
        }
    }

    /// What the policy takes to read an answer is not for those to choose who push signatures.
    @Test func anAnswerHasTenReportsOfFailuresAtMost() throws {
        let about = VerifierReport(subject: "r.example/app", isSuccess: false, message: "of the image as a whole")
        let decision = decision(
            (0..<60).map { report($0) } + [report(60, isSuccess: true), about], isSuccess: true)
        let answer = try #require(try StrictJSON.parse(decision.reportsJSON).array)
        #expect(answer.count == 13)
        #expect(answer.count { $0["isSuccess"]?.bool == true } == 1, "all that passed are there")
        #expect(answer.contains { $0["message"]?.string == "of the image as a whole" })
        #expect(answer.last?["errorReason"]?.string?.contains("50 more checks failed") == true)
        // Nor what is remembered of it.
        #expect(decision.reports.count == 12)
        #expect(decision.leftOut == Decision.LeftOut(reports: 50, reasons: 0))
    }

    @Test(arguments: UInt64(0)..<400) func answersAreThoseOfAllReports(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let reasons = ["a", "b", "c", "d", "e", nil].shuffled(using: &generator).prefix(
            .random(in: 1...6, using: &generator))
        let all = (0..<Int.random(in: 1...60, using: &generator)).map { number in
            var report = report(
                number, isSuccess: Int.random(in: 0..<8, using: &generator) == 0,
                reason: reasons.randomElement(using: &generator) ?? nil,
                isAboutImage: Int.random(in: 0..<8, using: &generator) == 0)
            if !report.isSuccess, report.referenceDigest != nil {
                report.isUndetermined = Int.random(in: 0..<20, using: &generator) == 0
                let isContradiction = Int.random(in: 0..<20, using: &generator) == 0
                report.failureClass =
                    isContradiction ? .contradiction : [.signature, .revocation].randomElement(using: &generator)
            }
            return report
        }
        let decision = decision(all)
        #expect(decision.reportsJSON == answer(all))
        #expect(decision.reports.filter(\.isSuccess) == all.filter(\.isSuccess), "all that passed stay")
        #expect(decision.reports.count { !$0.isSuccess && $0.referenceDigest != nil } <= 13)
        #expect(decision.reports.count + decision.leftOut.reports == all.count)
        #expect(decision.reports.first { !$0.isSuccess } == all.first { !$0.isSuccess })
        #expect(decision.reports.first(where: \.isUndetermined) == all.first(where: \.isUndetermined))
        #expect(decision.contradictsDescriptor == all.contains { $0.failureClass == .contradiction })
        #expect(decision.reason == all.first { !$0.isSuccess }?.reason)
        #expect(self.reasons(decision.reports).prefix(3) == self.reasons(all).prefix(3))
        #expect(self.reasons(decision.reports).count + decision.leftOut.reasons == self.reasons(all).count)
        // By way of another replica, and as one that stands in for a fault, it says the same.
        let shared = try #require(Decision(sharedForm: try StrictJSON.parse(decision.sharedForm.bytes)))
        #expect(shared.reportsJSON == decision.reportsJSON && shared.leftOut == decision.leftOut)
        #expect(shared.failureClass == decision.failureClass && shared.isStale == decision.isStale)
        let again = Decision(
            isSuccess: decision.isSuccess, reference: decision.reference, digest: nil, reports: decision.reports,
            leftOut: decision.leftOut)
        #expect(again.reports == decision.reports && again.leftOut == decision.leftOut)
        #expect(again.reportsJSON == decision.reportsJSON)
    }

    /// The words that dashboards ask for (docs/metrics.md).
    @Test func refusalsAreCountedByTheseWords() {
        #expect(
            Set(FailureClass.allCases.map(\.label)) == [
                "unsigned", "not found", "registry", "trust policy", "integrity", "authenticity", "authenticTimestamp",
                "expiry", "revocation", "transparency", "signature", "policy",
            ])
    }

    /// What is no word of ours is no decision of a replica of this version.
    @Test func aSharedDecisionWithAnotherWordIsNone() throws {
        var report = report(1)
        report.failureClass = .revocation
        let text = String(decoding: decision([report]).sharedForm.bytes, as: UTF8.self)
        func read(_ text: String) throws -> Decision? { Decision(sharedForm: try StrictJSON.parse(Array(text.utf8))) }
        #expect(try read(text)?.failureClass == .revocation)
        for other in [#""revoked""#, "1", "null"] {
            #expect(try read(text.replacing(#""revocation""#, with: other)) == nil)
        }
    }

    /// Details are the command line's alone, and those of all reports.
    @Test func detailsAreOfAllReports() {
        let all = (0..<50).map { number in
            var report = report(number)
            report.details = .number(String(number))
            return report
        }
        let decision = decision(all)
        #expect(decision.details == (0..<50).map { .number(String($0)) })
        #expect(decision.withoutDetails.details.isEmpty)
        #expect(decision.withoutDetails.reportsJSON == decision.reportsJSON)
    }

    @Test(
        arguments: [
            ["reports": 1], ["reports": -1, "reasons": 0], ["reports": 0, "reasons": -1],
            ["reports": "1", "reasons": 0],
            .array([]), .null, nil,
        ] as [JSONValue?]) func whatIsSharedWithoutWhatWasLeftOutIsNone(leftOut: JSONValue?) throws
    {
        var object = try #require(decision((0..<20).map { report($0) }).sharedForm.object)
        #expect(Decision(sharedForm: .object(object)) != nil)
        object["leftOut"] = leftOut
        #expect(Decision(sharedForm: .object(object)) == nil)
    }
}
