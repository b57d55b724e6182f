import Concurrency
import ConfigurationModel
import CustomResources
import FoundationEssentials
import HTTP
import Kubernetes
import Kyverno
import Logging
import Prewarming
import ProviderServer
import Quotation
import ServiceLifecycle
import ServiceLogging
import ServiceMetrics
import SharedCache
import Verification

/// What `serve` is told on its command line.
package struct ServerSettings: Sendable {
    /// The configuration file; `nil` for Ratify's place.
    package var configurationPath: String?
    /// Addresses, certificates and limits.
    package var provider: ProviderConfiguration
    /// The listener for Kyverno; `nil` for none.
    package var kyverno: KyvernoListener?
    /// How verdicts are remembered.
    package var decisions: DecisionSettings
    /// The cache that replicas share; `nil` for none.
    package var shared: SharedCacheSettings?
    /// The audiences that a token of Kyverno may have.
    package var kyvernoAudiences = [TokenReviewer.ownAudience]
    /// What of the certificates comes from the cluster.
    package var clusterCertificates = ClusterCertificateSettings()
    /// Whether custom resources say what is verified and how; the file then says only how requests are served.
    package var usesResources: Bool

    /// Settings of a server.
    package init(
        configurationPath: String?, provider: ProviderConfiguration, decisions: DecisionSettings,
        usesResources: Bool = false
    ) {
        self.usesResources = usesResources
        self.configurationPath = configurationPath
        self.provider = provider
        self.decisions = decisions
    }
}

/// How verdicts, and what they rest on, are remembered.
package struct DecisionSettings: Sendable, Hashable {
    /// How long a verdict is; zero is not at all.
    package var lifetime: Duration
    /// How many bytes verdicts, manifests and signatures may take at most.
    package var maximumBytes: Int

    /// Settings, by default Ratify's lifetime. The bytes are those of some thousand images.
    package init(lifetime: Duration = .seconds(10), maximumBytes: Int = 12 << 20) {
        self.lifetime = lifetime
        self.maximumBytes = maximumBytes
    }

    /// The share of verdicts: a quarter, about what a verdict takes beside a manifest and an envelope.
    var verdictBytes: Int { maximumBytes / 4 }
    /// The share of manifests and signatures.
    var contentBytes: Int { maximumBytes - verdictBytes }
}

/// Why the server does not start.
package struct CountersignServerError: Error, Sendable, CustomStringConvertible {
    /// What is wrong and what to do.
    package let description: String
}

/// The whole program as one service: configuration, certificates, provider.
package final class CountersignServer: Sendable {
    private let settings: ServerSettings
    private let environment: [String: String]

    /// A server that has read nothing yet.
    package init(
        _ settings: ServerSettings, environment: [String: String] = ProcessInfo.processInfo.environment
    ) {
        self.settings = settings
        self.environment = environment
    }

    /// Serves until SIGTERM or SIGINT, then answers what is in flight.
    ///
    /// - Throws: ``CountersignServerError`` or `ProviderServerError` when it cannot start.
    package func run() async throws {
        MemoryKeeper.setUp()
        let path = settings.configurationPath ?? ConfigurationFile.defaultPath(environment: environment)
        let (logger, log) = try logger(path: path)
        // Whatever is said of the end comes out before it.
        do { try await serve(path, logger, log) } catch {
            await log.finish()
            throw error
        }
        await log.finish()
    }

    private func serve(_ path: String, _ logger: Logger, _ log: LogWriter) async throws {
        let metrics = MetricsRegistry()
        metrics.collect { metrics in
            metrics.set(
                total: Double(log.droppedLines), of: "countersign_log_lines_dropped_total",
                help: "Log lines that were not written, because what reads them is too slow or gone.")
        }
        let shared = try sharedCache(metrics, logger)
        let builder = ConfigurationBuilder(
            metrics: metrics, logger: logger, environment: environment, content: shared?.content,
            contentBytes: settings.decisions.contentBytes)
        let source: any ConfigurationSource
        let keeping: [any Service]
        var client: KubernetesClient?
        if settings.usesResources {
            let (resources, services, kubernetes) = try resources(path, builder, metrics, logger)
            (source, keeping, client) = (resources, services, kubernetes)
        } else {
            let file = ConfigurationFile(path: path, builder: builder, metrics: metrics, logger: logger)
            do { try file.load() } catch { throw CountersignServerError(description: "\(path.quotedPath): \(error)") }
            (source, keeping) = (file, [file])
        }
        metrics.gauge(
            "countersign_build_info", [("version", Release.version)], 1, help: "The version that runs.")

        if shared != nil, case .success(let snapshot) = source.snapshot(for: nil), snapshot.fingerprint == nil {
            logger.warning(
                "verdicts are not shared, although --cache-type is redis: a store is an image layout of this machine")
        }
        let decisions = DecisionCache(
            timeToLive: settings.decisions.lifetime, maximumBytes: settings.decisions.verdictBytes)
        let service = PipelineService(
            source: source, cache: decisions, metrics: metrics, shared: shared?.decisions)
        var providerConfiguration = settings.provider
        let certificates = try ClusterCertificates(
            settings.clusterCertificates, provider: &providerConfiguration, environment: environment, logger: logger)
        let kubernetes = try kyvernosClient(logger)
        let reviewer = kubernetes.map { TokenReviewer(client: $0, audiences: settings.kyvernoAudiences) }
        if let reviewer {
            metrics.caches.add("callers", of: reviewer, maximumBytes: { $0.maximumBytes }) { $0.counts }
        }
        let provider = try EndpointServer(
            configuration: providerConfiguration, kyverno: settings.kyverno, service: service, metrics: metrics,
            logger: logger, callers: reviewer)
        let prewarmer = Prewarmer(service: service, source: source, metrics: metrics, logger: logger) {
            [environment] () throws(KubernetesError) in
            try KubernetesClient(KubernetesConfiguration.automatic(environment: environment))
        }
        let services: [[any Service]] = [
            keeping, [builder.revocation, MemoryKeeper(decisions: decisions)], shared.map { [$0.decisions] } ?? [],
            certificates.map { [$0] } ?? [],
            [prewarmer, provider],
        ]
        var configuration = ServiceGroupConfiguration(
            services: services.flatMap(\.self),
            gracefulShutdownSignals: [.sigterm, .sigint],
            logger: quiet(logger))
        configuration.maximumGracefulShutdownDuration =
            settings.provider.shutdownDelay + settings.provider.shutdownGrace + .seconds(1)
        try await ServiceGroup(configuration: configuration).run()
        await client?.shutdown()
        await kubernetes?.shutdown()
        await builder.shutdown()
    }

    private func sharedCache(_ metrics: MetricsRegistry, _ logger: Logger) throws -> SharedCache? {
        guard let shared = settings.shared, settings.decisions.lifetime > .zero else { return nil }
        do {
            return try SharedCache(
                shared, maximumLife: settings.decisions.lifetime, metrics: metrics, logger: logger)
        } catch { throw CountersignServerError(description: error.description) }
    }

    /// The API server that confirms Kyverno's tokens; `nil` when Kyverno is not served, or by client certificate only.
    private func kyvernosClient(_ logger: Logger) throws -> KubernetesClient? {
        guard settings.kyverno != nil else { return nil }
        do {
            return try KubernetesClient(KubernetesConfiguration.automatic(environment: environment))
        } catch {
            guard settings.provider.certificates?.clientAuthorities.isEmpty == false else {
                throw CountersignServerError(
                    description:
                        "Kyverno cannot be told from anybody else: the Kubernetes API, where its token is confirmed, is not to be had (\(error)), and no authorities of client certificates are given (--ca-cert-file)"
                )
            }
            logger.warning(
                "Kyverno is let in by client certificate only, which it does not have: its token cannot be confirmed",
                metadata: ["reason": "\(error)"])
            return nil
        }
    }

    /// Custom resources as the source of the configuration, and what keeps them up to date.
    private func resources(
        _ path: String, _ builder: ConfigurationBuilder, _ metrics: MetricsRegistry, _ logger: Logger
    ) throws -> (ResourceConfiguration, [any Service], KubernetesClient) {
        let client: KubernetesClient
        do throws(KubernetesError) {
            client = try KubernetesClient(try KubernetesConfiguration.automatic(environment: environment)) {
                logger.notice("\($0)")
            }
        } catch { throw CountersignServerError(description: "--enable-crd-manager: \(error)") }
        let home = environment["RATIFY_NAMESPACE"].flatMap { $0.isEmpty ? nil : $0 } ?? client.configuration.namespace
        let resources = ResourceConfiguration(parts: builder, home: home, metrics: metrics, logger: logger)
        let file = SettingsFile(path: path, logger: logger) { settings in
            ResponseBodyBudget.process.maximumBytes = settings.maximumDownloadBytes
            resources.use(settings)
        }
        do { try file.load() } catch { throw CountersignServerError(description: "\(path.quotedPath): \(error)") }
        let reconciler = ResourceReconciler(
            client: client, configuration: resources, metrics: metrics, logger: logger)
        return (resources, [file, reconciler], client)
    }

    private func quiet(_ logger: Logger) -> Logger {
        var quiet = logger
        quiet.logLevel = max(logger.logLevel, .warning)
        return quiet
    }

    /// The logger that the configuration asks for, and what writes its lines; a configuration that cannot be read is
    /// told by `load()`.
    private func logger(path: String) throws -> (Logger, LogWriter) {
        var wanted = ServiceConfiguration.Logger()
        if let content = try? Data(contentsOf: URL(filePath: path)),
            let configuration = try? ServiceConfiguration(parsing: Array(content), isWhole: false)
        {
            wanted = configuration.logger
        }
        if let level = environment["RATIFY_LOG_LEVEL"], !level.isEmpty { wanted.level = level }
        guard let level = Logger.Level(named: wanted.level) else {
            throw CountersignServerError(
                description:
                    "log level \"\(wanted.level.quoted)\" is not known: use trace, debug, info, warning, error or critical"
            )
        }
        let format = LogFormat(rawValue: wanted.formatter) ?? .text
        let label = "countersign"
        let log = LogWriter(format: format, label: label)
        let logger = Logger(label: label) {
            StructuredLogHandler(label: $0, format: format, level: level) { log.write($0) }
        }
        return (logger, log)
    }
}
