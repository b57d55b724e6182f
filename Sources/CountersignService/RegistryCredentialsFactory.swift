import Azure
import ConfigurationModel
import FoundationEssentials
import HTTP
import Kubernetes
import OCIRegistry
import Quotation
import ServiceMetrics

/// What all Azure identities of the process share: it outlives changes of the configuration, so that tokens do too.
struct AzureAccess: Sendable {
    let tokens: AzureTokenCache
    let observe: AzureObserver
    /// The providers of key vaults that are alive.
    let vaults = KeyVaultProviders()

    init(metrics: MetricsRegistry) {
        let observe: AzureObserver = { exchange in
            let result = [("result", exchange.fault?.rawValue ?? "success")]
            let (seconds, attoseconds) = exchange.duration.components
            let milliseconds = Double(seconds) * 1000 + Double(attoseconds) / 1e15
            switch exchange.kind {
            case .accessToken:
                metrics.observe(
                    "ratify_aad_exchange_duration", result, milliseconds,
                    help: "Milliseconds to get an access token from Microsoft Entra ID or the metadata service.")
            case .registryToken:
                metrics.observe(
                    "ratify_acr_exchange_duration", result, milliseconds,
                    help: "Milliseconds to exchange an access token at Azure Container Registry.")
            case .vaultObject(let name):
                metrics.observe(
                    "ratify_akv_certificate_duration", [("certificate_name", name)] + result, milliseconds,
                    help: "Milliseconds to get a certificate or key with its versions from Azure Key Vault.")
            }
        }
        self.observe = observe
        tokens = AzureTokenCache(observe: observe)
    }
}

/// Makes sources of registry credentials from a store's `authProvider`.
struct RegistryCredentialsFactory {
    let clients: HTTPClients
    let azure: AzureAccess
    let environment: [String: String]
    /// The namespace of the store, when it is a resource of one: it has credentials of that namespace and no other.
    var namespace: String?
    /// Told of entries of a list of credentials that cannot be used.
    var onProblem: (@Sendable (String) -> Void)?

    /// Credentials, and whether they are tokens that must never travel in plain HTTP.
    func make(
        _ source: CredentialSource, _ provider: inout ConfigurationReader, http: any HTTPSending
    ) throws(ConfigurationError) -> (credentials: any RegistryCredentials, needsTLS: Bool) {
        provider.ignore("name")
        switch source {
        case .dockerConfig:
            return (DockerConfigCredentials(path: try provider.string("configPath"), onProblem: onProblem), false)
        case .k8Secrets: return (try secrets(&provider), false)
        case .azureWorkloadIdentity: return (try azure(&provider, http: http, isManaged: false), true)
        case .azureManagedIdentity: return (try azure(&provider, http: http, isManaged: true), true)
        }
    }

    /// Ratify's `k8Secrets`: the listed secrets, then the image pull secrets of a service account.
    private func secrets(
        _ provider: inout ConfigurationReader
    ) throws(ConfigurationError) -> any RegistryCredentials {
        let account = try provider.string("serviceAccountName") ?? "default"
        let seconds = try provider.integer("secretTimeout", in: 1...2_592_000) ?? 300
        let client: KubernetesClient
        do { client = try clients.kubernetes(environment: environment) } catch {
            throw ConfigurationError(path: provider.path, problem: "cannot be used: \(error)")
        }
        let home = namespace ?? environment["RATIFY_NAMESPACE"].flatMap { $0.isEmpty ? nil : $0 }
        guard let home else {
            throw ConfigurationError(
                path: provider.path, problem: "needs the environment variable RATIFY_NAMESPACE: where the secrets are")
        }
        var keys: [ResourceKey] = []
        for var reader in try provider.sections("secrets") {
            let name = try reader.requiredString("secretName")
            let wanted = try reader.string("namespace") ?? home
            guard namespace == nil || wanted == home else {
                throw ConfigurationError(
                    path: "\(reader.path).namespace",
                    problem:
                        "is \"\(wanted.quoted)\": a store of namespace \"\(home)\" has secrets of that namespace only")
            }
            keys.append(ResourceKey(namespace: wanted, name: name))
            provider.warnings += reader.unused()
        }
        return SecretCredentials(
            client: client, secrets: keys, account: ResourceKey(namespace: home, name: account),
            life: .seconds(seconds),
            onProblem: onProblem)
    }

    private func azure(
        _ provider: inout ConfigurationReader, http: any HTTPSending, isManaged: Bool
    ) throws(ConfigurationError) -> any RegistryCredentials {
        let client = try provider.string("clientID")
        let tenant = try provider.string("tenantID")
        let endpoints = try provider.strings("endpoints") ?? []
        var metadata = http
        if isManaged {
            do { metadata = try clients.withoutProxy() } catch {
                throw ConfigurationError(path: provider.path, problem: "cannot be used: \(error)")
            }
        }
        do throws(AzureError) {
            let source: any AzureTokenSource =
                isManaged
                ? try ManagedIdentity(clientID: client, environment: environment, http: metadata)
                : try WorkloadIdentity(clientID: client, tenantID: tenant, environment: environment, http: http)
            return try ContainerRegistryCredentials(
                source: source, tokens: azure.tokens, tenantID: tenant, endpoints: RegistryEndpoints(endpoints),
                environment: environment, http: http, observe: azure.observe)
        } catch { throw ConfigurationError(path: provider.path, problem: "cannot be used: \(error)") }
    }
}
