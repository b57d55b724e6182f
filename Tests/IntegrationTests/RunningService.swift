import CountersignService
import Foundation
import Kyverno
import Logging
import PKI
import ProviderServer
import ServiceLifecycle
import ServiceLogging
import ServiceMetrics
import SharedCache
import Synchronization
import TestSupport
import Verification

/// The whole service as `countersign serve` composes it, in this process, on ports of its own: `config.json`, mutual
/// TLS, real stores.
final class RunningService: Sendable {
    let directory: TemporaryDirectory
    let metrics = MetricsRegistry()
    let ports: ProviderPorts
    let tls: ServingFiles
    private let log: LogLines
    private let builder: ConfigurationBuilder
    private let group: ServiceGroup
    private let task: Task<Void, any Error>

    /// Starts a service.
    ///
    /// - Parameters:
    ///   - remembers: how long verdicts are remembered; long, so that what must not be remembered shows.
    ///   - environment: where identities of the pod come from.
    ///   - change: changes how the provider serves.
    init(
        _ configuration: ConfigurationText, remembers: Duration = .seconds(300),
        environment: [String: String] = ProcessInfo.processInfo.environment,
        kyverno: KyvernoListener? = nil, callers: (any CallerAuthenticator)? = nil,
        shared: SharedCacheSettings? = nil,
        _ change: (inout ProviderConfiguration) -> Void = { _ in }
    ) async throws {
        let directory = try TemporaryDirectory()
        self.directory = directory
        // Nobody else can, of a service that did not come to be.
        var isRunning = false
        defer { if !isRunning { directory.remove() } }
        tls = try ServingFiles(in: directory)
        log = LogLines()
        let path = directory.write(configuration.json.bytes, to: "config.json")
        let log = log
        let logger = Logger(label: "test") { label in
            StructuredLogHandler(label: label, format: .text, level: .debug) { log.add($0) }
        }
        let shared = try shared.map { [metrics] in
            try SharedCache($0, maximumLife: remembers, metrics: metrics, logger: logger)
        }
        builder = ConfigurationBuilder(
            metrics: metrics, logger: logger, environment: environment, content: shared?.content)
        let file = ConfigurationFile(
            path: path, builder: builder, interval: .milliseconds(50), metrics: metrics, logger: logger)
        try file.load()
        let local = ListenAddress(host: "127.0.0.1", port: 0)
        var settings = ProviderConfiguration(
            address: local, certificates: tls.files, healthAddress: local, metricsAddress: local)
        settings.certificateInterval = .milliseconds(100)
        change(&settings)
        let service = PipelineService(
            source: file, cache: DecisionCache(timeToLive: remembers), metrics: metrics, shared: shared?.decisions)
        let server = try EndpointServer(
            configuration: settings, kyverno: kyverno, service: service, metrics: metrics, logger: logger,
            callers: callers)
        let quiet = Logger(label: "group") { _ in SwiftLogNoOpLogHandler() }
        let group = ServiceGroup(
            configuration: .init(
                services: [file, builder.revocation] + (shared.map { [$0.decisions] } ?? []) + [server], logger: quiet))
        self.group = group
        task = Task { try await group.run() }
        ports = try await server.ports
        isRunning = true
    }

    /// How Gatekeeper connects.
    var gatekeeper: TestClient.Options { tls.gatekeeper }

    func connect() async throws -> TestClient { try await TestClient.connect(port: ports.provider, gatekeeper) }

    /// Asks for verdicts as Gatekeeper does: over a new connection.
    func verify(_ keys: String...) async throws -> Answer {
        Answer(
            try await TestClient.post(port: ports.provider, gatekeeper, body: TestClient.request(keys)), asked: keys)
    }

    /// Asks for digests.
    func mutate(_ keys: String...) async throws -> Answer {
        Answer(
            try await TestClient.post(
                port: ports.provider, gatekeeper, path: "/ratify/gatekeeper/v1/mutate", body: TestClient.request(keys)),
            asked: keys)
    }

    /// Sends any body.
    func send(_ body: String, to operation: String = "verify", headers: [String] = []) async throws -> Answer {
        let client = try await connect()
        defer { client.close() }
        return Answer(
            try await client.ask("POST", "/ratify/gatekeeper/v1/\(operation)", headers: headers, body: body), asked: [])
    }

    /// Asks until the answer is as wanted.
    func verify(_ key: String, until isWanted: (Answer) -> Bool) async throws -> Answer {
        let end = ContinuousClock.now + .seconds(30)
        while true {
            let answer = try await verify(key)
            if isWanted(answer) || .now > end { return answer }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    /// What `/readyz` answers.
    func readiness() async throws -> TestClient.Reply {
        try await TestClient.ask(port: ports.health ?? 0, method: "GET", path: "/readyz")
    }

    /// Whether `/metrics` has such a line, now or soon.
    func hasMetric(_ line: String) async throws -> Bool {
        try await eventually {
            let reply = try await TestClient.ask(port: self.ports.metrics ?? 0, method: "GET", path: "/metrics")
            return reply.text.split(separator: "\n").contains { $0 == line }
        }
    }

    /// Whether the log has a line with these texts, now or soon.
    func hasLogged(_ texts: String...) async throws -> Bool {
        try await eventually { self.log.all.contains { line in texts.allSatisfy { line.contains($0) } } }
    }

    /// Everything that was logged so far.
    var logged: [String] { log.all }

    /// Writes another configuration, as an editor does: at once.
    func write(_ configuration: ConfigurationText) throws { try write(configuration.json.text) }

    func write(_ text: String) throws {
        try Data(text.utf8).write(to: URL(filePath: directory.path("config.json")), options: .atomic)
    }

    /// Ends it.
    func stop() async {
        await group.triggerGracefulShutdown()
        try? await task.value
        await builder.shutdown()
        directory.remove()
    }
}

/// Waits until a condition holds, for half a minute at most.
func eventually(_ condition: () async throws -> Bool) async throws -> Bool {
    let end = ContinuousClock.now + .seconds(30)
    while try await !condition() {
        guard ContinuousClock.now < end else { return false }
        try await Task.sleep(for: .milliseconds(20))
    }
    return true
}

/// Starts a service, and ends it whatever happens.
func withService<Value>(
    _ configuration: ConfigurationText, remembers: Duration = .seconds(300),
    environment: [String: String] = ProcessInfo.processInfo.environment,
    kyverno: KyvernoListener? = nil, callers: (any CallerAuthenticator)? = nil,
    shared: SharedCacheSettings? = nil,
    _ change: (inout ProviderConfiguration) -> Void = { _ in }, _ body: (RunningService) async throws -> Value
) async throws -> Value {
    let service = try await RunningService(
        configuration, remembers: remembers, environment: environment, kyverno: kyverno, callers: callers,
        shared: shared, change)
    do {
        let value = try await body(service)
        await service.stop()
        return value
    } catch {
        await service.stop()
        throw error
    }
}

/// Starts a registry with the Referrers API, and ends it whatever happens.
func withRegistry<Value>(
    _ options: FaultyRegistry.Options = .init(), _ body: (FaultyRegistry) async throws -> Value
) async throws -> Value {
    let registry = try await FaultyRegistry.start(options)
    do {
        let value = try await body(registry)
        await registry.stop()
        return value
    } catch {
        await registry.stop()
        throw error
    }
}

/// Log lines, kept.
final class LogLines: Sendable {
    private let lines = Mutex<[String]>([])

    var all: [String] { lines.withLock { $0 } }

    /// Takes whole lines: those of one request come together.
    func add(_ text: [UInt8]) {
        let new = text.split(separator: 0x0A).map { String(decoding: $0, as: UTF8.self) + "\n" }
        lines.withLock { $0 += new }
    }
}
