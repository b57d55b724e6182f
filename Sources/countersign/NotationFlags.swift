/// The ways in which the flags of notation and cosign are written that the argument parser does not know: Go's switches take `=true`
/// and `=false`, and `--oci-layout` is a switch where the trust policy's scope is given.
enum NotationFlags {
    /// Why an option that is for a plugin is refused.
    static let noPlugins = "countersign runs no plugins; leave the option out, or use notation where a plugin is needed"

    private static let commands: Set = ["verify", "sign", "discover", "list", "ls", "inspect", "resolve"]
    private static let switches: Set = [
        "--insecure-registry", "--plain-http", "--verbose", "--debug", "--insecure-ignore-tlog",
        "--insecure-ignore-sct",
    ]
    /// Go's `strconv.ParseBool`.
    private static let yes: Set = ["1", "t", "T", "TRUE", "true", "True"]
    private static let no: Set = ["0", "f", "F", "FALSE", "false", "False"]

    /// The arguments in the parser's own way.
    static func translated(_ arguments: [String]) -> [String] {
        guard let command = arguments.first, commands.contains(command) else { return arguments }
        let isOfNotation = command == "verify" && arguments.contains { $0 == "--scope" || $0.hasPrefix("--scope=") }
        var isOption = true
        return arguments.compactMap { argument in
            if argument == "--" { isOption = false }
            guard isOption, argument.hasPrefix("--") else { return argument }
            if isOfNotation, ["--oci-layout", "--oci-layout=true"].contains(argument) {
                return "--oci-layout-in-reference"
            }
            guard let equals = argument.firstIndex(of: "=") else {
                // The Referrers API is always asked first, which is all that this flag ever did.
                return argument == "--allow-referrers-api" ? nil : argument
            }
            let (name, value) = (String(argument[..<equals]), String(argument[argument.index(after: equals)...]))
            guard yes.contains(value) || no.contains(value) else { return argument }
            switch name {
            case "--allow-referrers-api": return nil
            // `false`, the Referrers API where there is one, is what `sign` does.
            case "--force-referrers-tag": return no.contains(value) ? nil : name
            default: return !switches.contains(name) ? argument : no.contains(value) ? nil : name
            }
        }
    }
}
