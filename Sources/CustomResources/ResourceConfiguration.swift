import Concurrency
import ConfigurationModel
import FoundationEssentials
import KeyManagement
import Kubernetes
import Logging
import ServiceMetrics
import StrictJSON
import Synchronization
import Verification

/// The configuration that custom resources make: what watches tell goes in, snapshots for every namespace come out.
///
/// What has come is brought into force as a whole and at once by ``settle()``; who asks meanwhile gets what was.
package final class ResourceConfiguration: ConfigurationSource {
    private struct Pending {
        /// All resources of the kind, when it was listed anew.
        var all: [CustomResource]?
        /// Newer than that; `nil` for one that is gone.
        var changes: [ResourceID: CustomResource?] = [:]
    }

    private struct Inbox {
        var pending: [ResourceKind: Pending] = [:]
        var contacts = ResourceContacts()
        /// Whether something else than resources asks for a look at everything.
        var isForced = false
    }

    private struct Published {
        var isSynced = false
        var scopes: [String?: ResourceBoard.Scope] = [:]
        var settings = ServiceSettings()
    }

    private let board: Mutex<ResourceBoard>
    private let inbox = Mutex(Inbox())
    private let published = Mutex(Published())
    private let logger: Logger
    private let newest: AsyncStream<Void>.Continuation
    /// Told that something has come that ``settle()`` would bring into force.
    let arrivals: AsyncStream<Void>

    /// A configuration that nothing is known of yet.
    ///
    /// - Parameter home: the namespace that this program runs in.
    package init(parts: any ConfigurationParts, home: String?, metrics: MetricsRegistry, logger: Logger) {
        board = Mutex(ResourceBoard(parts: parts, home: home))
        self.logger = logger
        (arrivals, newest) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        metrics.collect { [weak self] metrics in self?.report(to: metrics) }
    }

    deinit { newest.finish() }

    // MARK: What comes in

    /// Takes what a watch tells.
    package func take(_ kind: ResourceKind, _ event: WatchEvent) {
        let (lines, isNews) = inbox.withLock { inbox in
            switch event {
            case .failed, .resumed: return (inbox.contacts.take(kind, event), false)
            case .synced(let objects):
                inbox.pending[kind] = Pending(all: objects.compactMap { CustomResource(kind, $0) })
            case .changed(let object):
                if let resource = CustomResource(kind, object) {
                    inbox.pending[kind, default: Pending()].changes[resource.id] = .some(resource)
                }
            case .deleted(let object):
                if let resource = CustomResource(kind, object) {
                    inbox.pending[kind, default: Pending()].changes[resource.id] = .some(nil)
                }
            }
            return (inbox.contacts.take(kind, event), true)
        }
        for line in lines { logger.log(level: line.level, "\(line.text)") }
        if isNews { newest.yield() }
    }

    /// How requests are served, from now on.
    package func use(_ settings: ServiceSettings) {
        board.withLock { $0.settings = settings }
        published.withLock { $0.settings = settings }
        force()
    }

    private func force() {
        inbox.withLock { $0.isForced = true }
        newest.yield()
    }

    /// Asks for another try of what is not in force.
    func retry() {
        if board.withLock(\.hasFailures) { force() }
    }

    /// Brings everything that has come into force.
    package func settle() {
        let warnings = board.withLock { board in
            let (pending, isForced, isSynced) = inbox.withLock { inbox in
                defer {
                    inbox.pending = [:]
                    inbox.isForced = false
                }
                let isSynced = ResourceKind.allCases.allSatisfy { inbox.contacts.isSynced($0) }
                return (inbox.pending, inbox.isForced, isSynced)
            }
            var isOther = isForced
            for (kind, news) in pending {
                if let all = news.all { isOther = board.replace(kind, with: all) || isOther }
                for (id, resource) in news.changes {
                    isOther = resource.map { board.put($0) } ?? board.remove(id) || isOther
                }
            }
            // Half of the resources would make another configuration than all of them.
            guard isSynced, isOther || published.withLock({ !$0.isSynced }) else { return [String]() }
            board.rebuild()
            published.withLock { published in
                published.isSynced = true
                published.scopes = board.scopes
            }
            defer { board.warnings = [] }
            return board.warnings
        }
        for warning in warnings { logger.warning("\(warning)") }
    }

    // MARK: ConfigurationSource

    private func scope(_ namespace: String?) -> Result<ResourceBoard.Scope, ConfigurationUnavailable> {
        let scope = published.withLock { published -> ResourceBoard.Scope? in
            guard published.isSynced else { return nil }
            return published.scopes[namespace] ?? published.scopes[.none]
        }
        if let scope { return .success(scope) }
        return .failure(ConfigurationUnavailable(notSynced))
    }

    package func snapshot(for namespace: String?) -> Result<ConfigurationSnapshot, ConfigurationUnavailable> {
        scope(namespace).flatMap(\.snapshot)
    }

    package func trustGeneration(for namespace: String?) -> UInt64 {
        (try? scope(namespace).get())?.trusted.generation ?? 0
    }

    package func trustFingerprint(for namespace: String?) -> String? {
        (try? scope(namespace).get())?.trusted.fingerprint
    }

    package var settings: ServiceSettings { published.withLock(\.settings) }

    private var notSynced: String {
        let waiting = inbox.withLock { inbox in
            ResourceKind.allCases.filter { !inbox.contacts.isSynced($0) }.map { kind in
                kind.rawValue + (inbox.contacts.failure(of: kind).map { " (\($0))" } ?? "")
            }
        }
        return "custom resources were not read yet: \(waiting.joined(separator: ", "))"
    }

    package var readiness: Readiness {
        get async {
            let published = published.withLock { $0 }
            guard published.isSynced else { return .notReady(notSynced) }
            let untried = board.withLock(\.untriedProviders)
            guard untried.isEmpty else {
                return .notReady("trusted certificates were not read yet: \(untried.joined(separator: ", "))")
            }
            let isSomeoneServed = published.scopes.values.contains { scope in
                if case .success = scope.snapshot { true } else { false }
            }
            // A namespace whose resources are wrong stops nobody else.
            if isSomeoneServed { return .ready }
            guard case .failure(let reason)? = published.scopes[.none]?.snapshot else { return .ready }
            return .notReady(reason.description)
        }
    }

    // MARK: Reports

    /// Everything that certificates in force come from.
    package var providers: [any CertificateProvider] { board.withLock(\.providersInForce) }

    /// Every resource and how it is doing.
    func reports() -> [(resource: CustomResource, report: ResourceReport)] {
        board.withLock { board in
            guard published.withLock(\.isSynced) else { return [] }
            return board.resources.values.map { ($0, board.report(on: $0.id)) }
        }
    }

    private func report(to metrics: MetricsRegistry) {
        let (counts, providers) = board.withLock { board in
            var counts: [ResourceKind: (good: Int, bad: Int)] = [:]
            for id in board.resources.keys {
                if board.report(on: id).error == nil {
                    counts[id.kind, default: (0, 0)].good += 1
                } else {
                    counts[id.kind, default: (0, 0)].bad += 1
                }
            }
            return (counts, board.providersInForce)
        }
        let contacts = inbox.withLock { $0.contacts }
        let scopes = published.withLock { $0.scopes }
        for kind in ResourceKind.allCases {
            let count = counts[kind] ?? (0, 0)
            for (state, number) in [("true", count.good), ("false", count.bad)] {
                metrics.gauge(
                    "countersign_resources", [("kind", kind.rawValue), ("success", state)], Double(number),
                    help: "Custom resources, by whether their newest version is in force with nothing missing.")
            }
            metrics.gauge(
                "countersign_resources_out_of_sync_seconds", [("kind", kind.rawValue)],
                contacts.secondsOutOfSync(kind),
                help: "For how long resources of a kind could not be watched; what was read before stays in force.")
        }
        metrics.gauge(
            "countersign_configuration_valid", [], counts.values.allSatisfy { $0.bad == 0 } ? 1 : 0,
            help: "1 when the newest configuration is in force, 0 when it is not valid and the former one stays.")
        let generations = scopes.values.compactMap { try? $0.snapshot.get().generation }
        metrics.gauge(
            "countersign_configuration_generation", [], Double(generations.max() ?? 0),
            help: "Configurations that came into force.")
        TrustMetrics.report(providers, to: metrics)
    }
}
