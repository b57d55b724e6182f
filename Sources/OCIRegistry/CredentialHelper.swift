import ChildProcess
import OCI
import Quotation
import StrictJSON

/// A program that keeps credentials: `docker-credential-NAME get` reads a registry's name and writes JSON (the
/// protocol of docker-credential-helpers).
struct CredentialHelper: Sendable {
    /// `NAME`, checked by ``DockerConfig``.
    let name: String
    /// Where to look for the program; the environment's `PATH` unless told.
    var path: String?

    var program: String { "docker-credential-\(name)" }

    /// The credential that the helper has for a server; `nil` when it says that it has none.
    func get(_ server: String, deadline: ContinuousClock.Instant) async throws(RegistryError) -> RegistryCredential? {
        func error(_ kind: RegistryError.Kind, _ detail: String, isConfiguration: Bool = false) -> RegistryError {
            RegistryError(
                kind, host: server, detail: "asking the credential helper \(program): \(detail)",
                isConfiguration: isConfiguration)
        }
        let process = ChildProcess(
            program, arguments: ["get"], environment: path.map { ["PATH": $0] } ?? [:], input: "\(server)\n",
            outputLimit: 128 * 1024)
        switch await process.run(until: deadline) {
        case .timeout: throw error(.timeout, "no answer within the time allowed")
        case .cancelled: throw error(.cancelled, "the caller gave up waiting")
        case .fault(let problem, let isLasting):
            throw error(
                .credentials, "it \(problem); check that it is installed and works", isConfiguration: isLasting)
        case .output(let output, let isSuccess, let status):
            guard isSuccess else {
                let said = String(decoding: output.prefix(1024), as: UTF8.self)
                // The one thing that every helper says in the same words.
                if said.lowercased().contains("credentials not found") { return nil }
                let line = said.split(whereSeparator: \.isNewline).first.map { String($0).withoutFinalStop } ?? ""
                throw error(
                    .credentials, "it ended with \(status)\(line.isEmpty ? "" : ": \(line.quoted)")")
            }
            guard let answer = try? StrictJSON.parse(output), let user = answer["Username"]?.string,
                let secret = answer["Secret"]?.string, !secret.isEmpty
            else { throw error(.credentials, "its answer is not JSON with Username and Secret") }
            return DockerConfig.of(user: user, password: secret)
        }
    }
}
