import ConfigurationModel
import CountersignService
import CustomResources
import Foundation
import Kubernetes
import Logging
import PKI
import ProviderServer
import ServiceLifecycle
import ServiceMetrics
import SharedCache
import StrictJSON
import TestSupport
import Verification

/// An API server with the custom resources, and services that take their configuration from it.
final class ResourceCluster: Sendable {
    let api: KubernetesEmulator

    init() async throws {
        api = try await KubernetesEmulator.start()
        for kind in ResourceKind.allCases { api.register(kind.type) }
    }

    /// Applies a resource, as `kubectl apply` does: its status stays.
    func apply(_ kind: ResourceKind, _ name: String, _ spec: JSONValue, in namespace: String? = nil) {
        var object: JSONObject = ["metadata": ["name": .string(name)], "spec": spec]
        if let namespace { object["metadata"] = ["name": .string(name), "namespace": .string(namespace)] }
        object["status"] = api.object(kind.type, name, namespace: namespace)?["status"]
        api.put(kind.type, object)
    }

    func delete(_ kind: ResourceKind, _ name: String, in namespace: String? = nil) {
        api.remove(kind.type, name, namespace: namespace)
    }

    /// The status of a resource.
    func status(_ kind: ResourceKind, _ name: String, in namespace: String? = nil) -> JSONValue? {
        api.object(kind.type, name, namespace: namespace)?["status"]
    }

    /// Whether a resource's status says success, now or soon; or has an error with these words.
    func has(_ kind: ResourceKind, _ name: String, in namespace: String? = nil, error words: String? = nil) async throws
        -> Bool
    {
        try await eventually {
            let status = self.status(kind, name, in: namespace)
            guard let words else { return status?["issuccess"] == true && status?["error"] == nil }
            return status?["issuccess"] == false && status?["error"]?.string?.contains(words) == true
        }
    }

    /// How many writes of a status there were.
    var statusWrites: Int { api.requests.count { $0.method == "PATCH" && $0.path.hasSuffix("/status") } }

    // MARK: Resources

    func applyCertificates(_ name: String, _ pem: String, in namespace: String? = nil) {
        apply(
            namespace == nil ? .keyManagementProvider : .namespacedKeyManagementProvider, name,
            ["type": "inline", "parameters": ["contentType": "certificate", "value": .string(pem)]], in: namespace)
    }

    func applyStore(in namespace: String? = nil, type: String = "oras") {
        apply(
            namespace == nil ? .store : .namespacedStore, "store-oras",
            ["name": .string(type), "parameters": [:]], in: namespace)
    }

    func applyVerifier(
        _ name: String = "verifier-notation", providers: [String] = ["release-ca"], level: String = "strict",
        scopes: [String] = ["*"], in namespace: String? = nil
    ) {
        apply(
            namespace == nil ? .verifier : .namespacedVerifier, name,
            [
                "name": "notation", "artifactTypes": "application/vnd.cncf.notary.signature",
                "parameters": [
                    "verificationCertStores": ["ca": ["release": .array(providers.map(JSONValue.string))]],
                    "trustPolicyDoc": ConfigurationText.trustPolicy([
                        ConfigurationText.statement(scopes: scopes, level: level)
                    ]),
                ],
            ], in: namespace)
    }

    func applyPolicy(_ rule: String = "any", in namespace: String? = nil) {
        apply(
            namespace == nil ? .policy : .namespacedPolicy, "ratify-policy",
            [
                "type": "config-policy",
                "parameters": [
                    "artifactVerificationPolicies": ["application/vnd.cncf.notary.signature": .string(rule)]
                ],
            ], in: namespace)
    }

    /// All that a cluster needs, trusting the shared signers' authority.
    func applyAll() throws {
        applyCertificates("release-ca", try Signers.shared.get().authority.certificate.pem)
        applyStore()
        applyVerifier()
        applyPolicy()
    }
}

/// A service whose configuration is custom resources, in this process.
final class ResourceService: Sendable {
    let metrics = MetricsRegistry()
    let ports: ProviderPorts
    private let directory: TemporaryDirectory
    private let tls: ServingFiles
    private let builder: ConfigurationBuilder
    private let client: KubernetesClient
    private let group: ServiceGroup
    private let task: Task<Void, any Error>

    init(_ cluster: ResourceCluster, shared: SharedCacheSettings? = nil) async throws {
        let directory = try TemporaryDirectory()
        self.directory = directory
        var isRunning = false
        defer { if !isRunning { directory.remove() } }
        tls = try ServingFiles(in: directory)
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let shared = try shared.map { [metrics] in
            try SharedCache($0, maximumLife: .seconds(300), metrics: metrics, logger: logger)
        }
        builder = ConfigurationBuilder(metrics: metrics, logger: logger, content: shared?.content)
        client = try cluster.api.client()
        let resources = ResourceConfiguration(
            parts: builder, home: "countersign-system", metrics: metrics, logger: logger)
        resources.use(
            ServiceSettings(verificationTimeout: .seconds(15), mutationTimeout: .seconds(15)))
        let reconciler = ResourceReconciler(
            client: client, configuration: resources, metrics: metrics, logger: logger,
            statusInterval: .milliseconds(100))
        let local = ListenAddress(host: "127.0.0.1", port: 0)
        let server = try EndpointServer(
            configuration: ProviderConfiguration(
                address: local, certificates: tls.files, healthAddress: local, metricsAddress: local),
            service: PipelineService(
                source: resources, cache: DecisionCache(timeToLive: .seconds(300)), metrics: metrics,
                shared: shared?.decisions),
            metrics: metrics, logger: logger)
        let group = ServiceGroup(
            configuration: .init(
                services: [reconciler, builder.revocation] + (shared.map { [$0.decisions] } ?? []) + [server],
                logger: logger))
        self.group = group
        task = Task { try await group.run() }
        ports = try await server.ports
        isRunning = true
    }

    func verify(_ keys: String...) async throws -> Answer {
        Answer(
            try await TestClient.post(
                port: ports.provider, tls.gatekeeper, body: TestClient.request(keys)), asked: keys)
    }

    /// Asks until the answer is as wanted.
    func verify(_ key: String, until isWanted: (Answer) -> Bool) async throws -> Answer {
        let end = ContinuousClock.now + .seconds(30)
        while true {
            let answer = try await verify(key)
            if isWanted(answer) || .now > end { return answer }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    func readiness() async throws -> TestClient.Reply {
        try await TestClient.ask(port: ports.health ?? 0, method: "GET", path: "/readyz")
    }

    func isReady() async throws -> Bool { try await eventually { try await self.readiness().status == 200 } }

    /// The value of a metric's line that begins with a text.
    func metric(_ name: String) -> Double? {
        metrics.render().split(separator: "\n").first { $0.hasPrefix(name) }
            .flatMap { $0.split(separator: " ").last }.flatMap { Double($0) }
    }

    func stop() async {
        await group.triggerGracefulShutdown()
        try? await task.value
        await client.shutdown()
        await builder.shutdown()
        directory.remove()
    }
}

/// Starts an API server, a registry with `app:v1` (signed by the release signer) and `app:v2` (by a stranger), and a
/// service; ends them whatever happens.
func withResources(
    services count: Int = 1, shared: SharedCacheSettings? = nil,
    _ body: (ResourceCluster, Repository, [ResourceService]) async throws -> Void
) async throws {
    try await withRegistry { registry in
        let app = try Repository("\(registry.endpoint)/app")
        try await app.push("v1", signedBy: try Signers.shared.get().other)
        try await app.push("v2", signedBy: try Signers.shared.get().stranger)
        let cluster = try await ResourceCluster()
        var services: [ResourceService] = []
        for _ in 0..<count { services.append(try await ResourceService(cluster, shared: shared)) }
        do {
            try await body(cluster, app, services)
        } catch {
            for service in services { await service.stop() }
            await cluster.api.stop()
            throw error
        }
        for service in services { await service.stop() }
        await cluster.api.stop()
    }
}
