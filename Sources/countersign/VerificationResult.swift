import Notation
import OCI
import StrictJSON
import Verification

/// What `verify` found, in the form that it prints (docs/cli.md).
struct VerificationResult {
    enum Verdict {
        case verified, notVerified, undetermined
        /// What is configured cannot be used: nothing is known of the image before it is mended.
        case misconfigured
    }

    let reference: ImageReference
    let verdict: Verdict
    var digest: Digest?
    var policyName: String?
    var policyLevel: String?
    var error: String?
    var remediation: String?
    /// Whether the policy asks for no look at the image: nothing was verified then.
    var isSkipped = false
    /// One object for each signature that was looked at.
    var signatures: [JSONValue] = []

    /// By a trust policy, as notation verifies.
    init(_ outcome: ImageOutcome) {
        reference = outcome.reference
        digest = outcome.subject?.digest ?? outcome.reference.digest
        policyName = outcome.statement?.name
        policyLevel = outcome.statement?.level.name
        signatures = outcome.signatures.map(\.json)
        switch outcome.verdict {
        case .verified: verdict = .verified
        case .skipped:
            verdict = .verified
            isSkipped = true
        case .notVerified(let failure):
            verdict = failure.isConfiguration ? .misconfigured : .notVerified
            error = failure.description
            remediation = failure.isConfiguration ? Self.mending : outcome.signatures.first?.remediation
        case .undetermined(let failure):
            verdict = failure.isConfiguration ? .misconfigured : .undetermined
            error = failure.description
            remediation = failure.isConfiguration ? Self.mending : "Ask again in a moment"
        }
    }

    private static let mending = "Mend what the reason names: nothing is known of the image before"

    /// By a configuration, as the provider verifies.
    init(_ reference: ImageReference, _ result: PipelineResult) {
        self.reference = reference
        switch result {
        case .decided(let decision, _):
            digest = decision.digest
            let isMisconfigured = decision.reports.first { !$0.isSuccess }?.isConfiguration == true
            verdict = decision.isSuccess ? .verified : isMisconfigured ? .misconfigured : .notVerified
            error = decision.reason
            remediation =
                switch verdict {
                case .verified: nil
                case .misconfigured: Self.mending
                default: decision.reports.first { !$0.isSuccess }?.remediation
                }
            signatures = decision.details.flatMap(Self.each)
            isSkipped = decision.isSuccess && !decision.reports.contains { $0.isSuccess && $0.referenceDigest != nil }
        case .fault(let fault):
            verdict = fault.isConfiguration ? .misconfigured : .undetermined
            error = fault.description
            remediation = fault.isConfiguration ? Self.mending : fault.remediation
        }
    }

    /// The signatures in what a verifier tells of one artifact: cosign keeps several in one.
    private static func each(_ details: JSONValue) -> [JSONValue] {
        guard let own = details.object, let several = own["signatures"]?.array else { return [details] }
        return several.map { signature in
            var object: JSONObject = [:]
            for name in ["type", "verifier", "manifest", "trustPolicy"] { object[name] = own[name] }
            for (name, value) in signature.object?.members ?? [] { object[name] = value }
            return .object(object)
        }
    }

    var json: JSONValue {
        var object: JSONObject = ["reference": .string(reference.description)]
        if let digest { object["digest"] = .string(digest.description) }
        object["verified"] = .bool(verdict == .verified)
        object["determined"] = .bool(verdict == .verified || verdict == .notVerified)
        if let policyName {
            object["trustPolicy"] = ["name": .string(policyName), "level": .string(policyLevel ?? "")]
        }
        if let error { object["error"] = .string(error) }
        if let remediation { object["remediation"] = .string(remediation) }
        object["signatures"] = .array(signatures)
        return .object(object)
    }

    var text: String {
        var lines: [String] = [Terminal.paint(reference.description, .bold)]
        if let digest { lines.append("  digest     \(digest)") }
        if let policyName { lines.append("  policy     \(Terminal.plain(policyName)) (\(policyLevel ?? ""))") }
        switch verdict {
        case .verified:
            lines.append(
                "  verified   "
                    + Terminal.paint(isSkipped ? "not looked at: the policy skips this image" : "yes", .green))
        case .notVerified: lines.append("  verified   " + Terminal.paint("no", .red))
        case .undetermined, .misconfigured:
            lines.append("  verified   " + Terminal.paint("could not be determined", .yellow))
        }
        if let error { lines.append("  reason     \(Terminal.plain(error))") }
        if let remediation { lines.append("  what to do \(Terminal.plain(remediation))") }
        for signature in signatures {
            lines += signature["steps"] == nil ? Self.lines(signature) : CosignSignatureText.lines(signature)
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func lines(_ signature: JSONValue) -> [String] {
        func text(_ name: String) -> String? { signature[name]?.string.map(Terminal.plain) }
        var lines = ["", "  signature \(text("digest") ?? "") \(Terminal.paint(text("mediaType") ?? "", .faint))"]
        if let signer = signature["signer"] {
            lines.append("    signed by    \(Terminal.plain(signer["subject"]?.string ?? ""))")
        }
        if let time = text("signingTime") { lines.append("    signed at    \(time) \(text("signingScheme") ?? "")") }
        if let expiry = text("expiry") { lines.append("    expires      \(expiry)") }
        for (name, value) in signature["userMetadata"]?.object?.members ?? [] {
            lines.append("    metadata     \(Terminal.plain(name))=\(Terminal.plain(value.string ?? ""))")
        }
        for validation in signature["validations"]?.array ?? [] {
            let result = validation["result"]?.string ?? ""
            let colour: Terminal.Colour =
                switch (result, validation["action"]?.string) {
                case ("passed", _): .green
                case ("failed", "enforce"): .red
                case ("failed", _): .yellow
                default: .faint
                }
            var line = "    " + (validation["type"]?.string ?? "").padded(to: 20) + Terminal.paint(result, colour)
            if result == "failed", validation["action"]?.string == "log" { line += " (logged only)" }
            if let message = validation["message"]?.string, !message.isEmpty { line += ": " + Terminal.plain(message) }
            lines.append(line)
        }
        let messages = signature["validations"]?.array?.compactMap { $0["message"]?.string.map(Terminal.plain) } ?? []
        if let error = text("error"), !messages.contains(error) {
            lines.append("    " + Terminal.paint("not good: ", .red) + error)
        }
        return lines
    }
}
