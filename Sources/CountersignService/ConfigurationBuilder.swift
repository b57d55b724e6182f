import Concurrency
import ConfigurationModel
import CustomResources
import FoundationEssentials
import IPAddresses
import KeyManagement
import Logging
import Notation
import NotationVerifier
import OCI
import OCIRegistry
import ServiceMetrics
import SharedCache
import SigstoreTrust
import Verification

/// A configuration made real: the snapshot that answers, and the trusted certificates that stand behind it.
package struct BuiltConfiguration: Sendable {
    /// What answers requests.
    package let snapshot: ConfigurationSnapshot
    /// The trusted certificates; what refreshes them runs for as long as this configuration is in force.
    package let trusted: TrustedCertificates
    /// How the program logs.
    package let logger: ServiceConfiguration.Logger
    /// What in the configuration has no effect.
    package let warnings: [String]
}

/// Makes everything that a configuration names. Whatever it cannot make is an error: no part is left out silently.
package struct ConfigurationBuilder: Sendable {
    private let clients: HTTPClients
    private let metrics: MetricsRegistry
    private let azure: AzureAccess
    private let environment: [String: String]
    /// Chains of certificates that were parsed: they outlive changes of the configuration.
    private let chains = CertificateChainCache()
    /// Trusted roots of Sigstore: they outlive changes of the configuration, too.
    private let trustedRoots = TrustedRootOrigins()
    private let privateAddresses: PrivateAddresses
    private let keepsDetails: Bool
    private let content: RedisContent?
    /// Manifests and signatures in memory, of all stores.
    private let contents: ContentCache
    private let logger: Logger
    /// What is known of revoked certificates; a server runs it.
    package let revocation = RevocationAnswers()

    /// A builder whose stores share outbound connections and tokens.
    ///
    /// - Parameters:
    ///   - environment: where identities of the pod come from.
    ///   - followsStrangers: whether URLs that certificates and registries supply may lead to private addresses where
    ///     the configuration does not say: where a person runs the command for himself.
    ///   - keepsDetails: whether reports hold every validation, as the command line shows them. They are many times as
    ///     large as what is answered.
    ///   - content: what other replicas have fetched.
    ///   - contentBytes: how many bytes of manifests and signatures are kept in memory.
    package init(
        metrics: MetricsRegistry, logger: Logger,
        environment: [String: String] = ProcessInfo.processInfo.environment, followsStrangers: Bool = false,
        keepsDetails: Bool = false, content: RedisContent? = nil, contentBytes: Int = 16 << 20
    ) {
        contents = ContentCache(maximumBytes: contentBytes)
        privateAddresses = followsStrangers ? .allowed : .refused
        self.keepsDetails = keepsDetails
        self.content = content
        self.metrics = metrics
        self.environment = environment
        self.logger = logger
        azure = AzureAccess(metrics: metrics)
        clients = HTTPClients(logger: logger)
        metrics.collect { [revocation] metrics in revocation.report(to: metrics) }
        metrics.collect { metrics in ConfigurationBuilder.report(ResponseBodyBudget.process, to: metrics) }
        metrics.caches.add("revocation", of: revocation.cache, maximumBytes: { $0.maximumBytes }) { $0.counts }
        metrics.caches.add("chains", of: chains, maximumBytes: { $0.maximumBytes }) { $0.counts }
        metrics.caches.add("content", of: contents, maximumBytes: { _ in contentBytes }) { $0.counts }
        metrics.caches.add("azure_tokens", of: azure.tokens, maximumBytes: { $0.maximumBytes }) { $0.counts }
    }

    /// Makes a configuration.
    ///
    /// - Parameters:
    ///   - content: the bytes of `config.json`.
    ///   - generation: the number of the snapshot.
    package func build(
        _ content: [UInt8], generation: UInt64
    ) throws(ConfigurationError) -> BuiltConfiguration {
        let configuration = try ServiceConfiguration(parsing: content)
        var warnings = configuration.warnings
        let trusted = TrustedCertificates()
        for plugin in configuration.keyManagementProviders {
            trusted.add(try provider(plugin, warnings: &warnings))
        }
        var stores: [any ReferrerStore] = []
        for plugin in configuration.stores { stores.append(try store(plugin, warnings: &warnings)) }
        var verifiers: [any ArtifactVerifier] = []
        for plugin in configuration.verifiers {
            let definition = try verifier(plugin, warnings: &warnings)
            if let directories = definition.directories { trusted.add(directories) }
            if let missing = definition.missingProviders(in: trusted).first {
                throw ConfigurationError(
                    path: "\(plugin.path).\(plugin.type.policyParameter)", problem: "cannot be served: \(missing)")
            }
            warnings += definition.unusableStores(in: trusted)
            warnings += definition.warnings(about: stores).map { "\(plugin.path): \($0)" }
            verifiers.append(definition.verifier(trusting: trusted, areProvidersAwaited: false))
        }
        let snapshot = ConfigurationSnapshot(
            generation: generation, stores: stores, verifiers: verifiers,
            policy: try ConfigPolicy(configuration: configuration.policy, warnings: &warnings),
            settings: configuration.settings,
            fingerprint: fingerprint(of: content, stores: configuration.stores.map(\.type)))
        warnings += snapshot.unjudgedTypes.map { "policy.plugin.artifactVerificationPolicies.\($0)" }
        ResponseBodyBudget.process.maximumBytes = configuration.settings.maximumDownloadBytes
        return BuiltConfiguration(
            snapshot: snapshot, trusted: trusted, logger: configuration.logger, warnings: warnings)
    }

    private static func report(_ budget: ResponseBodyBudget, to metrics: MetricsRegistry) {
        let counts = budget.counts
        metrics.gauge(
            "countersign_download_bytes", [], Double(counts.bytes),
            help: "Bytes of answers that are in memory now (executor.maximumDownloadBytes).")
        metrics.set(
            total: Double(counts.evictions), of: "countersign_downloads_displaced_total",
            help: "Downloads that were ended because another host needed their room.")
        metrics.set(
            total: Double(counts.refusals), of: "countersign_downloads_refused_total",
            help: "Downloads that were ended because there was no room for them.")
    }

    /// Closes the outbound connections.
    package func shutdown() async { await clients.shutdown() }
}

extension ConfigurationBuilder: ConfigurationParts {
    package func store(
        _ plugin: ServiceConfiguration.StorePlugin, warnings: inout [String]
    ) throws(ConfigurationError) -> any ReferrerStore {
        try StoreFactory(
            clients: clients, metrics: metrics, azure: azure, environment: environment,
            privateAddresses: privateAddresses, content: content, contents: contents,
            onProblem: { [logger] in logger.warning("store \(plugin.name): \($0)") }
        ).make(plugin, warnings: &warnings)
    }

    package func provider(
        _ plugin: ServiceConfiguration.ProviderPlugin, warnings: inout [String]
    ) throws(ConfigurationError) -> any CertificateProvider {
        try KeyManagementFactory(
            clients: clients, azure: azure, origins: trustedRoots, environment: environment, logger: logger
        ).make(plugin, warnings: &warnings)
    }

    package func verifier(
        _ plugin: ServiceConfiguration.VerifierPlugin, warnings: inout [String]
    ) throws(ConfigurationError) -> any VerifierDefinition {
        try VerifierFactory(
            clients: clients, metrics: metrics, revocation: revocation, privateAddresses: privateAddresses,
            chains: chains, keepsDetails: keepsDetails
        ).make(plugin, warnings: &warnings)
    }

    /// An image layout is a directory of this machine, and another replica's may hold something else.
    package func fingerprint(of content: [UInt8], stores: [StoreType]) -> String? {
        guard stores.allSatisfy(\.isSameForAllReplicas) else { return nil }
        return "\(Release.version) \(Digest(of: content))"
    }
}
