import FoundationEssentials
import Quotation
import StrictJSON
import Subprocess

/// A program of a kubeconfig that prints a token (client.authentication.k8s.io), as `kubelogin` or `aws`.
package struct ExecPlugin: Sendable {
    private static let versions = ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"]

    private let apiVersion: String
    private let command: String
    private let arguments: [String]
    private let environment: [String: String]
    private let installHint: String?

    /// A token, and when it ends.
    struct Token: Sendable {
        let text: String
        let expires: Date?
    }

    init(_ value: JSONValue, of user: KubeconfigEntry) throws(KubernetesError) {
        func fault(_ problem: String) -> KubernetesError { .configuration("\(user.name): exec: \(problem)") }
        guard let apiVersion = value["apiVersion"]?.string, Self.versions.contains(apiVersion) else {
            throw fault("its apiVersion is none of \(Self.versions.joined(separator: ", "))")
        }
        guard let command = value["command"]?.string, !command.isEmpty else { throw fault("it has no command") }
        guard value["provideClusterInfo"]?.bool != true else { throw fault("provideClusterInfo is not supported") }
        guard value["interactiveMode"]?.string != "Always" else {
            throw fault("interactiveMode Always: a service cannot ask anybody")
        }
        let given = value["args"] ?? .null
        guard let arguments = given.isNull ? [] : given.strings else { throw fault("args is not a list of strings") }
        var environment: [String: String] = [:]
        for variable in value["env"]?.array ?? [] {
            guard let name = variable["name"]?.string, let text = variable["value"]?.string else {
                throw fault("env is not a list of name and value")
            }
            environment[name] = text
        }
        self.apiVersion = apiVersion
        // As kubectl: a path with a slash is relative to the kubeconfig, a name is looked for in PATH.
        self.command = command.hasPrefix("/") || !command.contains("/") ? command : "\(user.directory)/\(command)"
        self.arguments = arguments
        self.environment = environment
        installHint = value["installHint"]?.string
    }

    private enum Ending: Sendable {
        case output([UInt8], isSuccess: Bool, status: String)
        case fault(String)
        case timeout
        case cancelled
    }

    /// Runs the program. Its error output goes nowhere: it may hold secrets.
    func token(deadline: ContinuousClock.Instant) async throws(KubernetesError) -> Token {
        func fault(_ kind: KubernetesError.Kind, _ problem: String) -> KubernetesError {
            let hint = installHint.map { "; \($0.quoted)" } ?? ""
            return KubernetesError(kind, detail: "the exec plugin \(command.quotedPath) \(problem)\(hint)")
        }
        switch await run(until: deadline) {
        case .timeout: throw fault(.unavailable, "did not answer in time")
        case .cancelled: throw KubernetesError(.cancelled, detail: "the call was cancelled")
        case .fault(let problem): throw fault(.configuration, "cannot be run: \(problem)")
        case .output(let output, let isSuccess, let status):
            guard isSuccess else { throw fault(.unauthorized, "ended with \(status)") }
            guard let answer = try? StrictJSON.parse(output), answer["kind"]?.string == "ExecCredential",
                let status = answer["status"]
            else { throw fault(.unauthorized, "printed no ExecCredential") }
            guard let token = status["token"]?.string, !token.isEmpty else {
                throw fault(.configuration, "gives no token; client certificates from plugins are not supported")
            }
            let expires = status["expirationTimestamp"]?.string.flatMap { try? Date($0, strategy: .iso8601) }
            return Token(text: token, expires: expires)
        }
    }

    private func run(until deadline: ContinuousClock.Instant) async -> Ending {
        var options = PlatformOptions()
        options.createSession = true
        options.teardownSequence = [
            .send(signal: .kill, toProcessGroup: true, allowedDurationToNextStep: .milliseconds(100))
        ]
        let information: JSONValue = [
            "apiVersion": .string(apiVersion), "kind": "ExecCredential", "spec": ["interactive": false],
        ]
        var variables: [Environment.Key: String?] = ["KUBERNETES_EXEC_INFO": information.text]
        for (name, value) in environment { variables[Environment.Key(stringLiteral: name)] = value }
        let executable: Executable = command.contains("/") ? .path(.init(command)) : .name(command)
        let arguments = Arguments(arguments)
        return await withTaskGroup(of: Ending.self) { [options, variables] group in
            group.addTask {
                do {
                    let result = try await Subprocess.run(
                        executable, arguments: arguments, environment: .inherit.updating(variables),
                        platformOptions: options, input: .none, output: .bytes(limit: 256 * 1024), error: .discarded)
                    return .output(
                        result.standardOutput, isSuccess: result.terminationStatus.isSuccess,
                        status: "\(result.terminationStatus)")
                } catch {
                    return Task.isCancelled ? .cancelled : .fault("\(error)".withoutFinalStop)
                }
            }
            group.addTask {
                do {
                    try await Task.sleep(until: deadline, clock: .continuous)
                    return .timeout
                } catch { return .cancelled }
            }
            let first = await group.next() ?? .cancelled
            group.cancelAll()
            return first
        }
    }
}
