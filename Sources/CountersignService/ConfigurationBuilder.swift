import FoundationEssentials
import HTTP
import KeyManagement
import Logging
import Notation
import OCI
import Quotation
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
        metrics.collect { metrics in ConfigurationBuilder.report(BodyBudget.process, to: metrics) }
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
            if let directories = try directories(of: plugin) { trusted.add(directories) }
            verifiers.append(
                try verifier(plugin, trusted: trusted, areProvidersAwaited: false, warnings: &warnings).verifier)
        }
        let policy = try ConfigPolicy(configuration: configuration.policy, warnings: &warnings)
        warnings += ConfigurationBuilder.unjudgedTypes(of: policy, by: verifiers).map {
            "policy.plugin.artifactVerificationPolicies.\($0)"
        }
        BodyBudget.process.maximumBytes = configuration.settings.maximumDownloadBytes
        return BuiltConfiguration(
            snapshot: ConfigurationSnapshot(
                generation: generation, stores: stores, verifiers: verifiers, policy: policy,
                settings: configuration.settings,
                fingerprint: ConfigurationBuilder.fingerprint(of: content, configuration)),
            trusted: trusted, logger: configuration.logger, warnings: warnings)
    }

    /// What is wrong with a policy that asks for artifacts that nobody judges, each type with what it means.
    static func unjudgedTypes(of policy: any PolicyEnforcer, by verifiers: [any ArtifactVerifier]) -> [String] {
        policy.requiredTypes.filter { type in !verifiers.contains { $0.canVerify(artifactType: type) } }.map { type in
            "\(type.quoted): no verifier has this type among its artifactTypes, so that every image is refused"
        }
    }

    /// What decisions of a configuration are shared under; `nil` when they cannot be: an image layout is a directory of
    /// this machine, and another replica's may hold something else.
    static func fingerprint(of content: [UInt8], _ configuration: ServiceConfiguration) -> String? {
        guard configuration.stores.allSatisfy(\.type.isSameForAllReplicas) else { return nil }
        return "\(Release.version) \(Digest(of: content))"
    }

    /// Makes a source of trusted certificates.
    func provider(
        _ plugin: ServiceConfiguration.ProviderPlugin, warnings: inout [String]
    ) throws(ConfigurationError) -> any CertificateProvider {
        try KeyManagementFactory(clients: clients, azure: azure, environment: environment, logger: logger).make(
            plugin, warnings: &warnings)
    }

    /// Makes the source of the certificates in a verifier's own directories; `nil` when it names none.
    func directories(of plugin: ServiceConfiguration.VerifierPlugin) throws(ConfigurationError) -> (
        any CertificateProvider
    )? {
        let paths = try VerifierFactory.directories(plugin)
        guard !paths.isEmpty else { return nil }
        return try KeyManagementFactory.files(
            name: VerifierFactory.directories(of: plugin.name), paths: paths, path: "\(plugin.path).verificationCerts")
    }

    /// Makes a store.
    func store(
        _ plugin: ServiceConfiguration.StorePlugin, warnings: inout [String]
    ) throws(ConfigurationError) -> any ReferrerStore {
        try StoreFactory(
            clients: clients, metrics: metrics, azure: azure, environment: environment,
            privateAddresses: privateAddresses, content: content, contents: contents,
            onProblem: { [logger] in logger.warning("store \(plugin.name): \($0)") }
        ).make(plugin, warnings: &warnings)
    }

    /// Makes a verifier.
    func verifier(
        _ plugin: ServiceConfiguration.VerifierPlugin, trusted: TrustedCertificates, areProvidersAwaited: Bool,
        warnings: inout [String]
    ) throws(ConfigurationError) -> VerifierFactory.Made {
        try VerifierFactory(
            trusted: trusted, clients: clients, metrics: metrics, revocation: revocation,
            privateAddresses: privateAddresses,
            chains: chains, areProvidersAwaited: areProvidersAwaited, keepsDetails: keepsDetails
        ).make(plugin, warnings: &warnings)
    }

    private static func report(_ budget: BodyBudget, to metrics: MetricsRegistry) {
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
