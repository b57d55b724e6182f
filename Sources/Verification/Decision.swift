import OCI
import StrictJSON

/// A definite verdict about an image: what the policy made of the reports. A verdict is about a digest; a tag was
/// resolved once, and the digest that was judged is kept here.
package struct Decision: Sendable, Hashable {
    /// The version of the answer's shape that Ratify's `config-policy` announces.
    package static let configPolicyVersion = "0.2.0"

    /// Whether the image may run.
    package let isSuccess: Bool
    /// The image as it was asked for, without a namespace prefix.
    package let reference: String
    /// The digest that was judged; `nil` when the image does not exist, or the policy asked for no look.
    package let digest: Digest?
    /// One report for every artifact that was looked at; never empty.
    package let reports: [VerifierReport]
    /// `reports` as JSON text, made once: one decision answers many requests.
    package let reportsJSON: [UInt8]

    /// What it rests on, for meters: one of a few words.
    package let reasonClass: String

    /// A verdict.
    package init(isSuccess: Bool, reference: String, digest: Digest?, reports: [VerifierReport]) {
        self.isSuccess = isSuccess
        self.reference = reference
        self.digest = digest
        self.reports = reports
        self.reasonClass =
            isSuccess
            ? reports.contains { $0.extensions["stale"] != nil } ? "stale" : "verified"
            : reports.first { !$0.isSuccess }?.failureClass ?? "policy"
        self.reportsJSON = JSONValue.array(Decision.answered(reports).map(\.json)).bytes
    }

    /// So many reports on artifacts that failed are in an answer. Who pushes signatures that do not verify chooses how many
    /// there are; what the policy takes to read an answer must not be theirs to choose (docs/limits.md, "Time of a review").
    package static let maximumFailedReports = 10

    /// The reports of an answer: all that passed, those about the image as a whole, the first about artifacts that failed, and
    /// how many more there are.
    private static func answered(_ reports: [VerifierReport]) -> [VerifierReport] {
        let failed = reports.count { !$0.isSuccess && $0.referenceDigest != nil }
        guard failed > maximumFailedReports, let subject = reports.first?.subject else { return reports }
        var room = maximumFailedReports
        var kept = reports.filter { report in
            guard !report.isSuccess, report.referenceDigest != nil else { return true }
            room -= 1
            return room >= 0
        }
        kept.append(
            VerifierReport(
                subject: subject, isSuccess: false, message: "failed to verify artifact: \(subject)",
                errorReason: "\(failed - maximumFailedReports) more checks failed; countersign inspect shows them all",
                remediation: "Delete signatures that are no longer of use from the repository"))
        return kept
    }

    /// The same without what the command line alone shows, which takes more memory than all the rest.
    var withoutDetails: Decision {
        guard reports.contains(where: { $0.details != nil }) else { return self }
        var reports = reports
        for index in reports.indices { reports[index].details = nil }
        return Decision(self, reports)
    }

    /// Other reports that say the same in JSON.
    private init(_ decision: Decision, _ reports: [VerifierReport]) {
        (isSuccess, reference, digest) = (decision.isSuccess, decision.reference, decision.digest)
        (self.reports, reportsJSON, reasonClass) = (reports, decision.reportsJSON, decision.reasonClass)
    }

    /// Why the image was refused, in one line: the first report that failed.
    package var reason: String? {
        guard !isSuccess, let report = reports.first(where: { !$0.isSuccess }) else { return nil }
        return (report.errorReason ?? report.message).boundedQuote
    }

    /// Appends the item's value: the shape of `ratify-contract.md`, `timestamp` and `traceID` always present.
    package func writeValue(traceID: String, timestamp: String, to output: inout [UInt8]) {
        output.append(contentsOf: #"{"version":""#.utf8)
        output.append(contentsOf: Decision.configPolicyVersion.utf8)
        output.append(
            contentsOf: isSuccess ? #"","isSuccess":true,"traceID":"#.utf8 : #"","isSuccess":false,"traceID":"#.utf8)
        JSONValue.write(traceID, to: &output)
        output.append(contentsOf: #","timestamp":"#.utf8)
        JSONValue.write(timestamp, to: &output)
        output.append(contentsOf: #","verifierReports":"#.utf8)
        output.append(contentsOf: reportsJSON)
        output.append(UInt8(ascii: "}"))
    }
}
