import ArgumentParser
import CountersignService

/// The command and its subcommands.
@main
struct Countersign: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "countersign",
        abstract: "Lets only signed container images into a Kubernetes cluster.",
        discussion: """
            An OPA Gatekeeper external-data provider for Notary Project signatures, and the same rules on the command line.

            EXAMPLES
              countersign serve -c config.json --cert-dir tls --ca-cert-file gatekeeper-ca.crt
              countersign verify registry.example.com/app:v1 --trust-policy trustpolicy.json --trust-store truststore
              countersign discover registry.example.com/app:v1
              countersign sign registry.example.com/app:v1 --key release.key --certificate-chain release.chain

            EXIT STATUS
              0 done, or verified; 1 not verified; 2 wrong usage or configuration; 3 could not be determined
            """,
        version: Release.version,
        subcommands: [
            ServeCommand.self, VerifyCommand.self, DiscoverCommand.self, InspectCommand.self, ResolveCommand.self,
            SignCommand.self, CertificatesCommand.self, AuditCommand.self, TrustCommand.self, ProbeCommand.self,
            CRDsCommand.self, VerifyBundleCommand.self, VersionCommand.self,
        ])

    static func main() async {
        // Before anything else: no program that is started may inherit them.
        _ = GivenCredentials.ofEnvironment
        _ = CosignPassword.ofEnvironment
        let arguments = Array(CommandLine.arguments.dropFirst())
        do {
            if let problem = CommandNames.problem(of: arguments, in: Self.self) {
                throw CommandFailure(.usage, problem)
            }
            var command = try parseAsRoot(NotationFlags.translated(GoFlags.translated(arguments)))
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch let failure as CommandFailure {
            Terminal.complain(failure.description)
            exit(withStatus: failure.status.rawValue)
        } catch {
            let code = exitCode(for: error)
            var message = fullMessage(for: error)
            if code.isSuccess {
                if !message.isEmpty { print(message) }
                exit(withStatus: 0)
            }
            // The parser repeats an argument that it does not understand: a key that was given in place of its file,
            // too.
            message = ParserWords.shown(
                message, typed: arguments, translated: NotationFlags.translated(GoFlags.translated(arguments)))
            if !message.isEmpty { Terminal.complain(message, isPlain: true) }
            // The parser's own status for wrong usage is 64; ours is documented as 2.
            exit(withStatus: code == .validationFailure ? ExitStatus.usage.rawValue : code.rawValue)
        }
    }

    private static func exit(withStatus status: Int32) -> Never {
        Terminal.flush()
        exit(withError: ExitCode(status))
    }
}

/// What the exit status says.
enum ExitStatus: Int32 {
    case success = 0
    /// Not verified: a definite verdict against the image.
    case notVerified = 1
    /// Wrong usage, or a configuration, trust policy, key or certificate that cannot be used.
    case usage = 2
    /// Network, throttling, a deadline: ask again.
    case undetermined = 3
}

/// Why a command ends without what it was asked for.
struct CommandFailure: Error, CustomStringConvertible {
    let status: ExitStatus
    let description: String

    init(_ status: ExitStatus, _ description: String) {
        self.status = status
        self.description = description
    }
}
