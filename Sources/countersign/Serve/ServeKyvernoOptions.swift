import ArgumentParser
import Kyverno
import ProviderServer

/// Whether and how `serve` answers Kyverno.
struct ServeKyvernoOptions: ParsableArguments {
    @Option(
        name: .customLong("kyverno"),
        help: ArgumentHelp(
            "Where Kyverno connects: :PORT or HOST:PORT. Without it Kyverno is not served.", valueName: "address"))
    var address: String?

    @Option(
        name: .customLong("kyverno-users"),
        help: ArgumentHelp(
            "The users whose tokens are let in, separated by commas. (default: the admission, background and reports controllers of the namespace kyverno)",
            valueName: "users"))
    var users: String?

    @Option(
        name: .customLong("kyverno-audiences"),
        help: ArgumentHelp(
            "Audiences of those tokens, separated by commas; api-server stands for the API server's own, which the tokens of Kyverno up to 1.15 have. (default: countersign)",
            valueName: "audiences"))
    var audienceList: String?

    /// The audiences that were named.
    var audiences: [String]? { audienceList.map(ServeKyvernoOptions.names) }

    func listener() throws -> KyvernoListener? {
        guard let address, !address.isEmpty else {
            guard users == nil, audienceList == nil else {
                throw CommandFailure(
                    .usage, "--kyverno-users and --kyverno-audiences have no meaning without --kyverno")
            }
            return nil
        }
        var listener = KyvernoListener(address: try ListenAddress(flag: "--kyverno", address))
        if let users { listener.users = Set(ServeKyvernoOptions.names(users)) }
        guard !listener.users.isEmpty else { throw CommandFailure(.usage, "--kyverno-users names nobody") }
        guard audiences?.isEmpty != true else { throw CommandFailure(.usage, "--kyverno-audiences names none") }
        return listener
    }

    private static func names(_ text: String) -> [String] {
        text.split(separator: ",").map { $0.filter { $0 != " " } }.filter { !$0.isEmpty }
    }
}
