import Foundation
import Kubernetes
import StrictJSON
import TestSupport
import Testing

extension ResourceType {
    /// A custom resource with a status.
    static let widget = ResourceType(
        group: "example.test", version: "v1", plural: "widgets", kind: "Widget", isNamespaced: false)
    /// One in namespaces.
    static let gadget = ResourceType(
        group: "example.test", version: "v1", plural: "gadgets", kind: "Gadget", isNamespaced: true)
}

/// A widget.
func widget(_ name: String, _ size: Int64 = 1) -> JSONObject {
    [
        "apiVersion": "example.test/v1", "kind": "Widget", "metadata": ["name": .string(name)],
        "spec": ["size": .number(String(size))],
    ]
}

/// Runs something with an emulator and a client of it.
func withCluster(
    _ change: (inout KubernetesClient.Options) -> Void = { _ in },
    _ body: (KubernetesEmulator, KubernetesClient) async throws -> Void
) async throws {
    let cluster = try await KubernetesEmulator.start()
    cluster.register(.widget)
    cluster.register(.gadget)
    let client = try cluster.client(change)
    do { try await body(cluster, client) } catch {
        await client.shutdown()
        await cluster.stop()
        throw error
    }
    await client.shutdown()
    await cluster.stop()
}

/// The error of something that fails; `nil` when it does not.
func failure<T>(_ body: () async throws(KubernetesError) -> T) async -> KubernetesError? {
    do {
        _ = try await body()
        return nil
    } catch { return error }
}

/// What a reader of a watch knows: it keeps the objects as the events say, and remembers the events.
actor Reader {
    private(set) var names: [String: Int64] = [:]
    private(set) var syncs = 0
    private(set) var failures: [KubernetesError] = []
    private(set) var changes = 0
    private(set) var resumptions = 0

    func take(_ event: WatchEvent) {
        switch event {
        case .synced(let objects):
            syncs += 1
            names = [:]
            for object in objects { keep(object) }
        case .changed(let object):
            changes += 1
            keep(object)
        case .deleted(let object):
            changes += 1
            names[object.resourceKey?.name ?? ""] = nil
        case .failed(let error): failures.append(error)
        case .resumed: resumptions += 1
        }
    }

    private func keep(_ object: JSONObject) {
        names[object.resourceKey?.name ?? ""] = object["spec"]?["size"]?.integer ?? 0
    }

    /// Waits until something holds.
    func until(_ what: String, _ condition: @Sendable (isolated Reader) -> Bool) async throws {
        let end = ContinuousClock.now + .seconds(10)
        while !condition(self) {
            guard ContinuousClock.now < end else {
                Issue.record("not within 10 s: \(what); names \(names), syncs \(syncs), failures \(failures)")
                throw CancellationError()
            }
            try await Task.sleep(for: .milliseconds(5))
        }
    }
}

/// Runs something while a reader follows a watch.
func withWatch(
    _ client: KubernetesClient, _ selection: ResourceSelection = .all, _ body: (Reader) async throws -> Void
) async throws {
    let reader = Reader()
    let task = Task { for await event in client.watch(.widget, selection) { await reader.take(event) } }
    defer { task.cancel() }
    try await body(reader)
    task.cancel()
    // A cancelled watch ends.
    await task.value
}
