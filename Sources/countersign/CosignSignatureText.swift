import StrictJSON

/// What `verify` shows a person of one of cosign's signatures: what was proven, and each step.
enum CosignSignatureText {
    static func lines(_ signature: JSONValue) -> [String] {
        func text(_ value: JSONValue?) -> String { Terminal.plain(value?.string ?? "") }
        let form = signature["type"]?.string ?? ""
        var lines = ["", "  signature \(text(signature["digest"])) \(Terminal.paint(form, .faint))"]
        func line(_ label: String, _ value: String) {
            if !value.isEmpty { lines.append("    " + label.padded(to: 22) + value) }
        }
        line("in", text(signature["manifest"]))
        if signature["verified"] == true {
            if let key = signature["keyInformation"] {
                line("signed by", text(key["file"] ?? key["name"]))
            }
            line("signed by", text(signature["certificate"]?["identity"]))
            line("vouched for by", text(signature["certificate"]?["issuer"]))
            for name in ["sourceRepositoryURI", "sourceRepositoryRef", "sourceRepositoryDigest"] {
                line(name, text(signature["certificate"]?["extensions"]?[name]))
            }
            for time in signature["provenTimes"]?.array ?? [] { line("existed at", text(time)) }
            for entry in signature["logEntries"]?.array ?? [] {
                line("logged by", "\(text(entry["log"])), entry \(entry["logIndex"]?.integer ?? 0)")
            }
        }
        for step in signature["steps"]?.array ?? [] {
            let result = step["result"]?.string ?? ""
            let (shown, colour): (String, Terminal.Colour) =
                switch result {
                case "passed": (result, .green)
                case "failed": (result, .red)
                case "notRun": ("not run", .faint)
                default: (result, .faint)
                }
            let message = text(step["message"])
            lines.append(
                "    " + text(step["step"]).padded(to: 22) + Terminal.paint(shown, colour)
                    + (message.isEmpty ? "" : ": \(message)"))
        }
        return lines
    }
}
