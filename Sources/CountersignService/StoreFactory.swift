import Azure
import Concurrency
import ConfigurationModel
import FoundationEssentials
import HTTP
import IPAddresses
import Logging
import OCI
import OCIRegistry
import Quotation
import ServiceMetrics
import SharedCache
import Verification

/// Makes stores from a configuration.
struct StoreFactory {
    let clients: HTTPClients
    let metrics: MetricsRegistry
    let azure: AzureAccess
    let environment: [String: String]
    /// What holds where the configuration does not say.
    var privateAddresses = PrivateAddresses.refused
    /// What other replicas have fetched.
    var content: RedisContent?
    /// Where manifests and signatures are kept in memory.
    var contents: ContentCache?
    /// Told of entries of a list of credentials that cannot be used, while the others are in force.
    var onProblem: (@Sendable (String) -> Void)?

    func make(
        _ plugin: ServiceConfiguration.StorePlugin, warnings: inout [String]
    ) throws(ConfigurationError) -> any ReferrerStore {
        switch plugin.type {
        case .oras: try registry(plugin, warnings: &warnings)
        case .ociLayout: try layout(plugin, warnings: &warnings)
        }
    }

    private func registry(
        _ plugin: ServiceConfiguration.StorePlugin, warnings: inout [String]
    ) throws(ConfigurationError) -> any ReferrerStore {
        var reader = ConfigurationReader(plugin.parameters, path: plugin.path)
        reader.ignore("name", "type", "version", "localCachePath", "source", "address")
        var options = RegistryOptions()
        options.plainHTTP = try reader.bool("useHttp") ?? false
        options.cosignSignatures = try reader.bool("cosignEnabled") ?? false
        let isCached = try reader.bool("cacheEnabled") ?? false
        // Ratify's chart: ten seconds unless set.
        let seconds = try reader.integer("ttl", in: 0...3600) ?? 10
        if isCached {
            options.tagCacheLifetime = .seconds(seconds)
            options.referrersCacheLifetime = .seconds(seconds)
        }
        if reader.object["allowPrivateAddresses"] != nil { try plugin.requireCluster("allowPrivateAddresses") }
        options.privateAddresses = try reader.privateAddresses() ?? privateAddresses
        if let realms = try reader.section("tokenRealms") {
            options.tokenRealms = try tokenRealms(realms, plugin)
        }
        let bundle = try reader.string("caBundle")
        if bundle != nil { try plugin.requireCluster("caBundle") }
        let client: any HTTPSending
        do { client = try clients.client(caBundle: bundle) } catch {
            throw ConfigurationError(path: "\(plugin.path).caBundle", problem: "cannot be used: \(error)")
        }
        let credentials = try credentials(plugin, &reader, http: client, &options)
        warnings += reader.unused()
        options.onAnswer = { [metrics] host, status in
            metrics.count(
                "ratify_registry_request_count",
                [("status_code", status.map(MetricsRegistry.status) ?? "none"), ("registry_host", metrics.host(host))],
                help: "Requests to registries and their token endpoints, by status and host.")
        }
        options.onWork = { [metrics] work, host, time in
            let stage: WorkStage =
                switch work {
                case .fetch: .fetch
                case .token: .token
                }
            metrics.observe(stage, at: host, time)
        }
        options.sharedContent = content?.content(of: plugin)
        options.contents = contents
        let registry = RegistryClient(name: plugin.name, http: client, credentials: credentials, options: options)
        metrics.collect(for: registry) { registry, metrics in StoreFactory.report(registry, to: metrics) }
        StoreFactory.show(registry, in: metrics)
        if let azure = credentials as? ContainerRegistryCredentials {
            metrics.caches.add("azure_registry_tokens", of: azure, maximumBytes: { $0.maximumBytes }) { $0.counts }
        }
        return registry
    }

    /// `{"registry.example.com": ["gitlab.example.com"]}`
    private func tokenRealms(
        _ section: ConfigurationReader, _ plugin: ServiceConfiguration.StorePlugin
    ) throws(ConfigurationError) -> TokenRealms {
        // What the pod has may belong to the whole cluster: a namespace does not say where it may go.
        let name = plugin.parameters["authProvider"]?["name"]?.string ?? CredentialSource.dockerConfig.name
        let source = try CredentialSource(parsing: name, path: "\(plugin.path).authProvider.name")
        if source != .k8Secrets { try plugin.requireCluster("tokenRealms") }
        var section = section
        var realms = TokenRealms()
        for registry in section.object.names {
            for host in try section.strings(registry) ?? [] {
                do throws(TokenRealms.Fault) { try realms.allow(host, for: registry) } catch {
                    throw ConfigurationError(path: section.path, problem: "has an entry that cannot be used: \(error)")
                }
            }
        }
        return realms
    }

    /// The caches of a store but the content, which all stores share: by the names that all caches' metrics have.
    private static let caches:
        [(
            name: String, counts: @Sendable (RegistryStatistics) -> CacheCounts,
            maximumBytes: @Sendable (RegistryOptions) -> Int
        )] = [
            ("descriptors", { $0.descriptors }, { $0.descriptorCacheBytes }),
            ("tags", { $0.tags }, { $0.tagCacheLifetime > .zero ? $0.descriptorCacheBytes : 0 }),
            ("referrers", { $0.referrers }, { $0.referrersCacheLifetime > .zero ? $0.referrersCacheBytes : 0 }),
            ("registry_tokens", { $0.tokens }, { $0.tokenCacheBytes }),
            ("registry_schemes", { $0.schemes }, { $0.tokenCacheBytes }),
            ("referrers_api", { $0.knownReferrersAPI }, { $0.repositoryCacheBytes }),
            (
                "missing_referrers_api", { $0.missingReferrersAPI },
                { $0.missingReferrersAPILifetime > .zero ? $0.repositoryCacheBytes : 0 }
            ),
            ("open_repositories", { $0.openRepositories }, { $0.repositoryCacheBytes }),
        ]

    static func show(_ registry: RegistryClient, in metrics: MetricsRegistry) {
        for (name, counts, maximumBytes) in caches {
            metrics.caches.add(name, of: registry, maximumBytes: { maximumBytes($0.options) }) { counts($0.statistics) }
        }
    }

    /// The caches of a store, which begin anew with each configuration.
    private static func report(_ registry: RegistryClient, to metrics: MetricsRegistry) {
        let statistics = registry.statistics
        let caches = [
            ("content", statistics.contents), ("descriptors", statistics.descriptors), ("tags", statistics.tags),
            ("referrers", statistics.referrers), ("tokens", statistics.tokens),
        ]
        for (cache, counts) in caches {
            let labels = [("store", registry.name), ("cache", cache)]
            metrics.gauge(
                "countersign_registry_cache_size", labels, Double(counts.cost),
                help: "The bytes that a store's cache holds, about; of content, all stores' together.")
            for (event, total) in [("hit", counts.hits), ("miss", counts.misses), ("eviction", counts.evictions)] {
                metrics.set(
                    total: Double(total), of: "countersign_registry_cache_events_total", labels + [("event", event)],
                    help: "Hits, misses and evictions of a store's caches since its configuration came into force.")
            }
        }
    }

    private func credentials(
        _ plugin: ServiceConfiguration.StorePlugin, _ reader: inout ConfigurationReader, http: any HTTPSending,
        _ options: inout RegistryOptions
    ) throws(ConfigurationError) -> any RegistryCredentials {
        // What the pod has may belong to the whole cluster: a namespace cannot make it travel unprotected.
        let isExposed = plugin.namespace != nil && options.plainHTTP
        guard var provider = try reader.section("authProvider") else {
            return isExposed ? AnonymousCredentials() : DockerConfigCredentials(onProblem: onProblem)
        }
        if provider.value("configPath") != nil { try plugin.requireCluster("authProvider.configPath") }
        let name = try provider.string("name") ?? CredentialSource.dockerConfig.name
        let source = try CredentialSource(parsing: name, path: "\(provider.path).name")
        if isExposed, source == .dockerConfig { return AnonymousCredentials() }
        if plugin.namespace != nil, let endpoints = provider.value("endpoints")?.strings,
            let other = endpoints.first(where: { !RegistryEndpoints.azure.contain($0) })
        {
            throw ConfigurationError(
                path: "\(provider.path).endpoints",
                problem:
                    "has \"\(other.quoted)\": only a resource of the cluster may send Azure tokens to other registries than Azure's"
            )
        }
        let (credentials, needsTLS) = try RegistryCredentialsFactory(
            clients: clients, azure: azure, environment: environment, namespace: plugin.namespace,
            onProblem: onProblem
        ).make(source, &provider, http: http)
        if needsTLS {
            guard !options.plainHTTP else {
                throw ConfigurationError(
                    path: "\(reader.path).useHttp", problem: "is true: this authProvider's tokens go over https only")
            }
            options.plainHTTPForLoopback = false
        }
        reader.warnings += provider.unused()
        return credentials
    }

    private func layout(
        _ plugin: ServiceConfiguration.StorePlugin, warnings: inout [String]
    ) throws(ConfigurationError) -> any ReferrerStore {
        var reader = ConfigurationReader(plugin.parameters, path: plugin.path)
        reader.ignore("name", "type", "version")
        try plugin.requireCluster("path")
        let path = try reader.requiredString("path")
        warnings += reader.unused()
        do { return try ImageLayout(directory: path, name: plugin.name) } catch {
            throw ConfigurationError(path: "\(plugin.path).path", problem: "is no image layout: \(error)")
        }
    }
}
