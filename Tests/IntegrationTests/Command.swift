import Foundation
import StrictJSON
import TestSupport

/// The `countersign` command as a process.
enum Command {
    /// How a run ended.
    struct Outcome: CustomStringConvertible, Sendable {
        let status: Int32
        let output: String
        let errors: String

        var description: String { "exit \(status)\n\(output)\(errors)" }
        /// Standard output as JSON.
        var json: JSONValue { (try? StrictJSON.parse(Array(output.utf8))) ?? .null }
    }

    /// The built command, beside the tests.
    static let path: String = {
        let beside = Bundle.main.executableURL?.resolvingSymlinksInPath().deletingLastPathComponent()
            .appending(path: "countersign").path()
        if let beside, FileManager.default.isExecutableFile(atPath: beside) { return beside }
        return URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: ".build/debug/countersign").path()
    }()

    /// What the process sees: no credentials, proxies or configuration of whoever runs the tests.
    static func environment(home: String) -> [String: String] {
        var environment = ProcessInfo.processInfo.environment
        for name in environment.keys where name.lowercased().hasSuffix("_proxy") || name.hasPrefix("RATIFY_") {
            environment[name] = nil
        }
        for name in environment.keys where name.hasPrefix("NOTATION_") || name.hasPrefix("COSIGN_") {
            environment[name] = nil
        }
        environment["DOCKER_CONFIG"] = nil
        environment["XDG_CONFIG_HOME"] = nil
        environment["HOME"] = home
        return environment
    }

    /// Runs it to its end.
    static func run(_ arguments: String...) async throws -> Outcome { try await run(arguments) }

    /// Runs it to its end, with what it reads from standard input.
    static func run(
        _ arguments: [String], environment: [String: String] = [:], input: String? = nil
    ) async throws -> Outcome {
        let scratch = try TemporaryDirectory()
        defer { scratch.remove() }
        let process = Process()
        process.executableURL = URL(filePath: path)
        process.arguments = arguments
        process.environment = Self.environment(home: scratch.path).merging(environment) { $1 }
        process.standardInput =
            if let input {
                try FileHandle(forReadingFrom: URL(filePath: scratch.write(input, to: "input")))
            } else { FileHandle.nullDevice }
        // Files, not pipes: nobody need read while it runs.
        process.standardOutput = try FileHandle(forWritingTo: URL(filePath: scratch.write([], to: "output")))
        process.standardError = try FileHandle(forWritingTo: URL(filePath: scratch.write([], to: "errors")))
        let status = try await end(of: process) { try process.run() }
        return Outcome(
            status: status, output: try String(contentsOfFile: scratch.path("output"), encoding: .utf8),
            errors: try String(contentsOfFile: scratch.path("errors"), encoding: .utf8))
    }

    private static func end(of process: Process, _ start: () throws -> Void) async throws -> Int32 {
        let (stream, continuation) = AsyncStream.makeStream(of: Int32.self)
        process.terminationHandler = { process in
            continuation.yield(
                process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus)
            continuation.finish()
        }
        try start()
        for await status in stream { return status }
        throw CancellationError()
    }
}

/// Files that the command line is given: a trust policy, trust store, key and chain.
struct CommandFiles: Sendable {
    let directory: TemporaryDirectory

    init() throws {
        directory = try TemporaryDirectory()
        let signers = try Signers.shared.get()
        directory.write(ConfigurationText.trustPolicy([ConfigurationText.statement()]).text, to: "policy.json")
        directory.write(signers.authority.certificate.pem, to: "truststore/x509/ca/release/root.pem")
        for (name, signer) in [("release", signers.release), ("other", signers.other), ("stranger", signers.stranger)] {
            directory.write(try signer.identity.keyPEM, to: "\(name).key")
            directory.write(signer.identity.chainPEM, to: "\(name).chain")
        }
        directory.write(try ConfigurationText.trustingRelease().json.bytes, to: "config.json")
    }

    func path(_ name: String) -> String { directory.path(name) }

    /// `--trust-policy … --trust-store …`
    var trust: [String] { ["--trust-policy", path("policy.json"), "--trust-store", path("truststore")] }

    /// `--key … --certificate-chain …`
    func identity(_ name: String) -> [String] {
        ["--key", path("\(name).key"), "--certificate-chain", path("\(name).chain")]
    }

    func remove() { directory.remove() }
}
