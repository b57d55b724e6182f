import Audit
import ConfigurationModel
import Kubernetes
import Logging
import ServiceLifecycle
import ServiceMetrics
import Synchronization
import Verification

/// Verifies the images that run in the cluster before anybody asks: at the start, and again before their verdicts end
/// (`cache.prewarm`). So a pod that is started again needs no registry.
///
/// Requests come first: an image waits while one of them has no place, or its registry limits requests. What is
/// answered to requests never depends on this.
package final class Prewarmer: Service {
    private struct State {
        var plan: PrewarmingPlan<ImageKey>
        var generator = SystemRandomNumberGenerator()
        /// Images of the last list that were not looked at yet, when they were listed, and what came of the others.
        var round: Round?
    }

    /// The way of all images of a list that were new.
    private struct Round {
        let began: ContinuousClock.Instant
        var kept = 0
        var faults = 0
    }

    private let service: PipelineService
    private let source: any ConfigurationSource
    private let connect: @Sendable () throws(KubernetesError) -> KubernetesClient
    private let metrics: MetricsRegistry
    private let logger: Logger
    private let listInterval: Duration
    private let state: Mutex<State>

    /// How many images are looked after at once.
    private static let simultaneous = 4
    /// How long one image may take.
    private static let timeout = Duration.seconds(30)
    /// The longest wait before the cluster is asked again that could not be asked.
    private static let longestRetry = Duration.seconds(30)
    /// How long nothing is looked at when nothing is to do; what is switched on by a new configuration begins then.
    private static let rest = Duration.seconds(2)

    /// - Parameters:
    ///   - source: whose settings say whether, and how fast.
    ///   - listInterval: how often the cluster is asked what runs.
    ///   - connect: makes the client that asks; called when prewarming is on.
    package init(
        service: PipelineService, source: any ConfigurationSource, metrics: MetricsRegistry, logger: Logger,
        listInterval: Duration = .seconds(300),
        connect: @escaping @Sendable () throws(KubernetesError) -> KubernetesClient
    ) {
        self.service = service
        self.source = source
        self.metrics = metrics
        self.logger = logger
        self.listInterval = listInterval
        self.connect = connect
        state = Mutex(State(plan: PrewarmingPlan(lifetime: service.decisionLifetime)))
    }

    /// Works until graceful shutdown.
    package func run() async throws {
        await cancelWhenGracefulShutdown { [self] in
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await self.list() }
                for _ in 0..<Self.simultaneous { group.addTask { await self.work() } }
            }
        }
    }

    private var settings: PrewarmingSettings? {
        let settings = source.settings.prewarming
        return settings.isEnabled ? settings : nil
    }

    // MARK: What runs

    /// Asks the cluster again and again.
    private func list() async {
        var client: KubernetesClient?
        var backoff = Backoff(base: .seconds(5), maximum: min(listInterval, Self.longestRetry))
        var outage = Outage()
        var isReporting = false
        while !Task.isCancelled {
            guard let settings else {
                state.withLock { state in
                    state.plan.set([], now: .now, using: &state.generator)
                    state.round = nil
                }
                guard await pause(Self.rest) else { break }
                continue
            }
            if !isReporting {
                isReporting = true
                report()
                if service.decisionLifetime <= .zero {
                    logger.warning("cache.prewarm has no effect: verdicts are not kept (--cache-enabled, --cache-ttl)")
                }
            }
            guard service.decisionLifetime > .zero else {
                guard await pause(Self.rest) else { break }
                continue
            }
            var wait = listInterval
            do throws(KubernetesError) {
                let cluster = if let client { client } else { try connect() }
                client = cluster
                var inventory = ImageInventory(isByNamespace: settings.isByNamespace)
                try await ClusterImages(client: cluster, excluded: settings.excludedNamespaces).collect(
                    into: &inventory)
                take(inventory, settings)
                count("countersign_prewarm_lists_total", "ok", Self.listsHelp)
                backoff.reset()
                if let lasted = outage.ends() {
                    logger.notice("images that run can be listed again, after \(lasted.inSeconds)")
                }
            } catch {
                guard !Task.isCancelled else { break }
                count("countersign_prewarm_lists_total", "failed", Self.listsHelp)
                wait = backoff.next(retryAfter: error.retryAfter)
                if outage.fails(error.detail) != .quiet {
                    logger.warning(
                        "images that run cannot be listed, and are not verified ahead; admission goes on: grant the service account list on pods, or switch cache.prewarm off",
                        metadata: ["reason": "\(error)", "again": "in \(wait.inSeconds)"])
                }
            }
            let end = ContinuousClock.now + wait
            // A configuration that switches it off, or looks elsewhere, is seen soon.
            while .now < end, self.settings == settings {
                guard await pause(min(Self.rest, end - .now)) else { break }
            }
        }
        await client?.shutdown()
    }

    private static let listsHelp = "Questions to the cluster what runs (cache.prewarm), by what came of them."

    private func take(_ inventory: ImageInventory, _ settings: PrewarmingSettings) {
        let now = ContinuousClock.now
        var keys: Set<ImageKey> = []
        for image in inventory.images {
            do throws(ImageKeyError) { keys.insert(try image.key()) } catch { note("refused") }
        }
        let waiting = state.withLock { state in
            // What was due at the last list and still is: more than the rate allows.
            let waiting = state.round == nil ? 0 : state.plan.waiting(now: now)
            let added = state.plan.set(keys, now: now, using: &state.generator)
            if added > 0, state.round == nil { state.round = Round(began: now) }
            return waiting
        }
        guard waiting > 0 else { return }
        logger.warning(
            "images that run are not verified ahead in time: raise cache.prewarm.ratePerMinute if the registry allows it, or --cache-ttl",
            metadata: [
                "waiting": "\(waiting)", "images": "\(keys.count)", "ratePerMinute": "\(settings.ratePerMinute)",
            ])
    }

    // MARK: Looking after images

    private func work() async {
        while !Task.isCancelled {
            guard let settings else {
                guard await pause(Self.rest) else { return }
                continue
            }
            switch state.withLock({ $0.plan.step(now: .now) }) {
            case .wait(let due):
                endRound()
                guard await pause(min(due.map { $0 - .now } ?? Self.rest, Self.rest)) else { return }
            case .look(let key):
                guard let outcome = await look(key, settings) else { return }
                state.withLock { state in
                    state.plan.finish(key, outcome, now: .now, using: &state.generator)
                    if case .kept = outcome { state.round?.kept += 1 }
                    if case .fault = outcome { state.round?.faults += 1 }
                }
            }
        }
    }

    /// Looks after an image; `nil` when it is time to end.
    private func look(_ key: ImageKey, _ settings: PrewarmingSettings) async -> PrewarmingOutcome? {
        let ahead = state.withLock { $0.plan.ahead }
        // A request may have brought the verdict meanwhile.
        if let life = service.remainingLife(of: key), life > ahead {
            note("known")
            return .kept(isSuccess: true, life: life)
        }
        let turn = state.withLock { $0.plan.turn(every: settings.interval, now: .now) }
        guard await pause(turn - .now) else { return nil }
        let outcome = await service.prewarm(key, ahead: ahead, deadline: .now + Self.timeout)
        switch outcome {
        case .kept(let isSuccess, _): note(isSuccess ? "pass" : "fail")
        case .postponed: note("postponed")
        case .fault(let fault):
            note("fault")
            logger.debug(
                "an image that runs was not verified ahead", metadata: ["key": "\(key)", "reason": "\(fault)"])
        }
        return outcome
    }

    /// Tells when everything that was listed has been looked at.
    private func endRound() {
        let now = ContinuousClock.now
        let ended = state.withLock { state -> (Round, Int)? in
            guard let round = state.round, state.plan.isResting(now: now) else { return nil }
            state.round = nil
            return (round, state.plan.count)
        }
        guard let (round, count) = ended else { return }
        logger.info(
            "images that run are verified ahead",
            metadata: [
                "images": "\(count)", "verdicts": "\(round.kept)", "faults": "\(round.faults)",
                "seconds": "\((now - round.began).components.seconds)",
            ])
    }

    /// Sleeps; false when it is time to end.
    private func pause(_ time: Duration) async -> Bool {
        guard time > .zero else { return !Task.isCancelled }
        return (try? await Task.sleep(for: time)) != nil
    }

    // MARK: Metrics

    private func report() {
        metrics.collect { [weak self] metrics in
            guard let self else { return }
            let (count, waiting) = state.withLock { ($0.plan.count, $0.plan.waiting(now: .now)) }
            metrics.gauge(
                "countersign_prewarm_images", [], Double(count),
                help: "Images that run in the cluster and are verified ahead (cache.prewarm).")
            metrics.gauge(
                "countersign_prewarm_waiting", [], Double(waiting),
                help: "Of these, images whose turn to be verified ahead has not come yet.")
        }
    }

    private func note(_ result: String) {
        count(
            "countersign_prewarm_total", result,
            "Images looked after before anybody asked (cache.prewarm), by what came of it.")
    }

    private func count(_ name: String, _ result: String, _ help: String) {
        metrics.count(name, [("result", result)], help: help)
    }
}
