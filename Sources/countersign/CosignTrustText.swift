import CosignVerifier
import Encoding
import FoundationEssentials
import Sigstore

/// What `certificates` shows a person of cosign's trust policies and of trusted roots.
struct CosignTrustText {
    private let overview: CosignOverview

    init(_ overview: CosignOverview) { self.overview = overview }

    var lines: [String] {
        overview.policies.flatMap { policy in lines(policy) + [""] }
            + overview.roots.flatMap { root in lines(root) + [""] }
    }

    private func line(_ label: String, _ value: String) -> String {
        "  " + label.padded(to: 14) + Terminal.plain(value)
    }

    private func lines(_ entry: CosignOverview.Policy) -> [String] {
        let policy = entry.policy
        var lines = [
            Terminal.paint(
                "cosign trust policy \(Terminal.plain(policy.name)) of \(Terminal.plain(entry.verifier))", .bold)
        ]
        lines.append(
            line(
                "images",
                policy.scopes.isEmpty
                    ? "all that no other policy is for" : policy.scopes.map(\.description).joined(separator: " ")))
        if case .identities(let identities) = policy.signers {
            for identity in identities {
                lines.append(line("identity", "\(identity.name)"))
                lines.append(line("", "vouched for by \(identity.issuer)"))
                for (name, match) in identity.extensions.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
                    lines.append(line("", "\(name.rawValue) \(match)"))
                }
            }
        }
        for key in entry.keys {
            let place = [key.name, key.version].filter { !$0.isEmpty }.joined(separator: "/")
            lines.append(line("key", "\(key.kind) \(key.provider.map { "\(place) of \($0)" } ?? place)"))
            lines.append(line("", "sha256 \(key.fingerprint)"))
            if let validity = key.validity { lines.append(line("", "trusted \(validity)")) }
        }
        for (name, text) in policy.annotations.sorted(by: { $0.key < $1.key }) {
            lines.append(line("annotation", "\(name)=\(text)"))
        }
        lines.append(line("trusted root", policy.trustedRoot ?? "the public good instance's, as compiled in"))
        lines.append(line("asks for", Self.proofs(policy)))
        lines += entry.problems.map { Terminal.paint(line("problem", $0), .red) }
        return lines
    }

    /// What signatures must prove.
    private static func proofs(_ policy: CosignTrustPolicy) -> String {
        func count(_ count: Int, _ one: String, _ many: String) -> String {
            count == 1 ? "1 \(one)" : "\(count) \(many)"
        }
        let thresholds = policy.thresholds
        var words = [count(thresholds.signatures, "signer", "signers")]
        words.append(
            thresholds.logs == 0
                ? "no transparency log" : count(thresholds.logs, "transparency log", "transparency logs"))
        if case .identities = policy.signers {
            words.append(
                thresholds.certificateLogs == 0
                    ? "no certificate transparency log"
                    : count(thresholds.certificateLogs, "certificate transparency log", "certificate transparency logs")
            )
        }
        if thresholds.timestamps > 0 {
            words.append(count(thresholds.timestamps, "timestamp authority", "timestamp authorities"))
        }
        if let url = policy.logURL { words.append("the log \(url)") }
        return words.joined(separator: ", ")
    }

    private func lines(_ root: CosignOverview.Root) -> [String] {
        var lines = [Terminal.paint("trusted root \(Terminal.plain(root.provider ?? "that is compiled in"))", .bold)]
        lines.append(line("source", root.source))
        if let status = root.status {
            if let error = status.error { lines.append(Terminal.paint(line("problem", error), .red)) }
            if let time = status.lastFetched { lines.append(line("read", UTC.text(time))) }
            if let end = status.trustedRoot?.validUntil {
                lines.append(line("good until", "\(UTC.text(end)), without another look"))
            }
            if let fingerprint = status.trustedRoot?.fingerprint { lines.append(line("sha256", fingerprint)) }
        }
        lines.append(
            line("used by", root.uses.isEmpty ? "no trust policy" : root.uses.joined(separator: ", ")))
        for part in root.parts {
            let isCurrent = part.isCurrent(at: overview.moment)
            var words = "\(part.kind.name) \(part.name), from \(UTC.text(part.start))"
            if let end = part.end { words += " to \(UTC.text(end))" }
            if !part.isSupported { words += ", with a key that is not supported" }
            let text = "  " + Terminal.plain(words)
            lines.append(isCurrent ? text : Terminal.paint(text, .faint))
        }
        return lines
    }
}
