import FoundationEssentials
import OCI
import Synchronization

/// Gives the configuration that answers for a namespace.
package protocol ConfigurationSource: Sendable {
    /// The snapshot for a namespace's keys, `nil` for keys without one; or why there is none yet.
    func snapshot(for namespace: String?) -> Result<ConfigurationSnapshot, ConfigurationUnavailable>

    /// Changes whenever something changed that a kept decision may rest on besides the configuration itself: the
    /// trusted certificates.
    var trustGeneration: UInt64 { get }

    /// Whether all that is needed to serve is loaded.
    var readiness: Readiness { get async }
}

/// Why there is no configuration to answer with.
package struct ConfigurationUnavailable: Error, Sendable, CustomStringConvertible {
    /// What is missing and what to do.
    package let description: String

    /// A reason.
    package init(_ description: String) { self.description = description }
}

/// Answers the provider: decision cache, then one flight for all who ask the same, then the pipeline.
package final class PipelineService: VerificationService {
    private struct FlightKey: Hashable, Sendable {
        let decision: DecisionCache.Key
        let isMutation: Bool
    }

    private let source: any ConfigurationSource
    private let cache: DecisionCache
    private let metrics: MetricsRegistry
    private let verifications = SingleFlight<FlightKey, PipelineResult>()
    private let resolutions = SingleFlight<FlightKey, MutationAnswer>()
    /// How far each verification has come, for those who do not wait for its end.
    private let stages = Mutex<[FlightKey: PassingFault.Stage]>([:])

    /// How long shared work goes on at least when those who asked for it have given up: long enough for a slow
    /// registry to answer, so that the next try finds the verdict ready.
    private static let minimumFlightTime = Duration.seconds(10)

    /// A service over the configuration that `source` gives.
    package init(source: any ConfigurationSource, cache: DecisionCache, metrics: MetricsRegistry) {
        self.source = source
        self.cache = cache
        self.metrics = metrics
        metrics.collect { [cache, verifications] metrics in
            let statistics = cache.statistics
            metrics.gauge(
                "countersign_decision_cache_entries", [], Double(statistics.entries), help: "Decisions kept now.")
            metrics.gauge(
                "countersign_decision_cache_bytes", [], Double(statistics.bytes),
                help: "The bytes that the decisions kept now take, about.")
            metrics.set(
                total: Double(statistics.hits), of: "countersign_decision_cache_hits_total",
                help: "Requests answered from the decision cache.")
            metrics.set(
                total: Double(statistics.misses), of: "countersign_decision_cache_misses_total",
                help: "Requests that found no decision in the cache.")
            metrics.gauge(
                "countersign_verifications_in_flight", [], Double(verifications.count),
                help: "Verifications under way now.")
        }
    }

    package var readiness: Readiness { get async { await source.readiness } }

    package var settings: ServiceSettings {
        switch source.snapshot(for: nil) {
        case .success(let snapshot): snapshot.settings
        case .failure: ServiceSettings()
        }
    }

    package func verify(key text: String, traceID: String, deadline: ContinuousClock.Instant) async -> KeyAnswer {
        let key: VerificationKey
        do { key = try VerificationKey(parsing: text) } catch { return .refused(error.description.boundedQuote) }
        let snapshot: ConfigurationSnapshot
        switch source.snapshot(for: key.namespace) {
        case .success(let value): snapshot = value
        case .failure(let error):
            return .fault(PassingFault(stage: .configuration, host: nil, cause: error.description))
        }
        let cacheKey = DecisionCache.Key(
            generation: snapshot.generation, trustGeneration: source.trustGeneration, namespace: key.namespace,
            reference: key.reference.description)
        if let decision = cache.decision(for: cacheKey) { return .decided(decision) }

        let flightKey = FlightKey(decision: cacheKey, isMutation: false)
        let result = await verifications.value(for: flightKey, deadline: deadline) { [self] in
            // A flight that landed between the look into the cache and here has left its decision there.
            if let decision = cache.decision(for: cacheKey) { return .decided(decision, validUntil: nil) }
            metrics.count("countersign_verifications_total", help: "Images taken through the whole pipeline.")
            let time = max(snapshot.settings.verificationTimeout * 2, PipelineService.minimumFlightTime)
            defer { stages.withLock { $0[flightKey] = nil } }
            let pipeline = Pipeline(snapshot: snapshot, metrics: metrics) { [self] stage in
                stages.withLock { $0[flightKey] = stage }
            }
            let result = await pipeline.run(key.reference, deadline: .now + time)
            if case .decided(let decision, let validUntil) = result {
                cache.keep(decision, for: cacheKey, validFor: validUntil.map { .seconds($0.timeIntervalSinceNow) })
            }
            return result
        }
        switch result {
        case .decided(let decision, _): return .decided(decision)
        case .fault(let fault): return .fault(fault)
        case nil:
            let stage = stages.withLock { $0[flightKey] } ?? .verify
            return .fault(PipelineService.late(stage, key, deadline: deadline))
        }
    }

    package func mutate(key text: String, traceID: String, deadline: ContinuousClock.Instant) async -> MutationAnswer {
        let key: VerificationKey
        do { key = try VerificationKey(parsing: text) } catch { return .refused(error.description.boundedQuote) }
        // Idempotent, and never a registry call, for what is pinned already.
        if key.reference.digest != nil { return .reference(key.text) }
        let snapshot: ConfigurationSnapshot
        switch source.snapshot(for: key.namespace) {
        case .success(let value): snapshot = value
        case .failure(let error):
            return .fault(PassingFault(stage: .configuration, host: nil, cause: error.description))
        }
        let flightKey = FlightKey(
            decision: DecisionCache.Key(
                generation: snapshot.generation, trustGeneration: 0, namespace: key.namespace,
                reference: key.reference.description), isMutation: true)
        let answer = await resolutions.value(for: flightKey, deadline: deadline) { [metrics] in
            do throws(RegistryError) {
                let (descriptor, _) = try await Pipeline(snapshot: snapshot, metrics: metrics)
                    .resolve(key.reference, deadline: .now + PipelineService.minimumFlightTime)
                return MutationAnswer.reference("\(key.reference.scopeName)@\(descriptor.digest)")
            } catch {
                guard error.isPassing else { return .refused(error.description) }
                return .fault(PassingFault(stage: .resolve, host: error.host, cause: error.description))
            }
        }
        return answer ?? .fault(PipelineService.late(.resolve, key, deadline: deadline))
    }

    private static func late(
        _ stage: PassingFault.Stage, _ key: VerificationKey, deadline: ContinuousClock.Instant
    ) -> PassingFault {
        PassingFault(
            stage: stage, host: key.reference.endpoint,
            cause:
                "no answer in time; the work goes on, ask again in a moment (or raise executor.verificationRequestTimeout and the Provider's timeout)"
        )
    }
}
