import StrictJSON

// What `discover` and `inspect` show of cosign's forms to a person. All of it is a claim of whoever wrote it.

extension CosignArtifact {
    /// A few words on each part, for `discover`.
    var lines: [String] {
        var lines: [String] = []
        if let tag { lines.append("at the tag \(tag)") }
        if let problem { lines.append("cannot be used: \(problem)") }
        lines += parts.map { part in
            let summary = part.summary
            let name = "\(part.form.rawValue) \(summary["digest"]?.string ?? "")"
            if let error = summary["error"]?.string { return "\(name) cannot be read: \(error)" }
            var words = [summary["kind"]?.string ?? ""]
            if let type = summary["predicateType"]?.string { words[0] += " \(type)" }
            words.append("with a \(summary["signedWith"]?.string ?? "")")
            words += [("log entry", "log entries", "logEntries"), ("timestamp", "timestamps", "timestamps")].compactMap
            {
                one, many, member in
                let count = summary[member]?.integer ?? 0
                return count == 0 ? nil : count == 1 ? "1 \(one)" : "\(count) \(many)"
            }
            return "\(name): \(words.joined(separator: ", ")); not verified"
        }
        if unread > 0 { lines.append("\(unread) more layers are not shown") }
        return lines
    }
}

extension CosignArtifact {
    /// What goes with all that is shown.
    static let reservation = "nothing of it is verified"

    /// How many subjects of a statement are shown.
    private static let maximumSubjects = 10

    /// All that a part says, for `inspect`.
    static func details(_ part: JSONObject) -> [String] {
        var lines: [String] = []
        func line(_ label: String, _ value: String?) {
            guard let value, !value.isEmpty else { return }
            lines.append(label + String(repeating: " ", count: max(1, 14 - label.count)) + value)
        }
        func texts(_ value: JSONValue?) -> [(name: String, value: String)] {
            (value?.object?.members ?? []).map { ($0.name, $0.value.string ?? $0.value.text) }
        }
        line("error", part["error"]?.string)
        let version = part["version"]?.string.map { " (bundle of version \($0))" } ?? ""
        line("kind", part["kind"]?.string.map { $0 + version })
        line("predicate", part["predicateType"]?.string)
        line("payload type", part["payloadType"]?.string)
        line("artifact", part["artifact"]?.string)
        if let payload = part["payload"] {
            line("image", payload["imageDigest"]?.string)
            line("called", payload["dockerReference"]?.string)
            for (name, value) in texts(payload["optional"]) { line("annotation", "\(name)=\(value)") }
        }
        let subjects = part["subjects"]?.array ?? []
        for subject in subjects.prefix(maximumSubjects) {
            let digests = texts(subject["digest"]).map { "\($0.name):\($0.value)" }.joined(separator: " ")
            line("about", digests + (subject["name"]?.string.map { " (\($0))" } ?? ""))
            for (name, value) in texts(subject["annotations"]) { line("annotation", "\(name)=\(value)") }
        }
        if subjects.count > maximumSubjects { line("", "and \(subjects.count - maximumSubjects) more") }
        if part["signedWith"] == "key" {
            line("signed with", "a key" + (part["keyHint"]?.string.map { ", hint \($0)" } ?? ""))
        }
        if let identity = part["identity"] {
            line("error", identity["error"]?.string)
            for name in identity["names"]?.array ?? [] {
                line("identity", "\(name["text"]?.string ?? "") (\(name["kind"]?.string ?? ""))")
            }
            line("issuer", identity["issuer"]?.string)
            for (name, value) in texts(identity["extensions"]) { line("", "\(name): \(value)") }
        }
        for certificate in part["certificates"]?.array?.prefix(1) ?? [] {
            line("certificate", "\(certificate["notBefore"]?.string ?? "") to \(certificate["notAfter"]?.string ?? "")")
            line("", "issued by \(certificate["issuer"]?.string ?? "")")
        }
        for entry in part["logEntries"]?.array ?? [] {
            let log = entry["log"]?.string ?? "log \(entry["logID"]?.string?.prefix(16) ?? "")…"
            line("log entry", "\(entry["logIndex"]?.integer ?? 0) of \(log), \(entry["kind"]?.string ?? "")")
            line("", entry["integratedTime"]?.string.map { "at \($0)" })
        }
        for timestamp in part["timestamps"]?.array ?? [] {
            line("timestamp", timestamp["time"]?.string ?? timestamp["error"]?.string)
            line("", timestamp["authority"]?.string.map { "by \($0)" })
        }
        return lines
    }
}
