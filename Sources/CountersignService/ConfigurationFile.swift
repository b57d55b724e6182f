import ConfigurationModel
import FoundationEssentials
import KeyManagement
import Logging
import ServiceLifecycle
import ServiceMetrics
import Synchronization
import Verification

/// `config.json`, read again when it changes. A file that is not valid leaves the former configuration in force.
package final class ConfigurationFile: ConfigurationSource, Service {
    private struct State {
        var built: BuiltConfiguration?
        /// The content in force.
        var content: [UInt8] = []
        var generation: UInt64 = 0
        /// Why the newest content is not in force; `nil` when it is.
        var failure: String?
        /// Refreshes the certificates of the configuration in force.
        var refreshing: Task<Void, Never>?
    }

    /// The file's path.
    package let path: String
    private let builder: ConfigurationBuilder
    private let interval: Duration
    private let logger: Logger
    private let metrics: MetricsRegistry
    private let state = Mutex(State())

    /// A source that has read nothing yet.
    package init(
        path: String, builder: ConfigurationBuilder, interval: Duration = .seconds(1), metrics: MetricsRegistry,
        logger: Logger
    ) {
        self.path = path
        self.builder = builder
        self.interval = interval
        self.metrics = metrics
        self.logger = logger
        metrics.collect { [weak self] metrics in self?.report(to: metrics) }
    }

    deinit { state.withLock { $0.refreshing?.cancel() } }

    /// Where the file is when no flag says so: `$RATIFY_CONFIG/config.json`, then `~/.ratify/config.json`.
    package static func defaultPath(environment: [String: String] = ProcessInfo.processInfo.environment) -> String {
        if let directory = environment["RATIFY_CONFIG"], !directory.isEmpty { return directory + "/config.json" }
        return (environment["HOME"] ?? "") + "/.ratify/config.json"
    }

    /// Reads the file, and brings it into force when it is new and valid.
    ///
    /// - Throws: ``ConfigurationError`` when it cannot be read or used; the former configuration stays in force.
    package func load() throws(ConfigurationError) {
        let content: [UInt8]
        do { content = try FilePoller.content(of: path) } catch {
            // Nothing is known against the configuration that is in force.
            let isInForce = error.isShortage && state.withLock { $0.built != nil }
            throw isInForce ? error : remember(error)
        }
        let (isInForce, generation) = state.withLock { state in
            let isInForce = state.built != nil && state.content == content
            // Somebody put the former content back: what was wrong with the other one is over.
            if isInForce { state.failure = nil }
            return (isInForce, state.generation + 1)
        }
        guard !isInForce else { return }
        // Content that failed is tried again each time: what it names may be there by now.
        do { install(try builder.build(content, generation: generation), content: content) } catch {
            throw remember(error)
        }
    }

    private func remember(_ error: ConfigurationError) -> ConfigurationError {
        state.withLock { $0.failure = error.description }
        return error
    }

    private func install(_ built: BuiltConfiguration, content: [UInt8]) {
        let refreshing = Task { await built.trusted.run() }
        let former = state.withLock { state in
            defer {
                state.built = built
                state.content = content
                state.generation = built.snapshot.generation
                state.failure = nil
                state.refreshing = refreshing
            }
            return state.refreshing
        }
        former?.cancel()
        for warning in built.warnings { logger.warning("configuration: \(warning)") }
        for provider in built.trusted.providers {
            if let error = provider.status.error { logger.warning("trusted certificates: \(error)") }
        }
        logger.info(
            "configuration in force", metadata: ["file": "\(path)", "generation": "\(built.snapshot.generation)"])
    }

    /// Looks at the file again and again, until graceful shutdown.
    package func run() async throws {
        let poller = FilePoller(
            interval: interval, logger: logger,
            consequence: "configuration not changed, the former one stays in force")
        await poller.run(load)
        state.withLock { $0.refreshing?.cancel() }
    }

    // MARK: ConfigurationSource

    package func snapshot(for namespace: String?) -> Result<ConfigurationSnapshot, ConfigurationUnavailable> {
        state.withLock { state in
            guard let built = state.built else {
                return .failure(
                    ConfigurationUnavailable(state.failure ?? "the configuration \(path) was not read yet"))
            }
            return .success(built.snapshot)
        }
    }

    package func trustGeneration(for namespace: String?) -> UInt64 {
        state.withLock { $0.built }?.trusted.generation ?? 0
    }

    package func trustFingerprint(for namespace: String?) -> String? {
        state.withLock { $0.built }?.trusted.fingerprint
    }

    package var readiness: Readiness {
        get async {
            let (built, failure) = state.withLock { ($0.built, $0.failure) }
            guard let built else { return .notReady(failure ?? "the configuration was not read yet") }
            let missing = built.trusted.missing
            guard missing.isEmpty else {
                return .notReady("no trusted certificates yet: \(missing.joined(separator: "; "))")
            }
            return .ready
        }
    }

    // MARK: Metrics

    private func report(to metrics: MetricsRegistry) {
        let (built, failure, generation) = state.withLock { ($0.built, $0.failure, $0.generation) }
        metrics.gauge(
            "countersign_configuration_valid", [], failure == nil ? 1 : 0,
            help: "1 when the newest configuration is in force, 0 when it is not valid and the former one stays.")
        metrics.gauge(
            "countersign_configuration_generation", [], Double(generation), help: "Configurations that came into force."
        )
        TrustMetrics.report(built?.trusted.providers ?? [], to: metrics)
    }
}
