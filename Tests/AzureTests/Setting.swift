import Azure
import Foundation
import HTTP
import OCI
import OCIRegistry
import Synchronization
import TestSupport

/// An emulator, a client that trusts it, and the environment that a pod would have.
struct Setting {
    let azure: AzureEmulator
    let http: HTTPClient
    let directory: TemporaryDirectory
    let environment: [String: String]
    var settings = AzureEmulator.Settings()

    init(_ adjust: (inout AzureEmulator.Settings) -> Void = { _ in }) async throws {
        adjust(&settings)
        azure = try await AzureEmulator.start(settings)
        directory = try TemporaryDirectory()
        let bundle = directory.write(azure.authorityPEM, to: "authority.pem")
        let file = directory.write(settings.assertion + "\n", to: "token")
        http = try HTTPClient(configuration: HTTPClientConfiguration(extraCABundle: bundle, environment: [:]))
        environment = azure.workloadEnvironment(tokenFile: file).merging([
            "AZURE_POD_IDENTITY_AUTHORITY_HOST": azure.url
        ]) { $1 }
    }

    func end() async {
        await http.shutdown()
        await azure.stop()
        directory.remove()
    }

    var workload: WorkloadIdentity {
        get throws { try WorkloadIdentity(environment: environment, http: http) }
    }

    var managed: ManagedIdentity {
        get throws {
            try ManagedIdentity(environment: environment, http: http, baseBackoff: .milliseconds(20))
        }
    }

    /// Credentials for the emulator's registry, unless a test says which.
    func credentials(
        endpoints: [String]? = nil, tokens: AzureTokenCache = .init(), observe: @escaping AzureObserver = { _ in }
    ) throws -> ContainerRegistryCredentials {
        try ContainerRegistryCredentials(
            source: workload, tokens: tokens, endpoints: RegistryEndpoints(endpoints ?? [azure.host]),
            environment: environment, http: http, observe: observe)
    }

    /// A client of the emulator's vault.
    func vault(_ uri: String? = nil, tokens: AzureTokenCache = .init()) throws -> KeyVaultClient {
        try KeyVaultClient(vaultURI: uri ?? azure.vaultURL, source: workload, tokens: tokens, http: http)
    }

    /// A provider of the emulator's vault that is in no hurry unless a test says so.
    func provider(
        _ certificates: [KeyVaultObject], keys: [KeyVaultObject] = [], interval: Duration = .seconds(3600),
        former: KeyVaultCertificates? = nil, observe: @escaping AzureObserver = { _ in },
        notice: @escaping @Sendable (KeyVaultNotice) -> Void = { _ in }
    ) throws -> KeyVaultCertificates {
        var settings = KeyVaultCertificates.Settings(
            certificates: certificates, keys: keys, refreshInterval: interval)
        settings.retryInterval = .milliseconds(20)
        return try KeyVaultCertificates(
            name: "vault", client: vault(), settings: settings, former: former, observe: observe, notice: notice)
    }

    func client(_ credentials: any RegistryCredentials) -> RegistryClient {
        var options = RegistryOptions()
        options.plainHTTPForLoopback = false
        options.retry = RetryPolicy(maximumAttempts: 2, baseBackoff: .milliseconds(5))
        return RegistryClient(name: "oras", http: http, credentials: credentials, options: options)
    }

    func reference(_ repository: String = "team/app") throws -> ImageReference {
        try ImageReference(parsing: "\(azure.host)/\(repository):v1")
    }
}

/// A deadline that no test should reach.
var soon: ContinuousClock.Instant { .now + .seconds(60) }

/// Runs a test with an emulator, and ends that.
func withAzure(
    _ adjust: (inout AzureEmulator.Settings) -> Void = { _ in }, _ body: (Setting) async throws -> Void
) async throws {
    let setting = try await Setting(adjust)
    do { try await body(setting) } catch {
        await setting.end()
        throw error
    }
    await setting.end()
}

/// The error of something that fails; `nil` when it does not.
func azureError(_ body: () async throws -> some Any) async -> AzureError? {
    do { _ = try await body() } catch { return error as? AzureError }
    return nil
}

/// The error of something that fails; `nil` when it does not.
func registryError(_ body: () async throws -> some Any) async -> RegistryError? {
    do { _ = try await body() } catch { return error as? RegistryError }
    return nil
}
