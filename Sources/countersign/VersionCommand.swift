import ArgumentParser
import CountersignService
import StrictJSON

/// `countersign version`
struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "version", abstract: "Show the version and what it was built with.")

    @Option(name: .shortAndLong, help: "text or json.")
    var output = OutputFormat.text

    func run() {
        let facts: [(String, String)] = [
            ("version", Release.version), ("platform", Release.platform), ("build", Release.build),
        ]
        switch output {
        case .text: for (name, value) in facts { print("\(name): \(value)") }
        case .json:
            var object = JSONObject()
            for (name, value) in facts { object[name] = .string(value) }
            print(JSONValue.object(object).prettyText, terminator: "")
        }
    }
}

/// How a command prints its result.
enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
    case text, json
}
