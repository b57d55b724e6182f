import FoundationEssentials
import Kubernetes
import Logging
import ServiceMetrics
import StrictJSON
import Synchronization

/// Writes into the status of resources how they are doing.
///
/// Every replica does, and they do not fight: a replica writes what it has not said before, or what differs for ten
/// minutes; it does not answer another one that sees things differently. The time of the last fetch alone is written
/// every five minutes at most.
final class ResourceStatusWriter: Sendable {
    private struct Said {
        let uid: String
        var content: ResourceReport.Content?
        var at = ContinuousClock.now
        var failures = 0
        var notBefore = ContinuousClock.now
    }

    private let client: KubernetesClient
    private let configuration: ResourceConfiguration
    private let metrics: MetricsRegistry
    private let logger: Logger
    private let said = Mutex<[ResourceID: Said]>([:])
    private let trouble = Mutex(Trouble())

    /// Which statuses could not be written, for the log.
    private struct Trouble {
        var failing: Set<ResourceID> = []
        var outage = Outage()
    }

    private static let rewriteInterval = Duration.seconds(600)
    private static let timeStep = 300.0
    private static let parallelism = 4

    init(client: KubernetesClient, configuration: ResourceConfiguration, metrics: MetricsRegistry, logger: Logger) {
        self.client = client
        self.configuration = configuration
        self.metrics = metrics
        self.logger = logger
    }

    private struct Writing: Sendable {
        let id: ResourceID
        let uid: String
        let content: ResourceReport.Content
        let status: JSONObject
    }

    /// Writes what is to be written now.
    func write() async {
        let writings = due(now: .now)
        guard !writings.isEmpty else { return }
        await withDiscardingTaskGroup { group in
            let lanes = (0..<Self.parallelism).map { lane in
                writings.enumerated().filter { $0.offset % Self.parallelism == lane }.map(\.element)
            }
            for lane in lanes {
                group.addTask { [self] in
                    // While the API server cannot be asked, the rest of a lane would only wait in vain.
                    for writing in lane where !Task.isCancelled {
                        guard await write(writing) else { break }
                    }
                }
            }
        }
    }

    private func due(now: ContinuousClock.Instant) -> [Writing] {
        let reports = configuration.reports()
        return said.withLock { said in
            let ids = Set(reports.map(\.resource.id))
            said = said.filter { ids.contains($0.key) }
            var writings: [Writing] = []
            for (resource, report) in reports {
                let content = report.content
                let stored = ResourceReport.Content(
                    status: resource.status, hasProperties: content.properties != nil)
                var entry = said[resource.id] ?? Said(uid: resource.uid)
                if entry.uid != resource.uid { entry = Said(uid: resource.uid) }
                defer { said[resource.id] = entry }
                guard entry.notBefore <= now else { continue }
                if stored == content {
                    entry.content = content
                    entry.at = now
                    guard report.isTimeOutdated(in: resource.status, by: Self.timeStep) else { continue }
                    // Until the watch brings what was written.
                    entry.notBefore = now + .seconds(30)
                } else {
                    if entry.content == content, now - entry.at < Self.rewriteInterval { continue }
                }
                writings.append(
                    Writing(
                        id: resource.id, uid: resource.uid, content: content,
                        status: report.patch(over: resource.status)))
            }
            return writings
        }
    }

    /// Writes a status.
    ///
    /// - Returns: whether the API server can be asked for more.
    private func write(_ writing: Writing) async -> Bool {
        // The uid keeps it from an object that has come in the place of this one.
        let patch: JSONValue = [
            "metadata": ["uid": .string(writing.uid)], "status": .object(writing.status),
        ]
        do throws(KubernetesError) {
            try await client.patchStatus(
                writing.id.kind.type, name: writing.id.name, namespace: writing.id.namespace, patch)
            said.withLock { said in
                said[writing.id]?.content = writing.content
                said[writing.id]?.at = .now
                said[writing.id]?.failures = 0
            }
            metrics.count(
                "countersign_resource_status_writes_total", [("result", "success")],
                help: "Writes of the status of custom resources.")
            recovered(writing.id)
            return true
        } catch {
            // Deleted meanwhile, or replaced by another of the same name: its own events come.
            if error.kind == .notFound || error.kind == .conflict || error.kind == .cancelled {
                recovered(writing.id)
                return error.kind != .cancelled
            }
            let isAway = error.isTransient
            said.withLock { said in
                guard var entry = said[writing.id] else { return }
                if isAway {
                    // A status is right again soon after the API server is back.
                    entry.notBefore = .now + .seconds(4) * Double.random(in: 0.5...1)
                } else {
                    entry.notBefore = .now + .seconds(min(300, 5 << min(entry.failures, 6)))
                    entry.failures += 1
                }
                said[writing.id] = entry
            }
            metrics.count(
                "countersign_resource_status_writes_total", [("result", "failure")],
                help: "Writes of the status of custom resources.")
            let telling = trouble.withLock { trouble in
                trouble.failing.insert(writing.id)
                return trouble.outage.fails(error.detail)
            }
            if telling != .quiet {
                logger.warning(
                    "the status of \(writing.id) was not written\(telling == .goesOn ? ", and this lasts" : ""): \(error)"
                )
            }
            return !isAway
        }
    }

    private func recovered(_ id: ResourceID) {
        guard trouble.withLock({ !$0.failing.isEmpty }) else { return }
        let known = said.withLock { Set($0.keys) }
        let lasted = trouble.withLock { trouble -> Duration? in
            trouble.failing.remove(id)
            trouble.failing.formIntersection(known)
            return trouble.failing.isEmpty ? trouble.outage.ends() : nil
        }
        if let lasted { logger.notice("the status of resources is written again, after \(lasted.inSeconds)") }
    }
}
