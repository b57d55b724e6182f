import Foundation
import StrictJSON
import TestSupport
import Testing

/// What the command says about itself, and about wrong usage.
@Suite struct CommandUsageTests {
    private static let commands = [
        "serve", "verify", "verify-bundle", "discover", "inspect", "resolve", "sign", "probe", "crds", "certificates",
        "audit", "trust", "version",
    ]

    @Test func helpIsThere() async throws {
        let help = try await Command.run("--help")
        #expect(help.status == 0 && help.errors.isEmpty, "\(help)")
        for command in Self.commands { #expect(help.output.contains(command)) }
        for command in Self.commands {
            let run = try await Command.run(command, "--help")
            #expect(run.status == 0 && run.output.contains("USAGE: countersign \(command)"), "\(run)")
            #expect(["version", "crds", "trust"].contains(command) || run.output.contains("EXAMPLES"), "\(run)")
        }
    }

    /// Every command and every option that `--help` names is explained to who reads the documentation.
    @Test func everyOptionIsDocumented() async throws {
        let documents = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "docs")
        func text(_ names: String...) throws -> String {
            try names.map { try String(contentsOf: documents.appending(path: $0), encoding: .utf8) }.joined()
        }
        let page = try text("cli.md")
        for command in Self.commands + ["crds apply", "trust fetch"] {
            let pages =
                switch command {
                case "serve": try text("configuration.md")
                case "audit": try page + text("audit.md")
                default: page
                }
            #expect(page.contains("| `\(command)") || ["crds", "trust"].contains(command), "\(command)")
            let help = try await Command.run(command.split(separator: " ").map(String.init) + ["--help"])
            let options = Set(
                help.output.matches(of: /(?m)^  (?:-[a-z], )?(--[a-z-]+)|^  .*, (--[a-z-]+)/).map {
                    String($0.output.1 ?? $0.output.2 ?? "")
                }
            ).subtracting(["--help", "--version"])
            #expect(["crds", "trust", "version"].contains(command) || !options.isEmpty, "\(command)")
            for option in options.sorted() {
                #expect(pages.matches(of: /--[a-z-]+/).contains { $0.output == option }, "\(command) \(option)")
            }
        }
    }

    @Test(arguments: ["bash", "zsh", "fish"])
    func completionsAreMade(shell: String) async throws {
        let run = try await Command.run("--generate-completion-script", shell)
        #expect(run.status == 0 && run.errors.isEmpty, "\(run)")
        for command in Self.commands { #expect(run.output.contains(command)) }
    }

    @Test func theVersionIsTold() async throws {
        let short = try await Command.run("--version")
        let long = try await Command.run("version", "-o", "json")
        #expect(short.status == 0 && long.status == 0)
        #expect(long.json["version"]?.string == short.output.split(separator: "\n").first.map(String.init))
        #expect(long.json["platform"]?.string?.contains("/") == true)
    }

    @Test(
        arguments: [
            ["nothing"], ["verify"], ["resolve"], ["resolve", "a:1", "b:1"], ["resolve", "a:1", "--output", "xml"],
            ["resolve", "a:1", "--nonsense"], ["resolve", "a:1", "--timeout", "0"], ["resolve", "UPPER/a:1"],
            ["inspect", "a:1", "--max-signatures", "0"], ["sign", "a:1"], ["serve", "--nonsense"],
        ])
    func wrongUsageIsTwo(arguments: [String]) async throws {
        let run = try await Command.run(arguments)
        #expect(run.status == 2, "\(run)")
        #expect(run.output.isEmpty && !run.errors.isEmpty, "\(run)")
    }

    @Test(
        arguments: [
            (["verfy", "a:1"], "did you mean \"countersign verify\"?"),
            (["verify-image", "a:1"], "\"countersign --help\" lists them"),
            (["sing", "a:1", "--key", "k"], "did you mean \"countersign sign\"?"),
            (["crds", "aply", "x"], "did you mean \"countersign crds apply\"?"),
            (["lst", "a:1"], "did you mean \"countersign list\"?"), (["login", "r.example"], "docker login"),
            (["key", "list"], "signingkeys.json"), (["cert", "add"], "truststore"), (["", "a:1"], "has no command"),
            ([String(repeating: "v", count: 100_000)], "has no command"),
        ])
    func aMistypedCommandIsNamed(arguments: [String], words: String) async throws {
        let run = try await Command.run(arguments)
        #expect(run.status == 2 && run.output.isEmpty, "\(run)")
        #expect(run.errors.contains(words) && run.errors.utf8.count < 400, "\(run)")
    }
}
