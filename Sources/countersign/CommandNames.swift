import ArgumentParser
import Quotation

/// Names of commands that are no command of ours: mistyped, or notation's.
enum CommandNames {
    /// Commands of notation that this program does not have, and what to do instead.
    private static let ofNotation: [String: String] = [
        "login": "it keeps no credentials: use \"docker login\", or --username and --password",
        "logout": "it keeps no credentials: use \"docker logout\"",
        "cert": "a trust store is a directory: put the certificate into truststore/x509/TYPE/NAME of notation's folder",
        "certificate":
            "a trust store is a directory: put the certificate into truststore/x509/TYPE/NAME of notation's folder",
        "policy":
            "it writes no trust policies: write trustpolicy.oci.json in notation's folder, or give --trust-policy",
        "key":
            "it writes no lists of keys: it reads signingkeys.json of notation's folder, and \"sign --key\" takes files",
        "plugin": "it runs no plugins: for a key in Azure Key Vault use \"sign --akv-key\"",
        "blob": "it verifies images in registries and layouts, not files",
    ]

    /// What is wrong with the command that the arguments name; `nil` when nothing is.
    static func problem(of arguments: [String], in root: any ParsableCommand.Type) -> String? {
        var command = root
        var names = [command._commandName]
        for argument in arguments {
            let subcommands = command.configuration.subcommands
            guard !subcommands.isEmpty, !argument.hasPrefix("-"), argument != "help" else { return nil }
            if let next = subcommands.first(where: { $0._commandName == argument || isAlias(argument, of: $0) }) {
                command = next
                names.append(argument)
                continue
            }
            let shown = argument.quoted
            let program = names.joined(separator: " ")
            if names.count == 1, let advice = ofNotation[argument] {
                return "\"\(program)\" has no command \"\(shown)\": \(advice)"
            }
            let known = subcommands.map { $0._commandName } + subcommands.flatMap { $0.configuration.aliases }
            let nearest = known.map { ($0, distance(argument, $0)) }.min { $0.1 < $1.1 }
            if let (name, distance) = nearest, distance <= max(1, name.count / 3) {
                return "\"\(program)\" has no command \"\(shown)\"; did you mean \"\(program) \(name)\"?"
            }
            return "\"\(program)\" has no command \"\(shown)\"; \"\(program) --help\" lists them"
        }
        return nil
    }

    private static func isAlias(_ name: String, of command: any ParsableCommand.Type) -> Bool {
        command.configuration.aliases.contains(name)
    }

    /// How many letters have to be added, taken away, replaced or swapped with their neighbour to get from one word to
    /// the other.
    private static func distance(_ left: String, _ right: String) -> Int {
        let (left, right) = (Array(left.utf8.prefix(40)), Array(right.utf8))
        var rows = [Array(0...right.count)]
        for (i, a) in left.enumerated() {
            var row = [i + 1]
            for (j, b) in right.enumerated() {
                var best = min(rows[i][j + 1] + 1, row[j] + 1, rows[i][j] + (a == b ? 0 : 1))
                if i > 0, j > 0, a == right[j - 1], left[i - 1] == b { best = min(best, rows[i - 1][j - 1] + 1) }
                row.append(best)
            }
            rows.append(row)
        }
        return rows[left.count][right.count]
    }
}
