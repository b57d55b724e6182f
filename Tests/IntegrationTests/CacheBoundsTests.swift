import Foundation
import HTTP
import Kubernetes
import Notation
import NotationOnline
import OCI
import OCIRegistry
import PKI
import TestSupport
import Testing

@testable import CountersignService
@testable import ServiceMetrics
@testable import Verification

/// Every cache counts what it was worth and keeps its bound, as it is scraped.
@Suite struct CacheBoundsTests {
    private let metrics = MetricsRegistry()
    private let deadline = ContinuousClock.now + .seconds(300)

    /// What a scrape says, by what is left of a line's number.
    private func scrape() -> [String: Double] {
        var values: [String: Double] = [:]
        for line in metrics.render().split(separator: "\n") where !line.hasPrefix("#") {
            let parts = line.split(separator: " ")
            if parts.count == 2 { values[String(parts[0])] = Double(parts[1]) }
        }
        return values
    }

    /// A cache was used in every way, and is within its bound.
    private func expectUsed(_ caches: String..., sourceLocation: SourceLocation = #_sourceLocation) {
        let values = scrape()
        for cache in caches {
            for event in ["hit", "miss", "eviction"] {
                let name = "countersign_cache_events_total{cache=\"\(cache)\",event=\"\(event)\"}"
                #expect(values[name] ?? 0 > 0, "\(name)", sourceLocation: sourceLocation)
            }
            let label = "{cache=\"\(cache)\"}"
            let bytes = values["countersign_cache_bytes\(label)"] ?? -1
            let bound = values["countersign_cache_maximum_bytes\(label)"] ?? -2
            #expect(bytes > 0 && bytes <= bound, "\(cache): \(bytes) of \(bound)", sourceLocation: sourceLocation)
            #expect(
                values["countersign_cache_entries\(label)"] ?? 0 > 0, "\(cache)", sourceLocation: sourceLocation)
        }
    }

    // MARK: Verdicts

    private struct Source: ConfigurationSource {
        func trustGeneration(for namespace: String?) -> UInt64 { 1 }
        var readiness: Readiness { get async { .ready } }
        func snapshot(for namespace: String?) -> Result<ConfigurationSnapshot, ConfigurationUnavailable> {
            .failure(ConfigurationUnavailable("none"))
        }
    }

    @Test func verdictsAdmittedImagesAndKeys() throws {
        let cache = DecisionCache(timeToLive: .seconds(300), maximumBytes: 16 << 10)
        let images = VerifiedImages(maximumBytes: 16 << 10)
        let service = PipelineService(source: Source(), cache: cache, metrics: metrics, verified: images)
        let decision = Decision(
            isSuccess: true, reference: "r", digest: nil,
            reports: [VerifierReport(subject: "r", isSuccess: true, message: "good")])
        let fault = TransientFault(stage: .resolve, host: "r.example", cause: "down")
        for number in 0..<100 {
            let key = DecisionCache.Key(
                generation: 1, trustGeneration: 1, namespace: nil, reference: "r.example/\(number)")
            #expect(cache.decision(for: key) == nil)
            cache.keep(decision, for: key)
            #expect(cache.decision(for: key) != nil)
            func earlier() -> Bool { images.decision(for: key, insteadOf: fault, window: .seconds(60)) != nil }
            #expect(!earlier())
            images.note(decision, for: key, validUntil: nil, window: .seconds(60), began: .now)
            #expect(earlier())
        }
        let keys = ImageKeyCache()
        metrics.caches.add("keys", of: keys, maximumBytes: { _ in ImageKeyCache.maximumBytes }) { $0.counts }
        for number in 0..<4000 {
            for _ in 0..<2 { _ = try keys.key("r.example/a-long-name/of-an-image:v\(number)") }
        }
        expectUsed("decisions", "admitted", "keys")
        let values = scrape()
        #expect(values["countersign_decision_cache_hits_total"] == 100)
        #expect(values["countersign_decision_cache_misses_total"] == 100)
        withExtendedLifetime(service) {}
    }

    // MARK: Registries

    private struct NobodysContent: SharedContent {
        func content(for key: ContentKey) async -> [UInt8]? { nil }
        func keep(_ content: [UInt8], for key: ContentKey) {}
    }

    @Test func whatIsKnownOfRegistries() async throws {
        let contents = ContentCache(maximumBytes: 4 << 10)
        metrics.caches.add("content", of: contents, maximumBytes: { _ in 4 << 10 }) { $0.counts }
        let http = try HTTPClient(configuration: HTTPClientConfiguration(environment: [:]))
        var options = RegistryOptions()
        options.contents = contents
        options.sharedContent = NobodysContent()
        options.descriptorCacheBytes = 8 << 10
        options.tagCacheLifetime = .seconds(300)
        options.referrersCacheBytes = 8 << 10
        options.referrersCacheLifetime = .seconds(300)
        options.tokenCacheBytes = 8 << 10
        options.repositoryCacheBytes = 2 << 10
        options.retry = .none
        var clients: [RegistryClient] = []
        for hasAPI in [true, false] {
            var behaviour = FaultyRegistry.Options()
            behaviour.referrersAPI = hasAPI
            behaviour.authentication = .token(user: "robot", password: "secret", anonymousPull: true)
            try await withRegistry(behaviour) { registry in
                let client = RegistryClient(http: http, options: options)
                StoreFactory.show(client, in: metrics)
                clients.append(client)
                for number in 0..<40 {
                    try await use(client, registry, "app-\(number)", losesAPI: hasAPI && number == 39)
                }
            }
        }
        expectUsed(
            "content", "descriptors", "tags", "referrers", "registry_tokens", "registry_schemes", "referrers_api",
            "missing_referrers_api", "open_repositories")
        withExtendedLifetime(clients) {}
        await http.shutdown()
    }

    /// Asks for everything of a new image, and once more.
    private func use(
        _ client: RegistryClient, _ registry: FaultyRegistry, _ repository: String, losesAPI: Bool
    ) async throws {
        let image = registry.putImage(repository, tag: "v1", content: repository)
        let tag = try ImageReference(parsing: "\(registry.endpoint)/\(repository):v1")
        let pinned = tag.with(digest: image.digest, keepingTag: false)
        // Before anything is known of the repository.
        _ = try await client.manifest(image, in: tag, deadline: deadline)
        for _ in 0..<2 {
            for reference in [pinned, tag] { _ = try await client.resolve(reference, deadline: deadline) }
            _ = try await client.manifest(image, in: tag, deadline: deadline)
            for type in ["a", "b"] {
                _ = try await client.referrers(of: image, in: tag, artifactType: type, deadline: deadline)
            }
        }
        // Another one of a repository that is open.
        let other = registry.putManifest(Array("{}".utf8), in: repository)
        _ = try await client.manifest(other, in: tag, deadline: deadline)
        guard losesAPI else { return }
        registry.inject(.status(404), path: "/v2/\(repository)/referrers/*")
        await #expect(throws: RegistryError.self) {
            try await client.referrers(of: image, in: tag, artifactType: "c", deadline: deadline)
        }
    }

    // MARK: Certificates and callers

    @Test func revocationAnswersAndChains() async throws {
        let root = try CertificateAuthority(name: "root")
        let list = try RevocationListTemplate().sign(by: root)
        let server = try ScriptedServer { _ in [.content(200, type: "application/pkix-crl", list)] }
        defer { server.stop() }
        let cache = RevocationCache(maximumBytes: 4000)
        let chains = CertificateChainCache(capacity: 5)
        metrics.caches.add("revocation", of: cache, maximumBytes: { $0.maximumBytes }) { $0.counts }
        metrics.caches.add("chains", of: chains, maximumBytes: { $0.maximumBytes }) { $0.counts }
        let http = try HTTPClient(configuration: HTTPClientConfiguration(environment: [:]))
        let checker = RevocationChecker(http: TimedHTTP(http, .revocation, metrics), cache: cache)
        for number in 0..<12 {
            var template = CertificateTemplate.codeSigning("leaf \(number)")
            template.extensions.append(.crlDistributionPoints(["\(server.url)/\(number).crl"]))
            let leaf = try root.issue(template)
            for _ in 0..<2 {
                _ = try await checker.check(
                    leaf.chain, isTrusted: true, authenticSigningTime: nil, now: Date(), deadline: deadline)
                _ = try chains.chain(der: leaf.chain.map(\.der))
            }
        }
        expectUsed("revocation", "chains")
        let host = server.url.replacingOccurrences(of: "http://", with: "")
        #expect(
            scrape()["countersign_stage_duration_milliseconds_count{stage=\"revocation\",host=\"\(host)\"}"] == 12)
        await http.shutdown()
    }

    @Test func callers() async throws {
        let server = try ScriptedServer { _ in
            [.reply(201, body: #"{"status":{"authenticated":false,"error":"no"}}"#)]
        }
        defer { server.stop() }
        let client = try KubernetesClient(
            try KubernetesConfiguration(server: server.url, authorities: .system, source: "test", environment: [:]))
        let reviewer = TokenReviewer(client: client, audiences: ["a"], maximumBytes: 16 << 10)
        metrics.caches.add("callers", of: reviewer, maximumBytes: { $0.maximumBytes }) { $0.counts }
        for number in 0..<60 {
            for _ in 0..<2 {
                guard case .unknown = await reviewer.authenticate(token: "token \(number)", deadline: deadline) else {
                    Issue.record("token \(number) was not refused")
                    continue
                }
            }
        }
        expectUsed("callers")
        await client.shutdown()
    }

    // MARK: The whole service

    /// What `serve` shows: each cache by its name, and how long each stage took.
    @Test func serveShowsEachCacheAndStage() async throws {
        try await withRegistry { registry in
            let app = try Repository("\(registry.endpoint)/app")
            try await app.push("v1", signedBy: try Signers.shared.get().release)
            try await withService(try .trustingRelease()) { service in
                for _ in 0..<2 { expectAdmitted(try await service.verify(app.name("v1"))) }
                let text = service.metrics.render()
                for cache in [
                    "admitted", "azure_tokens", "chains", "content", "decisions", "descriptors", "keys",
                    "missing_referrers_api", "open_repositories", "referrers", "referrers_api", "registry_schemes",
                    "registry_tokens", "revocation", "tags",
                ] {
                    for series in [
                        "entries{cache=\"\(cache)\"}", "bytes{cache=\"\(cache)\"}",
                        "maximum_bytes{cache=\"\(cache)\"}", "events_total{cache=\"\(cache)\",event=\"eviction\"}",
                    ] {
                        #expect(text.contains("countersign_cache_\(series) "), "\(series)")
                    }
                }
                for (stage, count) in [("queue", 1), ("resolve", 1), ("referrers", 1), ("fetch", 2), ("judge", 1)] {
                    let labels = "stage=\"\(stage)\",host=\"\(registry.endpoint)\""
                    #expect(
                        text.contains("countersign_stage_duration_milliseconds_count{\(labels)} \(count)\n"),
                        "\(stage)")
                }
                #expect(text.contains("countersign_keys_in_flight{operation=\"verify\"} 0\n"))
                #expect(text.contains("countersign_cache_events_total{cache=\"decisions\",event=\"hit\"} 1\n"))
                #expect(text.contains("countersign_cache_events_total{cache=\"decisions\",event=\"miss\"} 1\n"))
            }
        }
    }
}
