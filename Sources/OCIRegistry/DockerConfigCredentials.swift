import Concurrency
import Files
import FoundationEssentials
import HTTP
import OCI
import Synchronization

/// Credentials from a docker `config.json`: `auths`, `credHelpers` and `credsStore`; a mounted secret of type
/// `kubernetes.io/dockerconfigjson` has the same shape.
///
/// The file is read again when it changes. A file that is there and cannot be read, or is not a docker configuration,
/// is an error: an image must not be judged as anonymous would see it because of a typing error. So is an entry that is
/// not valid, for the registries that it is meant for; the others are in force.
public final class DockerConfigCredentials: RegistryCredentials {
    private struct State {
        var file: (path: String, version: FileAccess.Version)?
        var config = DockerConfig()
    }

    private struct HelperQuestion: Hashable, Sendable {
        let helper: String
        let server: String
    }

    private let path: String
    /// Whether a path was given: then the file must be there.
    private let isRequired: Bool
    private let helperPath: String?
    private let helperTime: Duration
    private let helperLifetime: Duration
    private let onProblem: (@Sendable (String) -> Void)?
    private let state = Mutex(State())
    private let answers = BoundedCache<HelperQuestion, RegistryCredential>(maximumCost: 1024)
    private let asking = SingleFlight<HelperQuestion, RegistryCredential, RegistryError>()

    /// Credentials from a file.
    ///
    /// - Parameters:
    ///   - path: the file, or a directory with `config.json` or `.dockerconfigjson` in it. `nil` is what Docker does:
    ///     `config.json` in `$DOCKER_CONFIG`, or in `.docker` of the home directory, and nothing when there is none.
    ///   - environment: where `DOCKER_CONFIG` and `HOME` come from.
    ///   - helperPath: where helpers are looked for, in place of the environment's `PATH`.
    ///   - helperTime: how long a helper may take.
    ///   - helperLifetime: how long a helper's answer is kept, unless a registry refuses it before.
    ///   - onProblem: told of each entry that is not valid, whenever the file is read. It is an error only for the
    ///     registries that it is meant for.
    public init(
        path: String? = nil, environment: [String: String] = ProcessInfo.processInfo.environment,
        helperPath: String? = nil, helperTime: Duration = .seconds(15), helperLifetime: Duration = .seconds(300),
        onProblem: (@Sendable (String) -> Void)? = nil
    ) {
        if let path {
            self.path = path
            isRequired = true
        } else if let directory = environment["DOCKER_CONFIG"], !directory.isEmpty {
            self.path = "\(directory)/config.json"
            isRequired = false
        } else {
            self.path = environment["HOME"].map { $0.isEmpty ? "" : "\($0)/.docker/config.json" } ?? ""
            isRequired = false
        }
        self.helperPath = helperPath
        self.helperTime = helperTime
        self.helperLifetime = helperLifetime
        self.onProblem = onProblem
    }

    /// The credential for a repository: from the helper that is meant for its registry, or from `auths`.
    public func credential(
        for endpoint: String, repository: String, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> RegistryCredential {
        let config = try config(endpoint)
        if let helper = config.helper(for: endpoint) {
            let answer = try await ask(Self.question(helper, endpoint), endpoint, deadline)
            if answer != .anonymous { return answer }
        }
        do { return try config.credential(for: endpoint, repository: repository) ?? .anonymous } catch {
            throw Self.fault(endpoint, "\(path): \(error)", isConfiguration: true)
        }
    }

    private static func fault(_ endpoint: String, _ problem: String, isConfiguration: Bool) -> RegistryError {
        RegistryError(
            .credentials, host: endpoint,
            detail:
                "the credentials cannot be read: \(problem); correct the docker configuration, or remove it to go without credentials",
            isConfiguration: isConfiguration)
    }

    /// Forgets what a helper answered.
    public func credentialRejected(_ credential: RegistryCredential, for endpoint: String, repository: String) async {
        guard let helper = (try? config(endpoint))?.helper(for: endpoint) else { return }
        answers.remove(Self.question(helper, endpoint)) { $0 == credential }
    }

    private static func question(_ helper: (name: String, server: String), _ endpoint: String) -> HelperQuestion {
        // What helpers know Docker Hub as.
        let isDockerHub = RegistryKey.canonical(endpoint) == RegistryName.dockerHub
        return HelperQuestion(
            helper: helper.name, server: isDockerHub ? "https://index.docker.io/v1/" : helper.server)
    }

    private func ask(
        _ question: HelperQuestion, _ endpoint: String, _ deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> RegistryCredential {
        if let known = answers.value(for: question) { return known }
        let program = CredentialHelper(name: question.helper, path: helperPath)
        return try await asking.value(
            for: question, deadline: min(deadline, .now + helperTime), workTime: helperTime,
            timeout: RegistryError(
                .timeout, host: endpoint,
                detail: "asking the credential helper \(program.program): no answer within the time allowed")
        ) { [self] (deadline) async throws(RegistryError) -> RegistryCredential in
            let answer = try await program.get(question.server, deadline: deadline) ?? .anonymous
            answers.insert(answer, for: question, expires: .now + helperLifetime)
            return answer
        }
    }

    /// The configuration as the file has it now.
    private func config(_ endpoint: String) throws(RegistryError) -> DockerConfig {
        guard !path.isEmpty else { return DockerConfig() }
        do throws(FileAccess.Fault) {
            guard let file = try find() else {
                guard !isRequired else { throw FileAccess.Fault(path, problem: "does not exist") }
                return DockerConfig()
            }
            if let known = state.withLock({ state in state.file.map { $0 == file } == true ? state.config : nil }) {
                return known
            }
            let content = try FileAccess.read(file.path, maximumBytes: 1 << 20)
            let config: DockerConfig
            do { config = try DockerConfig(parsing: content) } catch {
                throw FileAccess.Fault(file.path, problem: "is not a docker configuration: \(error)")
            }
            state.withLock { state in
                state.file = file
                state.config = config
            }
            for problem in config.problems { onProblem?("\(file.path): \(problem); the rest is in force") }
            return config
        } catch { throw Self.fault(endpoint, "\(error)", isConfiguration: error.isLasting) }
    }

    private func find() throws(FileAccess.Fault) -> (path: String, version: FileAccess.Version)? {
        guard let version = try FileAccess.version(path) else { return nil }
        guard version.isDirectory else { return (path, version) }
        for name in ["config.json", ".dockerconfigjson"] {
            if let version = try FileAccess.version("\(path)/\(name)") { return ("\(path)/\(name)", version) }
        }
        return nil
    }
}
