import OCI
import StrictJSON

/// What a decision that replicas share depends on. Unlike ``DecisionCache/Key`` it means the same in every process:
/// contents, not numbers.
package struct SharedDecisionKey: Hashable, Sendable {
    /// Configuration, trusted certificates and version of the program.
    package let fingerprint: String
    /// The namespace whose configuration applies; `nil` for the cluster's alone.
    package let namespace: String?
    /// The image, normalised.
    package let reference: String

    /// A key.
    package init(fingerprint: String, namespace: String?, reference: String) {
        self.fingerprint = fingerprint
        self.namespace = namespace
        self.reference = reference
    }

    /// The key's parts, each with its length in front, so that no two keys have the same bytes.
    package var bytes: [UInt8] {
        var output: [UInt8] = []
        for part in [fingerprint, namespace.map { "+\($0)" } ?? "-", reference] {
            output.append(contentsOf: "\(part.utf8.count):".utf8)
            output.append(contentsOf: part.utf8)
        }
        return output
    }
}

/// Decisions that replicas share, behind each one's own cache. It can only save work: whatever goes wrong is the same
/// as having nothing, and nobody waits long for it.
package protocol SharedDecisions: Sendable {
    /// A decision that was proven to come from a replica, and how much longer it holds.
    func decision(for key: SharedDecisionKey) async -> (decision: Decision, life: Duration)?

    /// Shares a decision for so long. Nobody waits for the end of it.
    func keep(_ decision: Decision, for key: SharedDecisionKey, life: Duration)
}

// MARK: - Decisions as text

extension Decision {
    /// The whole decision, for replicas of the same version.
    package var sharedForm: JSONValue {
        var object: JSONObject = ["isSuccess": .bool(isSuccess), "reference": .string(reference)]
        object["digest"] = digest.map { .string($0.description) }
        object["reports"] = .array(reports.map(\.sharedForm))
        object["leftOut"] = [
            "reports": .number(String(leftOut.reports)), "reasons": .number(String(leftOut.reasons)),
        ]
        return .object(object)
    }

    /// Reads ``sharedForm``; `nil` when anything is missing.
    package init?(sharedForm value: JSONValue) {
        guard let isSuccess = value["isSuccess"]?.bool, let reference = value["reference"]?.string,
            let elements = value["reports"]?.array, !elements.isEmpty,
            let reportsLeftOut = value["leftOut"]?["reports"]?.integer, reportsLeftOut >= 0,
            let reasonsLeftOut = value["leftOut"]?["reasons"]?.integer, reasonsLeftOut >= 0
        else { return nil }
        var digest: Digest?
        if let member = value["digest"] {
            guard let text = member.string, let parsed = try? Digest(parsing: text) else { return nil }
            digest = parsed
        }
        let reports = elements.compactMap(VerifierReport.init(sharedForm:))
        guard reports.count == elements.count else { return nil }
        self.init(
            isSuccess: isSuccess, reference: reference, digest: digest, reports: reports,
            leftOut: LeftOut(reports: Int(reportsLeftOut), reasons: Int(reasonsLeftOut)))
    }
}

extension VerifierReport {
    /// Everything but ``details``, which the command line alone shows.
    fileprivate var sharedForm: JSONValue {
        var object: JSONObject = [
            "subject": .string(subject), "isSuccess": .bool(isSuccess), "message": .string(message),
        ]
        object["verifierName"] = verifierName.map(JSONValue.string)
        object["verifierType"] = verifierType.map(JSONValue.string)
        object["referenceDigest"] = referenceDigest.map(JSONValue.string)
        object["artifactType"] = artifactType.map(JSONValue.string)
        object["errorReason"] = errorReason.map(JSONValue.string)
        object["remediation"] = remediation.map(JSONValue.string)
        object["extensions"] = .object(extensions)
        object["signingChain"] = .array(signingChain.map(JSONValue.string))
        object["signer"] = signer.map(JSONValue.string)
        object["isUndetermined"] = .bool(isUndetermined)
        object["failureClass"] = failureClass.map { .string($0.rawValue) }
        object["nestedResults"] = .array(nestedResults.map(\.sharedForm))
        return .object(object)
    }

    fileprivate init?(sharedForm value: JSONValue) {
        guard let subject = value["subject"]?.string, let isSuccess = value["isSuccess"]?.bool,
            let message = value["message"]?.string, let extensions = value["extensions"]?.object,
            let chain = value["signingChain"]?.strings, let isUndetermined = value["isUndetermined"]?.bool,
            let nested = value["nestedResults"]?.array
        else { return nil }
        let nestedResults = nested.compactMap(VerifierReport.init(sharedForm:))
        guard nestedResults.count == nested.count else { return nil }
        self.init(
            subject: subject, isSuccess: isSuccess, verifierName: value["verifierName"]?.string,
            verifierType: value["verifierType"]?.string, referenceDigest: value["referenceDigest"]?.string,
            artifactType: value["artifactType"]?.string, message: message, errorReason: value["errorReason"]?.string,
            remediation: value["remediation"]?.string, extensions: extensions, nestedResults: nestedResults)
        signingChain = chain
        signer = value["signer"]?.string
        self.isUndetermined = isUndetermined
        if let member = value["failureClass"] {
            guard let failure = member.string.flatMap(FailureClass.init(rawValue:)) else { return nil }
            failureClass = failure
        }
    }
}
