import Encoding
import OCI
import OCIRegistry
import Quotation
import StrictJSON
import Synchronization

/// Credentials of registries from Secrets of the cluster: those that are listed, then the image pull secrets of a
/// service account (types `kubernetes.io/dockerconfigjson` and `kubernetes.io/dockercfg`).
///
/// Its errors name secrets and namespaces, never what is in them.
package final class SecretCredentials: RegistryCredentials {
    private struct Known {
        var content: Content
        var expires: ContinuousClock.Instant
    }

    /// What was read.
    private struct Content: Sendable {
        /// The configurations in the order in which they are asked.
        var configurations: [DockerConfig] = []
        /// Secrets that cannot be used, and why: the others are in force. Whoever finds no credential in those is told.
        var faults: [String] = []
    }

    private let client: KubernetesClient
    private let secrets: [ResourceKey]
    private let account: ResourceKey
    private let life: Duration
    private let known = Mutex<Known?>(nil)
    private let reading = Mutex<Task<Result<Content, RegistryError>, Never>?>(nil)
    private let onProblem: (@Sendable (String) -> Void)?

    /// How long reading takes at most, whoever waits for it.
    private static let timeout = Duration.seconds(10)
    /// How long what was read counts at most while a part of it cannot be used.
    private static let faultyLife = Duration.seconds(10)

    /// A source of credentials.
    ///
    /// - Parameters:
    ///   - secrets: the listed secrets; one that is missing is passed over.
    ///   - account: the service account whose image pull secrets, in its namespace, come after them.
    ///   - life: how long what was read counts, unless a registry refuses it before.
    ///   - onProblem: told of each secret, or entry of one, that cannot be used, whenever they are read.
    package init(
        client: KubernetesClient, secrets: [ResourceKey], account: ResourceKey, life: Duration,
        onProblem: (@Sendable (String) -> Void)? = nil
    ) {
        self.onProblem = onProblem
        self.client = client
        self.secrets = secrets
        self.account = account
        self.life = life
    }

    package func credential(
        for endpoint: String, repository: String, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> RegistryCredential {
        let content = try await content(endpoint, deadline)
        var faults = content.faults
        for configuration in content.configurations {
            do throws(DockerConfig.Fault) {
                if let credential = try configuration.credential(for: endpoint, repository: repository) {
                    return credential
                }
            } catch { faults.append("a secret's \(error)") }
        }
        // The one that is missing may be in what cannot be used.
        guard faults.isEmpty else {
            throw RegistryError(
                .credentials, host: endpoint,
                detail:
                    "the registry credentials cannot be read: \(faults.prefix(3).joined(separator: "; ")); correct this, or remove it to go without credentials",
                isConfiguration: true)
        }
        return .anonymous
    }

    package func credentialRejected(
        _ credential: RegistryCredential, for endpoint: String, repository: String
    ) async {
        known.withLock { known in
            // Only what is kept: one that was read since is another.
            let kept = known?.content.configurations.lazy.compactMap {
                (try? $0.credential(for: endpoint, repository: repository)) ?? nil
            }
            if kept?.first == credential { known = nil }
        }
    }

    private func content(
        _ endpoint: String, _ deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> Content {
        if let known = known.withLock(\.self), .now < known.expires { return known.content }
        // Read once for all who ask, and not ended by one of them.
        let task = reading.withLock { reading in
            if let reading { return reading }
            let task = Task { () async -> Result<Content, RegistryError> in
                let result = await self.read(endpoint)
                if case .success(let content) = result {
                    let problems = content.faults + content.configurations.flatMap(\.problems)
                    let life = problems.isEmpty ? self.life : min(self.life, Self.faultyLife)
                    self.known.withLock { $0 = Known(content: content, expires: .now + life) }
                    for problem in problems {
                        self.onProblem?("registry credentials: \(problem); the rest is in force")
                    }
                }
                self.reading.withLock { $0 = nil }
                return result
            }
            reading = task
            return task
        }
        let result = await withTaskGroup(of: Result<Content, RegistryError>?.self) { group in
            group.addTask { await task.value }
            group.addTask {
                try? await Task.sleep(until: deadline, clock: .continuous)
                return nil
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            return first
        }
        guard let result else {
            throw RegistryError(
                .timeout, host: endpoint,
                detail:
                    "reading the registry credentials from the Kubernetes API server \(client.host): no answer within the time allowed"
            )
        }
        return try result.get()
    }

    private func read(_ endpoint: String) async -> Result<Content, RegistryError> {
        let deadline = ContinuousClock.now + SecretCredentials.timeout
        var content = Content()
        /// Takes what cannot be used for good; what may be there in a moment ends the reading.
        func take(
            _ part: () async throws(KubernetesError) -> DockerConfig?
        ) async throws(KubernetesError) {
            do throws(KubernetesError) {
                if let found = try await part() { content.configurations.append(found) }
            } catch {
                guard !error.isTransient else { throw error }
                content.faults.append("\(error)")
            }
        }
        do throws(KubernetesError) {
            for key in secrets {
                try await take { () async throws(KubernetesError) in
                    try await configuration(key, isListed: true, deadline)
                }
            }
            var pullSecrets: [ResourceKey] = []
            try await take { () async throws(KubernetesError) in
                let account = try await client.get(
                    .serviceAccount, name: self.account.name, namespace: self.account.namespace, deadline: deadline)
                guard let list = account["imagePullSecrets"], !list.isNull else { return nil }
                let names = (list.array ?? [.null]).map { $0["name"]?.string }
                pullSecrets = names.compactMap(\.self).map { ResourceKey(namespace: self.account.namespace, name: $0) }
                guard names.contains(nil) else { return nil }
                throw KubernetesError(
                    .configuration,
                    detail:
                        "imagePullSecrets of the service account \"\(self.account.name)\" has an entry without a name")
            }
            for key in pullSecrets {
                try await take { () async throws(KubernetesError) in
                    try await configuration(key, isListed: false, deadline)
                }
            }
            return .success(content)
        } catch {
            return .failure(
                RegistryError(
                    .credentials, host: endpoint, detail: "the registry credentials cannot be read: \(error)",
                    retryAfter: error.retryAfter, isConfiguration: !error.isTransient))
        }
    }

    /// What a secret holds; `nil` when it is missing or, among image pull secrets, of another type.
    private func configuration(
        _ key: ResourceKey, isListed: Bool, _ deadline: ContinuousClock.Instant
    ) async throws(KubernetesError) -> DockerConfig? {
        let secret: JSONObject
        do throws(KubernetesError) {
            secret = try await client.get(.secret, name: key.name, namespace: key.namespace, deadline: deadline)
        } catch {
            if error.kind == .notFound { return nil }
            throw error
        }
        func fault(_ problem: String) -> KubernetesError {
            KubernetesError(
                .configuration, detail: "the secret \"\(key.name)\" in namespace \"\(key.namespace ?? "")\" \(problem)")
        }
        let type = secret["type"]?.string ?? ""
        let member: String
        switch type {
        case "kubernetes.io/dockerconfigjson": member = ".dockerconfigjson"
        case "kubernetes.io/dockercfg": member = ".dockercfg"
        default:
            guard isListed else { return nil }
            throw fault(
                "is of type \"\(type.quoted)\": expected kubernetes.io/dockerconfigjson or kubernetes.io/dockercfg")
        }
        guard let text = secret["data"]?[member]?.string, let data = Base64.decode(text, allowsLeftoverBits: true)
        else {
            throw fault("has no \(member)")
        }
        do {
            // The older form is what `auths` holds in the newer one.
            guard member == ".dockercfg" else { return try DockerConfig(parsing: data) }
            let auths: JSONValue
            do { auths = try StrictJSON.parse(data) } catch { throw fault("is not valid JSON: \(error)") }
            return try DockerConfig(parsing: JSONValue.object(["auths": auths]).bytes)
        } catch let error as DockerConfig.Fault {
            throw fault("is no docker configuration: \(error)")
        } catch let error as KubernetesError {
            throw error
        } catch { throw fault("cannot be read") }
    }
}
