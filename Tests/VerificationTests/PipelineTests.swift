import FoundationEssentials
import OCI
import StrictJSON
import Synchronization
import TestSupport
import Testing

@testable import ConfigurationModel
@testable import ServiceMetrics
@testable import Verification

/// A store of hand-made answers: what a registry would say, without one.
final class ScriptedStore: ReferrerStore {
    let name: String
    let resolution: Result<Descriptor, RegistryError>
    let listing: Result<[Descriptor], RegistryError>
    let delay: Duration
    let gate: Gate?
    let transport: RegistryTransport?
    private let calls = Mutex<[String]>([])

    init(
        name: String = "store", resolution: Result<Descriptor, RegistryError> = .success(ScriptedStore.image),
        listing: Result<[Descriptor], RegistryError> = .success([]), delay: Duration = .zero,
        gate: Gate? = nil, transport: RegistryTransport? = nil
    ) {
        self.name = name
        self.resolution = resolution
        self.listing = listing
        self.delay = delay
        self.gate = gate
        self.transport = transport
    }

    static let image = Descriptor(of: Array("image".utf8), mediaType: MediaType.ociManifest)
    static let signatureType = "application/vnd.cncf.notary.signature"
    static func signature(_ text: String, type: String = signatureType) -> Descriptor {
        Descriptor(of: Array(text.utf8), mediaType: MediaType.ociManifest, artifactType: type)
    }

    var log: [String] { calls.withLock { $0 } }

    func resolve(
        _ reference: ImageReference, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> Descriptor {
        calls.withLock { $0.append("resolve") }
        if delay > .zero { try? await Task.sleep(for: delay) }
        await gate?.wait()
        return try resolution.get()
    }

    func referrers(
        of subject: Descriptor, in reference: ImageReference, artifactType: String?, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> [Descriptor] {
        calls.withLock { $0.append("referrers \(artifactType ?? "all")") }
        return try listing.get()
    }

    func manifest(
        _ descriptor: Descriptor, in reference: ImageReference, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> [UInt8] {
        throw RegistryError(.notFound, host: name, detail: "not asked for here")
    }

    func blob(
        _ descriptor: Descriptor, in reference: ImageReference, maximumBytes: Int, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> [UInt8] {
        throw RegistryError(.notFound, host: name, detail: "not asked for here")
    }
}

/// A verifier that says what a test tells it to, by the digest of the artifact.
struct ScriptedVerifier: ArtifactVerifier {
    var name = "scripted"
    var type = "scripted"
    var artifactTypes = [ScriptedStore.signatureType]
    var outcomes: [Digest: ArtifactOutcome] = [:]
    var skips = false
    /// The types that count as another one.
    var counted: [String: String] = [:]

    func countedType(of artifactType: String) -> String { counted[artifactType] ?? artifactType }

    func waiver(for reference: ImageReference) -> VerifierReport? {
        skips ? VerifierReport(subject: reference.description, isSuccess: true, message: "skipped by policy") : nil
    }

    func verify(
        artifact: Descriptor, subject: Descriptor, reference: ImageReference, store: any ReferrerStore,
        deadline: ContinuousClock.Instant
    ) async -> ArtifactOutcome {
        outcomes[artifact.digest] ?? .fault(TransientFault(stage: .fetch, host: "scripted", cause: "no outcome"))
    }

    static func good(_ subject: String = "x") -> ArtifactOutcome {
        .judged(VerifierReport(subject: subject, isSuccess: true, message: "good"), validUntil: nil)
    }
    static func bad(_ subject: String = "x") -> ArtifactOutcome {
        .judged(VerifierReport(subject: subject, isSuccess: false, message: "bad", errorReason: "why"), validUntil: nil)
    }
    static let fault = ArtifactOutcome.fault(TransientFault(stage: .fetch, host: "scripted", cause: "slow"))
}

@Suite struct PipelineTests {
    private func run(
        store: ScriptedStore, verifier: ScriptedVerifier, rule: ConfigPolicy.Rule = .any, maximumArtifacts: Int = 100
    ) async throws -> PipelineResult {
        let snapshot = ConfigurationSnapshot(
            generation: 1, stores: [store], verifiers: [verifier], policy: ConfigPolicy(defaultRule: rule),
            settings: ServiceSettings(), maximumArtifacts: maximumArtifacts)
        return await Pipeline(snapshot: snapshot, metrics: MetricsRegistry())
            .run(try ImageReference(parsing: "r.example/a:v1"), deadline: .now + .seconds(5))
    }

    private func decision(_ result: PipelineResult) throws -> Decision {
        guard case .decided(let decision, _) = result else {
            Issue.record("not decided: \(result)")
            throw CancellationError()
        }
        return decision
    }

    private func scripted(_ outcomes: [ArtifactOutcome]) -> (ScriptedStore, ScriptedVerifier) {
        let artifacts = outcomes.indices.map { ScriptedStore.signature("signature \($0)") }
        let verifier = ScriptedVerifier(
            outcomes: Dictionary(uniqueKeysWithValues: zip(artifacts.map(\.digest), outcomes)))
        return (ScriptedStore(listing: .success(artifacts)), verifier)
    }

    @Test func aGoodSignatureAdmits() async throws {
        let (store, verifier) = scripted([ScriptedVerifier.good()])
        let decision = try decision(await run(store: store, verifier: verifier))
        #expect(decision.isSuccess)
        #expect(decision.digest == ScriptedStore.image.digest)
        #expect(decision.reports.first?.extensions["subjectDigest"]?.string == ScriptedStore.image.digest.description)
        #expect(store.log == ["resolve", "referrers \(ScriptedStore.signatureType)"], "lists once, by type")
    }

    @Test func noSignatureIsADenialThatSaysSo() async throws {
        let decision = try decision(await run(store: ScriptedStore(), verifier: ScriptedVerifier()))
        #expect(!decision.isSuccess)
        #expect(decision.reason?.contains("no signature is associated with") == true)
        #expect(decision.reports.first?.remediation?.contains("Sign the image") == true)
    }

    /// A registry that lists other things than were asked for does not get them judged.
    @Test func artifactsOfOtherTypesAreNotSignatures() async throws {
        let sbom = ScriptedStore.signature("sbom", type: "application/spdx+json")
        let verifier = ScriptedVerifier(outcomes: [sbom.digest: ScriptedVerifier.good()])
        let decision = try decision(await run(store: ScriptedStore(listing: .success([sbom])), verifier: verifier))
        #expect(!decision.isSuccess)
    }

    @Test(arguments: [RegistryError.Kind.notFound, .unauthorized, .forbidden, .malformed, .digestMismatch, .tooMany])
    func definiteFaultsDeny(kind: RegistryError.Kind) async throws {
        let error = RegistryError(kind, host: "r.example", detail: "why")
        for store in [ScriptedStore(resolution: .failure(error)), ScriptedStore(listing: .failure(error))] {
            let decision = try decision(await run(store: store, verifier: ScriptedVerifier()))
            #expect(!decision.isSuccess)
            #expect(decision.reason?.contains("why") == true)
        }
    }

    @Test(arguments: [RegistryError.Kind.throttled, .unavailable, .timeout, .cancelled, .credentials])
    func transientFaultsAreNeverVerdicts(kind: RegistryError.Kind) async throws {
        let error = RegistryError(kind, host: "r.example", detail: "why")
        for store in [ScriptedStore(resolution: .failure(error)), ScriptedStore(listing: .failure(error))] {
            guard case .fault(let fault) = try await run(store: store, verifier: ScriptedVerifier()) else {
                Issue.record("a transient fault became a verdict")
                return
            }
            #expect(fault.host == "r.example")
            #expect(fault.cause.contains("why"))
        }
    }

    @Test func oneGoodSignatureSufficesUnderAnyAndEachHasItsReport() async throws {
        let (store, verifier) = scripted([ScriptedVerifier.bad(), ScriptedVerifier.good(), ScriptedVerifier.fault])
        let decision = try decision(await run(store: store, verifier: verifier))
        #expect(decision.isSuccess)
        #expect(decision.reports.count == 3)
        #expect(decision.reports.map(\.isSuccess) == [false, true, false])
    }

    @Test func aHiddenOutcomeThatMattersIsAPassingFault() async throws {
        let (store, verifier) = scripted([ScriptedVerifier.bad(), ScriptedVerifier.fault])
        guard case .fault(let fault) = try await run(store: store, verifier: verifier) else {
            Issue.record("decided without knowing")
            return
        }
        #expect(fault.cause == "slow")
    }

    @Test func underAllOneBadSignatureDenies() async throws {
        let (store, verifier) = scripted([ScriptedVerifier.good(), ScriptedVerifier.bad(), ScriptedVerifier.fault])
        #expect(try !decision(await run(store: store, verifier: verifier, rule: .all)).isSuccess)
    }

    @Test func moreSignaturesThanTheLimitAreSaid() async throws {
        let (store, verifier) = scripted(Array(repeating: ScriptedVerifier.bad(), count: 30))
        let decision = try decision(await run(store: store, verifier: verifier, maximumArtifacts: 10))
        #expect(!decision.isSuccess)
        #expect(decision.reports.count == 11)
        #expect(decision.reports.last?.errorReason?.contains("30 artifacts") == true)
        // Under `all`, what was not looked at counts against the image.
        let (goodStore, goodVerifier) = scripted(Array(repeating: ScriptedVerifier.good(), count: 30))
        #expect(
            try !self.decision(await run(store: goodStore, verifier: goodVerifier, rule: .all, maximumArtifacts: 10))
                .isSuccess)
    }

    @Test func aTrustPolicyThatSkipsAsksNobody() async throws {
        let store = ScriptedStore()
        let decision = try decision(await run(store: store, verifier: ScriptedVerifier(skips: true)))
        #expect(decision.isSuccess)
        #expect(store.log.isEmpty)
    }
}

@Suite struct PipelineServiceTests {
    struct Source: ConfigurationSource {
        let current: Result<ConfigurationSnapshot, ConfigurationUnavailable>
        func trustGeneration(for namespace: String?) -> UInt64 { 1 }
        var readiness: Readiness { get async { .ready } }
        func snapshot(for namespace: String?) -> Result<ConfigurationSnapshot, ConfigurationUnavailable> { current }
    }

    /// Counts how often it is asked for the configuration.
    final class CountingSource: ConfigurationSource {
        private let asked = Mutex(0)
        private let current: ConfigurationSnapshot

        init(_ current: ConfigurationSnapshot) { self.current = current }

        var snapshots: Int { asked.withLock { $0 } }
        var readiness: Readiness { get async { .ready } }
        func trustGeneration(for namespace: String?) -> UInt64 { 1 }
        func snapshot(for namespace: String?) -> Result<ConfigurationSnapshot, ConfigurationUnavailable> {
            asked.withLock { $0 += 1 }
            return .success(current)
        }
    }

    private func service(
        _ store: ScriptedStore, _ verifier: ScriptedVerifier = ScriptedVerifier(),
        metrics: MetricsRegistry = MetricsRegistry()
    ) -> PipelineService {
        let snapshot = ConfigurationSnapshot(
            generation: 1, stores: [store], verifiers: [verifier], policy: ConfigPolicy(defaultRule: .any),
            settings: ServiceSettings())
        return PipelineService(
            source: Source(current: .success(snapshot)), cache: DecisionCache(timeToLive: .seconds(10)),
            metrics: metrics)
    }

    @Test func fiveHundredRequestsForOneImageAreOneVerification() async throws {
        let artifact = ScriptedStore.signature("s")
        let store = ScriptedStore(listing: .success([artifact]), delay: .milliseconds(200))
        let service = service(store, ScriptedVerifier(outcomes: [artifact.digest: ScriptedVerifier.good()]))
        let key = try ImageKey(parsing: "r.example/a:v1")
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<500 {
                group.addTask {
                    let answer = await service.verify(
                        key, deadline: .now + .seconds(10))
                    guard case .decided(let decision) = answer, decision.isSuccess else {
                        Issue.record("not admitted: \(answer)")
                        return
                    }
                }
            }
        }
        #expect(store.log.count { $0 == "resolve" } == 1)
    }

    @Test func transientFaultsAreAskedAnew() async throws {
        let store = ScriptedStore(resolution: .failure(RegistryError(.throttled, host: "r.example", detail: "429")))
        let service = service(store)
        for _ in 0..<3 {
            guard
                case .fault = await service.verify(
                    try ImageKey(parsing: "r.example/a"), deadline: .now + .seconds(5))
            else {
                Issue.record("kept as a verdict")
                return
            }
        }
        #expect(store.log.count == 3)
    }

    @Test func answersByTheDeadlineAndKeepsWhatComesLater() async throws {
        let gate = Gate()
        let store = ScriptedStore(gate: gate)
        let service = service(store)
        guard
            case .fault(let fault) = try await service.verify(
                ImageKey(parsing: "r.example/a:v1"), deadline: .now + .milliseconds(100))
        else {
            Issue.record("decided before the store answered")
            return
        }
        #expect(fault.host == "r.example")
        #expect(fault.stage == .resolve)
        gate.open()
        guard
            case .decided = await service.verify(
                try ImageKey(parsing: "r.example/a:v1"), deadline: .now + .seconds(300))
        else {
            Issue.record("the finished work was thrown away")
            return
        }
        #expect(store.log.count { $0 == "resolve" } == 1)
    }

    /// Several kinds of constraints, one after the other in one review: the first waits, and no fault is kept as a
    /// verdict.
    @Test func whoAsksAgainForWhatIsOverdueHasTheSameFaultSoon() async throws {
        let gate = Gate()
        let store = ScriptedStore(gate: gate)
        let service = service(store)
        let key = try ImageKey(parsing: "r.example/a:v1")
        var faults: [TransientFault] = []
        var times: [Duration] = []
        for time in [Duration.seconds(1), .seconds(100), .seconds(100)] {
            let start = ContinuousClock.now
            guard case .fault(let fault) = await service.verify(key, deadline: start + time) else {
                Issue.record("decided before the store answered")
                return
            }
            faults.append(fault)
            times.append(start.duration(to: .now))
        }
        #expect(Set(faults).count == 1 && faults.first?.stage == .resolve)
        #expect(times[0] >= .seconds(1) && times[1] < .seconds(50) && times[2] < .seconds(50))
        #expect(service.cache.counts.entries == 0 && service.verifications.count == 1)
        times = []
        for time in [Duration.seconds(1), .seconds(100)] {
            let start = ContinuousClock.now
            guard case .fault = await service.mutate(key, deadline: start + time) else {
                Issue.record("resolved before the store answered")
                return
            }
            times.append(start.duration(to: .now))
        }
        #expect(times[0] >= .seconds(1) && times[1] < .seconds(50), "another question has its own time")
        gate.open()
        while true {
            switch await service.verify(key, deadline: .now + .seconds(100)) {
            case .fault: continue
            case .decided(let decision): #expect(!decision.isSuccess)
            case .refused(let reason): Issue.record("\(reason)")
            }
            break
        }
        #expect(store.log.count { $0 == "resolve" } == 2, "once for each question")
    }

    @Test func aVerdictIsAtHandOnceItWasReached() async throws {
        let artifact = ScriptedStore.signature("s")
        let store = ScriptedStore(listing: .success([artifact]))
        let metrics = MetricsRegistry()
        let verifier = ScriptedVerifier(outcomes: [artifact.digest: ScriptedVerifier.good()])
        let cache = DecisionCache(timeToLive: .seconds(300))
        func service(generation: UInt64) -> PipelineService {
            let snapshot = ConfigurationSnapshot(
                generation: generation, stores: [store], verifiers: [verifier], policy: ConfigPolicy(defaultRule: .any),
                settings: ServiceSettings())
            return PipelineService(source: Source(current: .success(snapshot)), cache: cache, metrics: metrics)
        }
        let first = service(generation: 1)
        // Whoever finds nothing at hand asks on: that is one miss, not two.
        guard case .pending(let question) = try first.verdictAtHand(ImageKey(parsing: "r.example/a:v1")),
            case .decided = await first.verify(question, deadline: .now + .seconds(60))
        else {
            Issue.record("no verdict")
            return
        }
        let misses = cache.counts.misses
        #expect(misses == 1)
        guard
            case .answered(.decided(let decision)) = try first.verdictAtHand(ImageKey(parsing: "r.example/a:v1"))
        else {
            Issue.record("the verdict is not at hand")
            return
        }
        #expect(decision.isSuccess && cache.counts.hits == 1 && cache.counts.misses == misses)
        #expect(metrics.render().contains(#"countersign_verdicts_total{verdict="pass",reason="verified"} 2"#))
        // Not for another image, another namespace or another configuration.
        #expect(try !first.hasAtHand("r.example/a:v2"))
        #expect(try !first.hasAtHand("[team-a]r.example/a:v1"))
        #expect(try !service(generation: 2).hasAtHand("r.example/a:v1"))
        #expect(store.log.count { $0 == "resolve" } == 1)
    }

    /// Requests that look at a key before the first of them has its verdict, and take it up after that: the flight has
    /// landed, and what they would join is gone.
    @Test func aVerdictReachedAfterTheFirstLookIsNotReachedAgain() async throws {
        let artifact = ScriptedStore.signature("s")
        let store = ScriptedStore(listing: .success([artifact]))
        let metrics = MetricsRegistry()
        let service = service(
            store, ScriptedVerifier(outcomes: [artifact.digest: ScriptedVerifier.good()]), metrics: metrics)
        let key = try ImageKey(parsing: "r.example/a:v1")
        let looks = (0..<3).map { _ in service.verdictAtHand(key) }
        for look in looks {
            guard case .pending(let question) = look,
                case .decided(let decision) = await service.verify(question, deadline: .now + .seconds(60))
            else {
                Issue.record("no verdict")
                return
            }
            #expect(decision.isSuccess)
        }
        #expect(store.log.count { $0 == "resolve" } == 1)
        #expect(service.cache.counts.misses == 3 && service.cache.counts.hits == 0, "each has asked the cache once")
        let text = metrics.render()
        #expect(text.contains("countersign_verifications_total 1"))
        #expect(text.contains(#"countersign_verdicts_total{verdict="pass",reason="verified"} 3"#))
    }

    /// A question is answered by the configuration that it was looked at with, to the end.
    @Test func aQuestionAsksForTheConfigurationOnce() async throws {
        let artifact = ScriptedStore.signature("s")
        let store = ScriptedStore(listing: .success([artifact]))
        let snapshot = ConfigurationSnapshot(
            generation: 1, stores: [store],
            verifiers: [ScriptedVerifier(outcomes: [artifact.digest: ScriptedVerifier.good()])],
            policy: ConfigPolicy(defaultRule: .any), settings: ServiceSettings())
        let source = CountingSource(snapshot)
        let service = PipelineService(
            source: source, cache: DecisionCache(timeToLive: .seconds(10)), metrics: MetricsRegistry())
        let key = try ImageKey(parsing: "r.example/a:v1")
        guard case .pending(let question) = service.verdictAtHand(key),
            case .decided = await service.verify(question, deadline: .now + .seconds(60))
        else {
            Issue.record("no verdict")
            return
        }
        #expect(source.snapshots == 1)
        guard case .pending(let tag) = service.referenceAtHand(key),
            case .reference = await service.mutate(tag, deadline: .now + .seconds(60))
        else {
            Issue.record("no digest")
            return
        }
        #expect(source.snapshots == 2)
    }

    /// What is kept of an image is kept under its registry's one name; what is handed back to be pulled has the name
    /// that was asked for.
    @Test(arguments: [(RegistryTransport.https, ":443", ":80"), (.http, ":80", ":443")])
    func spellingsOfARegistryShareAnswers(_ transport: RegistryTransport, _ port: String, _ other: String) async throws
    {
        let store = ScriptedStore(listing: .success([]), transport: transport)
        let service = service(store)
        for name in ["r.example", "r.example\(port)", "R.Example\(port)"] {
            let key = try ImageKey(parsing: "\(name)/a:v1")
            guard case .decided(let decision) = await service.verify(key, deadline: .now + .seconds(60))
            else {
                Issue.record("no verdict on \(name)")
                return
            }
            #expect(decision.reference == "r.example/a:v1")
            guard
                case .reference(let pinned) = await service.mutate(key, deadline: .now + .seconds(60))
            else {
                Issue.record("\(name) was not resolved")
                return
            }
            #expect(pinned == "\(name.lowercased())/a@\(ScriptedStore.image.digest)")
        }
        #expect(store.log.count { $0.hasPrefix("referrers") } == 1)
        _ = await service.verify(
            try ImageKey(parsing: "r.example\(other)/a:v1"), deadline: .now + .seconds(60))
        #expect(store.log.count { $0.hasPrefix("referrers") } == 2)
    }

    @Test func whatIsPinnedIsAtHand() throws {
        let service = service(ScriptedStore())
        let pinned = "r.example/a@\(ScriptedStore.image.digest)"
        guard case .answered(.reference(pinned)) = try service.referenceAtHand(ImageKey(parsing: pinned)) else {
            Issue.record("a pinned reference needs an answer from elsewhere")
            return
        }
        if case .answered = try service.referenceAtHand(ImageKey(parsing: "r.example/a:v1")) {
            Issue.record("a tag was not resolved")
        }
    }

    @Test func noConfigurationIsAPassingFault() async throws {
        let metrics = MetricsRegistry()
        let service = PipelineService(
            source: Source(current: .failure(ConfigurationUnavailable("still loading"))),
            cache: DecisionCache(timeToLive: .seconds(10)), metrics: metrics)
        let key = try ImageKey(parsing: "a")
        guard case .fault(let fault) = await service.verify(key, deadline: .now + .seconds(1)) else {
            Issue.record("answered without a configuration")
            return
        }
        #expect(fault.cause == "still loading")
        #expect(metrics.render().contains(#"countersign_verdicts_total{verdict="fault",reason="configuration"} 1"#))
        guard case .fault(fault) = await service.mutate(key, deadline: .now + .seconds(1)) else {
            Issue.record("resolved without a configuration")
            return
        }
    }

    @Test func mutationPinsTagsAndLeavesDigestsAlone() async throws {
        let store = ScriptedStore()
        let service = service(store)
        let digest = ScriptedStore.image.digest
        func mutate(_ key: String) async throws -> String {
            switch try await service.mutate(ImageKey(parsing: key), deadline: .now + .seconds(5)) {
            case .reference(let reference): reference
            case .refused(let error): "refused: \(error)"
            case .fault(let fault): "fault: \(fault)"
            }
        }
        #expect(try await mutate("r.example/a:v1") == "r.example/a@\(digest)")
        #expect(try await mutate("[ns]r.example/a:v1") == "r.example/a@\(digest)")
        #expect(try await mutate("nginx") == "docker.io/library/nginx@\(digest)")
        let before = store.log.count
        #expect(try await mutate("nginx@\(digest)") == "nginx@\(digest)")
        #expect(try await mutate("[ns]r.example/a:v1@\(digest)") == "r.example/a:v1@\(digest)")
        #expect(store.log.count == before, "a pinned reference needs no registry")
    }
}

extension PipelineService {
    fileprivate func hasAtHand(_ key: String) throws -> Bool {
        if case .answered = try verdictAtHand(ImageKey(parsing: key)) { true } else { false }
    }
}
