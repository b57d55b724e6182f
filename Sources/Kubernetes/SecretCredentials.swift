import FoundationEssentials
import OCI
import Quotation
import StrictJSON
import Synchronization

/// Credentials of registries from Secrets of the cluster: those that are listed, then the image pull secrets of a
/// service account (types `kubernetes.io/dockerconfigjson` and `kubernetes.io/dockercfg`).
///
/// Its errors name secrets and namespaces, never what is in them.
package final class SecretCredentials: RegistryCredentials {
    private struct Known {
        /// The configurations in the order in which they are asked.
        var configurations: [DockerConfig]
        var expires: ContinuousClock.Instant
    }

    private let client: KubernetesClient
    private let secrets: [ResourceKey]
    private let account: ResourceKey
    private let life: Duration
    private let known = Mutex<Known?>(nil)
    private let reading = Mutex<Task<Result<[DockerConfig], RegistryError>, Never>?>(nil)

    /// How long reading takes at most, whoever waits for it.
    private static let patience = Duration.seconds(10)

    /// A source of credentials.
    ///
    /// - Parameters:
    ///   - secrets: the listed secrets; one that is missing is passed over.
    ///   - account: the service account whose image pull secrets, in its namespace, come after them.
    ///   - life: how long what was read counts, unless a registry refuses it before.
    package init(client: KubernetesClient, secrets: [ResourceKey], account: ResourceKey, life: Duration) {
        self.client = client
        self.secrets = secrets
        self.account = account
        self.life = life
    }

    package func credential(
        for endpoint: String, repository: String, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> RegistryCredential {
        for configuration in try await configurations(endpoint, deadline) {
            if let credential = configuration.credential(for: endpoint, repository: repository) { return credential }
        }
        return .anonymous
    }

    package func credentialRejected(
        _ credential: RegistryCredential, for endpoint: String, repository: String
    ) async {
        known.withLock { known in
            // Only what is kept: one that was read since is another.
            let kept = known?.configurations.lazy.compactMap { $0.credential(for: endpoint, repository: repository) }
            if kept?.first == credential { known = nil }
        }
    }

    private func configurations(
        _ endpoint: String, _ deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> [DockerConfig] {
        if let known = known.withLock(\.self), .now < known.expires { return known.configurations }
        // Read once for all who ask, and not ended by one of them.
        let task = reading.withLock { reading in
            if let reading { return reading }
            let task = Task { () async -> Result<[DockerConfig], RegistryError> in
                let result = await self.read(endpoint)
                if case .success(let configurations) = result {
                    self.known.withLock { $0 = Known(configurations: configurations, expires: .now + self.life) }
                }
                self.reading.withLock { $0 = nil }
                return result
            }
            reading = task
            return task
        }
        let result = await withTaskGroup(of: Result<[DockerConfig], RegistryError>?.self) { group in
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

    private func read(_ endpoint: String) async -> Result<[DockerConfig], RegistryError> {
        let deadline = ContinuousClock.now + SecretCredentials.patience
        do throws(KubernetesError) {
            var configurations: [DockerConfig] = []
            for key in secrets {
                if let found = try await configuration(key, isListed: true, deadline) { configurations.append(found) }
            }
            let account = try await client.get(
                .serviceAccount, name: account.name, namespace: account.namespace, deadline: deadline)
            for reference in account["imagePullSecrets"]?.array ?? [] {
                guard let name = reference["name"]?.string else { continue }
                let key = ResourceKey(namespace: self.account.namespace, name: name)
                if let found = try await configuration(key, isListed: false, deadline) { configurations.append(found) }
            }
            return .success(configurations)
        } catch {
            return .failure(
                RegistryError(
                    .credentials, host: endpoint, detail: "the registry credentials cannot be read: \(error)",
                    retryAfter: error.retryAfter))
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
        guard let text = secret["data"]?[member]?.string, let data = Data(base64Encoded: text) else {
            throw fault("has no \(member)")
        }
        do {
            // The older form is what `auths` holds in the newer one.
            guard member == ".dockercfg" else { return try DockerConfig(parsing: [UInt8](data)) }
            let auths: JSONValue
            do { auths = try StrictJSON.parse([UInt8](data)) } catch { throw fault("is not valid JSON: \(error)") }
            return try DockerConfig(parsing: JSONValue.object(["auths": auths]).bytes)
        } catch let error as DockerConfig.Fault {
            throw fault("is no docker configuration: \(error)")
        } catch let error as KubernetesError {
            throw error
        } catch { throw fault("cannot be read") }
    }
}
