/// The ways in which Go's flags are written, and Ratify's deployment writes them, that the argument parser does not
/// know.
enum GoFlags {
    /// Switches: alone they mean `=true`.
    private static let switches = ["--cache-enabled", "--metrics-enabled", "--enable-crd-manager"]
    /// Flags that Ratify's chart passes with nothing after the `=` when there is nothing to pass.
    private static let emptied = ["--ca-cert-file=", "--ca-cert-files="]

    /// The arguments of `serve` in the parser's own way; those of other commands unchanged.
    static func translated(_ arguments: [String]) -> [String] {
        guard arguments.first == "serve" else { return arguments }
        return arguments.compactMap { argument in
            if emptied.contains(argument) { return nil }
            return switches.contains(argument) ? argument + "=true" : argument
        }
    }
}
