import Concurrency
import ConfigurationModel
import FoundationEssentials
import OCI
import ServiceMetrics
import Synchronization

/// The verification service. It answers from the decision cache. On a miss it asks the decisions that replicas share,
/// then runs the pipeline: once for all callers that ask the same meanwhile.
package final class PipelineService: VerificationService {
    /// What a reference resolves to.
    enum Resolution: Sendable {
        case digest(Digest)
        case refused(String)
        case fault(TransientFault)
    }

    let source: any ConfigurationSource
    let cache: DecisionCache
    private let shared: (any SharedDecisions)?
    let metrics: MetricsRegistry
    let verifications: SingleFlight<DecisionCache.Key, PipelineResult, Never>
    let resolutions: SingleFlight<DecisionCache.Key, Resolution, Never>
    /// The counter of the most frequent answer, looked up once.
    private let admissions: MetricCounter
    let limiter = ConcurrencyLimiter()
    /// How many questions wait for their answers now.
    let asked: (verify: WaitingCount, mutate: WaitingCount) = (WaitingCount(), WaitingCount())
    let verified: VerifiedImages
    /// The current step of each verification under way, for the fault of a caller whose deadline passes first.
    private let stages = Mutex<[DecisionCache.Key: TransientFault.Stage]>([:])

    /// How long shared work goes on at least when those who asked for it have given up: long enough for a slow
    /// registry to answer, so that the next try finds the verdict ready.
    private static let minimumFlightTime = Duration.seconds(10)

    /// How long a request waits for work under way on which another request has timed out. Within one review
    /// constraints of several kinds ask the same question one after the other; if each waited until its own timeout,
    /// three would not fit into the time that Gatekeeper's webhook has (docs/limits.md, "Time of a review").
    package static let waitAfterTimeout = Duration.milliseconds(100)

    /// A service over the configuration that `source` gives.
    ///
    /// - Parameters:
    ///   - waitAfterTimeout: how long a request waits for work on which another request has timed out; `nil`: until its
    ///     own deadline.
    ///   - shared: decisions of other replicas.
    ///   - verified: where admitted images are kept for outages.
    package init(
        source: any ConfigurationSource, cache: DecisionCache, metrics: MetricsRegistry,
        shared: (any SharedDecisions)? = nil, verified: VerifiedImages = VerifiedImages(),
        waitAfterTimeout: Duration? = PipelineService.waitAfterTimeout
    ) {
        verifications = SingleFlight(waitAfterTimeout: waitAfterTimeout)
        resolutions = SingleFlight(waitAfterTimeout: waitAfterTimeout)
        self.source = source
        self.verified = verified
        self.shared = shared
        self.cache = cache
        self.metrics = metrics
        admissions = metrics.counter(
            "countersign_verdicts_total", [("verdict", "pass"), ("reason", "verified")],
            help: KeyAnswer.countHelp)
        reportAll()
    }

    package var readiness: Readiness { get async { await source.readiness } }

    package var settings: ServiceSettings { source.settings }

    package func verdictAtHand(_ key: ImageKey) -> FirstLook<KeyAnswer> {
        let question: PendingQuestion
        do { question = try self.question(key) } catch { return .answered(counted(.fault(TransientFault(error)))) }
        guard let decision = cache.decision(for: question.cacheKey) else { return .pending(question) }
        return .answered(counted(.decided(decision)))
    }

    package func verify(_ question: PendingQuestion, deadline: ContinuousClock.Instant) async -> KeyAnswer {
        asked.verify.begin()
        defer { asked.verify.end() }
        switch await verdict(on: question, deadline: deadline) {
        case .decided(let decision, _): return counted(.decided(decision))
        case .fault(let fault): return counted(earlier(question, fault))
        case nil:
            let stage = stages.withLock { $0[question.cacheKey] } ?? .verify
            return counted(earlier(question, PipelineService.late(stage, question)))
        }
    }

    /// The question about a key, to the configuration that is in force now.
    func question(_ key: ImageKey) throws(ConfigurationUnavailable) -> PendingQuestion {
        PendingQuestion(
            key, try source.snapshot(for: key.namespace).get(),
            trustGeneration: source.trustGeneration(for: key.namespace))
    }

    private func counted(_ answer: KeyAnswer) -> KeyAnswer {
        if case .decided(let decision) = answer, decision.isSuccess, !decision.isStale {
            admissions.count()
        } else {
            metrics.count(answer)
        }
        return answer
    }

    /// The verdict on an image: from the flight that is under way, or a new one for all who ask meanwhile. `nil` when
    /// the deadline came first.
    ///
    /// - Parameter ahead: for prewarming: a verdict of another replica is taken only if it holds for longer than this,
    ///   and the caller has a place of the limiter already. `nil` for a request.
    func verdict(
        on question: PendingQuestion, deadline: ContinuousClock.Instant, ahead: Duration? = nil
    ) async -> PipelineResult? {
        let (key, cacheKey, snapshot) = (question.key, question.cacheKey, question.snapshot)
        return await verifications.value(for: cacheKey, deadline: deadline) { [self] in
            // The first look and the way into a flight are two steps: a request waits for a thread between them. A
            // flight that lands meanwhile has left its decision in the cache, and is not there to be joined any more.
            if ahead == nil, let decision = cache.decisionKeptMeanwhile(for: cacheKey) {
                return .decided(decision, validUntil: nil)
            }
            let sharedKey = self.sharedKey(question)
            if let shared, let sharedKey, let known = await shared.decision(for: sharedKey),
                known.life > ahead ?? .zero
            {
                // Only a verification of our own lets an image stand in for later ones; a denial counts whoever reached
                // it.
                if !known.decision.isSuccess { deny(known.decision, question) }
                cache.keep(known.decision, for: cacheKey, validFor: known.life)
                return .decided(known.decision, validUntil: nil)
            }
            metrics.count("countersign_verifications_total", help: "Images taken through the whole pipeline.")
            let time = max(snapshot.settings.verificationTimeout * 2, PipelineService.minimumFlightTime)
            stages.withLock { $0[cacheKey] = .queue }
            defer { stages.withLock { $0[cacheKey] = nil } }
            let pipeline = Pipeline(snapshot: snapshot, metrics: metrics) { [self] stage in
                stages.withLock { $0[cacheKey] = stage }
            }
            let began = ContinuousClock.now
            let end = began + time
            // Nobody cancels this task: what it needs it fetches itself.
            let result = await DetachedWork.$isCurrent.withValue(true) {
                guard ahead == nil else { return await pipeline.run(key.reference, deadline: end) }
                return await limiter.work(
                    at: key.reference.endpoint, limits: snapshot.settings.limits, callerDeadline: deadline,
                    deadline: end,
                    overloaded: { .fault(TransientFault(stage: .queue, host: key.reference.endpoint, cause: $0)) }
                ) {
                    metrics.observe(.queue, at: key.reference.endpoint, began.duration(to: .now))
                    return await pipeline.run(key.reference, deadline: end)
                }
            }
            if case .decided(let decision, let validUntil) = result {
                let life = validUntil.map { Duration.seconds($0.timeIntervalSinceNow) }
                note(decision, question, validUntil: validUntil, began: began)
                cache.keep(decision, for: cacheKey, validFor: life)
                // Trust that changed meanwhile may have changed the verdict: it is not shared under what was trusted
                // before.
                if let shared, let sharedKey, sharedKey == self.sharedKey(question),
                    cacheKey.trustGeneration == source.trustGeneration(for: key.namespace)
                {
                    shared.keep(decision, for: sharedKey, life: life ?? cache.timeToLive)
                }
            }
            return result
        }
    }

    /// Takes note of a verdict for later outages. Before it is kept: what stands in for it meanwhile is then replaced
    /// by it.
    private func note(
        _ decision: Decision, _ question: PendingQuestion, validUntil: Date?, began: ContinuousClock.Instant
    ) {
        guard decision.isSuccess else { return deny(decision, question) }
        let window = question.snapshot.settings.staleIfError
        guard window > .zero, let digest = decision.digest, !decision.restsOnTag else { return }
        verified.note(
            decision, for: question.cacheKey(by: digest), validUntil: validUntil, window: window, began: began)
    }

    /// Forgets that an image was admitted, by whatever name: it has been denied since.
    private func deny(_ decision: Decision, _ question: PendingQuestion) {
        guard let digest = decision.digest else { return }
        let pinned = question.cacheKey(by: digest)
        if question.snapshot.settings.staleIfError > .zero { verified.deny(pinned) }
        cache.removeAdmission(for: pinned)
    }

    /// What is answered instead of a fault: an earlier admission of this very digest, if the configuration allows it.
    private func earlier(_ question: PendingQuestion, _ fault: TransientFault) -> KeyAnswer {
        let window = question.snapshot.settings.staleIfError
        guard window > .zero, let digest = question.key.reference.digest,
            let (decision, _) = verified.decision(
                for: question.cacheKey(by: digest), insteadOf: fault, window: window,
                // Kept as others are, so that a registry that hangs does not hold up every pod for the whole deadline.
                keep: { cache.keep($0, for: question.cacheKey, validFor: $1) })
        else { return .fault(fault) }
        return .decided(decision)
    }

    /// What a decision is shared under; `nil` when it is not.
    private func sharedKey(_ question: PendingQuestion) -> SharedDecisionKey? {
        let key = question.key
        guard shared != nil, let configuration = question.snapshot.fingerprint,
            let trust = source.trustFingerprint(for: key.namespace)
        else { return nil }
        return SharedDecisionKey(
            fingerprint: "\(configuration) \(trust)", namespace: key.namespace, reference: key.name)
    }

    package func referenceAtHand(_ key: ImageKey) -> FirstLook<MutationAnswer> {
        // Idempotent, and never a registry call, for what is pinned already.
        guard key.reference.digest == nil else { return .answered(.reference(key.text)) }
        do { return .pending(try question(key)) } catch { return .answered(.fault(TransientFault(error))) }
    }

    package func mutate(_ question: PendingQuestion, deadline: ContinuousClock.Instant) async -> MutationAnswer {
        asked.mutate.begin()
        defer { asked.mutate.end() }
        let (key, snapshot) = (question.key, question.snapshot)
        let resolution = await resolutions.value(for: question.resolutionKey, deadline: deadline) {
            [metrics, limiter] in
            let end = ContinuousClock.now + PipelineService.minimumFlightTime
            return await limiter.work(
                at: key.reference.endpoint, limits: snapshot.settings.limits, callerDeadline: deadline, deadline: end,
                overloaded: { .fault(TransientFault(stage: .queue, host: key.reference.endpoint, cause: $0)) }
            ) {
                do throws(RegistryError) {
                    let (descriptor, _) = try await Pipeline(snapshot: snapshot, metrics: metrics)
                        .resolve(key.reference, deadline: end)
                    return Resolution.digest(descriptor.digest)
                } catch {
                    guard error.isTransient else { return .refused(error.description) }
                    return .fault(
                        TransientFault(
                            stage: .resolve, host: error.host, cause: error.description,
                            isConfiguration: error.isConfiguration))
                }
            }
        }
        return switch resolution {
        // The answer keeps the registry's name as it was asked for: nodes have credentials and mirrors under that name.
        case .digest(let digest): .reference("\(key.reference.writtenScopeName)@\(digest)")
        case .refused(let reason): .refused(reason)
        case .fault(let fault): .fault(fault)
        case nil: .fault(PipelineService.late(.resolve, question))
        }
    }

    static func late(_ stage: TransientFault.Stage, _ question: PendingQuestion) -> TransientFault {
        let reference = question.key.reference
        if let degradedReason = question.snapshot.stores.lazy.compactMap({ $0.degradedReason(for: reference) }).first {
            return TransientFault(
                stage: stage, host: reference.endpoint,
                cause: "no answer in time: \(degradedReason); the work goes on, ask again in a moment")
        }
        return TransientFault(
            stage: stage, host: reference.endpoint,
            cause:
                "no answer in time; the work goes on, ask again in a moment (or raise executor.verificationRequestTimeout and the Provider's timeout)"
        )
    }
}
