import ChildProcess
import FoundationEssentials
import Quotation
import StrictJSON

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

    /// Runs the program.
    func token(deadline: ContinuousClock.Instant) async throws(KubernetesError) -> Token {
        func fault(_ kind: KubernetesError.Kind, _ problem: String) -> KubernetesError {
            let hint = installHint.map { "; \($0.quoted)" } ?? ""
            return KubernetesError(kind, detail: "the exec plugin \(command.quotedPath) \(problem)\(hint)")
        }
        let information: JSONValue = [
            "apiVersion": .string(apiVersion), "kind": "ExecCredential", "spec": ["interactive": false],
        ]
        let program = ChildProcess(
            command, arguments: arguments,
            environment: ["KUBERNETES_EXEC_INFO": information.text].merging(environment) { $1 },
            outputLimit: 256 * 1024)
        switch await program.run(until: deadline) {
        case .timeout: throw fault(.unavailable, "did not answer in time")
        case .cancelled: throw KubernetesError(.cancelled, detail: "the call was cancelled")
        case .fault(let problem, _): throw fault(.configuration, problem)
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
}
