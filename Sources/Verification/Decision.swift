import OCI
import Quotation
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
    /// The digest that was judged; `nil` when the reference has none, and the image could not be resolved or all
    /// verifiers have a waiver.
    package let digest: Digest?
    /// The reports: all that passed, those about the image as a whole, and the first about artifacts that failed. Never
    /// empty.
    package let reports: [VerifierReport]
    /// What was left out of ``reports``.
    package let leftOut: LeftOut
    /// The reports of an answer as JSON text, made once: one decision answers many requests.
    package let reportsJSON: [UInt8]

    /// Why the first failed report failed, which refusals are counted by; `nil` for an image that is admitted.
    package let failureClass: FailureClass?
    /// Whether an earlier verification stands in for one that a fault prevented.
    package let isStale: Bool

    /// The whole outcomes of the verifiers, for the command line.
    package private(set) var details: [JSONValue]

    /// Whether the registry and a signature disagree about the media type or size of the image's manifest.
    let contradictsDescriptor: Bool
    /// Whether it rests on what the image's tag meant, and may be another one for the digest alone. Neither shared nor
    /// answered: each verification finds out anew.
    let restsOnTag: Bool

    /// A verdict.
    ///
    /// - Parameters:
    ///   - reports: those of all verifiers, at least one.
    ///   - leftOut: what was left out of them already.
    package init(
        isSuccess: Bool, reference: String, digest: Digest?, reports all: [VerifierReport],
        leftOut: LeftOut = LeftOut(), restsOnTag: Bool = false
    ) {
        self.restsOnTag = restsOnTag
        self.isSuccess = isSuccess
        self.reference = reference
        self.digest = digest
        contradictsDescriptor = all.contains { $0.failureClass == .contradiction }
        details = all.compactMap(\.details)
        var all = all
        if !details.isEmpty { for index in all.indices { all[index].details = nil } }
        (reports, self.leftOut) = Decision.trimmed(all, leftOut)
        failureClass = isSuccess ? nil : reports.first { !$0.isSuccess }?.failureClass ?? .policy
        isStale = isSuccess && reports.contains { $0.extensions["stale"] != nil }
        self.reportsJSON = JSONValue.array(Decision.answered(reports, self.leftOut).map(\.json)).bytes
    }

    /// The same without what the command line alone shows, which takes more memory than all the rest.
    var withoutDetails: Decision {
        var decision = self
        decision.details = []
        return decision
    }

    /// Why the image was refused, in one line: the first report that failed.
    package var reason: String? {
        guard !isSuccess, let report = reports.first(where: { !$0.isSuccess }) else { return nil }
        return report.reason.boundedQuote
    }

    /// The reports on each digest of the image, where several were judged (`signedBy`); else all together, without a
    /// digest. Whoever asks for more than the policy does asks it of each: two platforms with one signature each are
    /// not an image with two. A report that says no digest is about all.
    package var reportsByDigest: [(digest: String?, reports: [VerifierReport])] {
        let digests = Set(reports.compactMap(\.subjectDigest)).sorted()
        guard digests.count > 1 else { return [(nil, reports)] }
        return digests.map { digest in (digest, reports.filter { $0.subjectDigest ?? digest == digest }) }
    }

    /// Appends the value of the item in Ratify's format; `timestamp` and `traceID` are always present.
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

// MARK: - Reports that are left out

extension Decision {
    /// The reports that a decision no longer holds. Whoever pushes signatures that do not verify chooses how many there
    /// are; how much memory they take must not be theirs to choose.
    package struct LeftOut: Sendable, Hashable {
        /// How many reports were left out, all about artifacts that failed.
        package var reports = 0
        /// How many reasons (``VerifierReport/reason``) were left out with them, and are in no report that was kept.
        package var reasons = 0

        /// By default nothing was left out.
        package init(reports: Int = 0, reasons: Int = 0) {
            self.reports = reports
            self.reasons = reasons
        }
    }

    /// The most reports on failed artifacts in an answer: the time that the policy takes to read one must not be a
    /// stranger's to choose either (docs/limits.md, "Time of a review").
    package static let maximumFailedReports = 10

    /// How many different reasons keep a report beyond ``maximumFailedReports``.
    package static let maximumReasons = 3

    /// The reports without those that no answer needs. Of those on failed artifacts these stay: the first
    /// ``maximumFailedReports``, the first with each of ``maximumReasons`` reasons, and the first that could not be
    /// judged, for it may explain what is missing.
    private static func trimmed(
        _ reports: [VerifierReport], _ leftOut: LeftOut
    ) -> (reports: [VerifierReport], leftOut: LeftOut) {
        guard reports.count(where: \.isAboutAFailedArtifact) > maximumFailedReports else { return (reports, leftOut) }
        var failed = 0
        var isUndeterminedKept = false
        var shown: Set<String> = []
        var reasons: (kept: Set<String>, leftOut: Set<String>) = ([], [])
        var leftOut = leftOut
        let kept = reports.filter { report in
            guard !report.isSuccess else { return true }
            let isNews = shown.count < maximumReasons && shown.insert(report.reason).inserted
            let isFirstUndetermined = report.isUndetermined && !isUndeterminedKept
            if report.isUndetermined { isUndeterminedKept = true }
            if report.isAboutAFailedArtifact { failed += 1 }
            guard
                !report.isAboutAFailedArtifact || failed <= maximumFailedReports || isNews || isFirstUndetermined
            else {
                leftOut.reports += 1
                reasons.leftOut.insert(report.reason)
                return false
            }
            reasons.kept.insert(report.reason)
            return true
        }
        leftOut.reasons += reasons.leftOut.subtracting(reasons.kept).count
        return (kept, leftOut)
    }

    /// The reports of an answer: all that passed, those about the image as a whole, the first about artifacts that
    /// failed, and how many more there are.
    private static func answered(_ reports: [VerifierReport], _ leftOut: LeftOut) -> [VerifierReport] {
        let failed = reports.count(where: \.isAboutAFailedArtifact) + leftOut.reports
        guard failed > maximumFailedReports, let subject = reports.first?.subject else { return reports }
        var room = maximumFailedReports
        var answered = reports.filter { report in
            guard report.isAboutAFailedArtifact else { return true }
            room -= 1
            return room >= 0
        }
        answered.append(
            VerifierReport(
                subject: subject, isSuccess: false, message: "failed to verify artifact: \(subject)",
                errorReason: "\(failed - maximumFailedReports) more checks failed; countersign inspect shows them all",
                remediation: "Delete signatures that are no longer of use from the repository"))
        return answered
    }
}

extension VerifierReport {
    fileprivate var isAboutAFailedArtifact: Bool { !isSuccess && referenceDigest != nil }
}
