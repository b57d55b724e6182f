import Foundation
import Kubernetes
import NIOCore
import StrictJSON

/// A watch as it was asked for.
struct EmulatedWatch: Sendable {
    let type: ResourceType
    let selection: ObjectSelection
    let version: String
    let allowsBookmarks: Bool
    let seconds: Int
}

/// A watch under way.
struct EmulatedWatcher: Sendable {
    enum Signal: Sendable { case changes, bookmark, end }

    let signal: AsyncStream<Signal>.Continuation
    let channel: any Channel
}

/// What a list or a watch is about.
struct ObjectSelection: Sendable {
    let namespace: String?
    let fields: [(path: [String], value: String, isEqual: Bool)]
    let labels: [(name: String, value: String?, isEqual: Bool)]

    init(namespace: String?, query: [String: String]) {
        self.namespace = namespace
        fields = ObjectSelection.terms(query["fieldSelector"]).map {
            ($0.name.split(separator: ".").map(String.init), $0.value ?? "", $0.isEqual)
        }
        labels = ObjectSelection.terms(query["labelSelector"])
    }

    private static func terms(_ text: String?) -> [(name: String, value: String?, isEqual: Bool)] {
        (text ?? "").split(separator: ",").map { term in
            if let range = term.range(of: "!=") {
                return (String(term[..<range.lowerBound]), String(term[range.upperBound...]), false)
            }
            guard let equals = term.firstIndex(of: "=") else { return (String(term), nil, true) }
            let value = term[equals...].drop { $0 == "=" }
            return (String(term[..<equals]), String(value), true)
        }
    }

    func matches(_ object: JSONObject) -> Bool {
        if let namespace, object["metadata"]?["namespace"]?.string != namespace { return false }
        for (path, value, isEqual) in fields {
            let found = path.reduce(JSONValue?.some(.object(object))) { $0?[$1] }?.string ?? ""
            guard (found == value) == isEqual else { return false }
        }
        for (name, value, isEqual) in labels {
            let found = object["metadata"]?["labels"]?[name]?.string
            guard value == nil ? found != nil : (found == value) == isEqual else { return false }
        }
        return true
    }
}

extension KubernetesEmulator {
    /// Sends events until the watch's time is over, it is told to end, or the client leaves.
    func serve(_ watch: EmulatedWatch, _ exchange: EmulatorExchange) async throws {
        let (signals, signal) = AsyncStream<EmulatedWatcher.Signal>.makeStream()
        let number = state.withLock { state in
            state.watchersMade += 1
            state.watchers[state.watchersMade] = EmulatedWatcher(signal: signal, channel: exchange.channel)
            return state.watchersMade
        }
        defer { state.withLock { $0.watchers[number] = nil } }
        exchange.channel.closeFuture.whenComplete { _ in signal.finish() }
        let timer = Task {
            try await Task.sleep(for: .seconds(watch.seconds))
            signal.yield(.end)
        }
        defer { timer.cancel() }
        try await exchange.begin(200, ["Content-Type": "application/json", "Transfer-Encoding": "chunked"])
        func send(_ kind: String, _ object: JSONObject) async throws {
            let event: JSONObject = ["type": .string(kind), "object": .object(object)]
            try await exchange.write(JSONValue.object(event).bytes + [0x0A])
        }
        var position: UInt64
        if let version = UInt64(watch.version), version > 0 {
            position = version
        } else {
            // From any version: what is there comes first, as new.
            let (objects, version) = state.withLock { state in
                (state.sorted(watch.type).map(\.value).filter(watch.selection.matches), state.version)
            }
            for object in objects { try await send("ADDED", object) }
            position = version
        }
        signal.yield(.changes)
        for await signal in signals {
            if signal == .end { break }
            let (changes, isForgotten, version) = state.withLock { state in
                (
                    state.changes(after: position).filter { $0.type == watch.type }, position < state.compacted,
                    state.version
                )
            }
            if isForgotten {
                try await send(
                    "ERROR",
                    EmulatorAnswer.failure(
                        410, "Expired", "too old resource version: \(position) (\(version))"))
                break
            }
            for change in changes {
                position = change.version
                let isMember = change.kind != "DELETED" && watch.selection.matches(change.object)
                let wasMember = change.former.map(watch.selection.matches) ?? false
                switch (wasMember, isMember) {
                case (false, false): continue
                case (false, true): try await send("ADDED", change.object)
                case (true, true): try await send("MODIFIED", change.object)
                case (true, false): try await send("DELETED", change.object)
                }
            }
            position = max(position, version)
            if signal == .bookmark, watch.allowsBookmarks {
                try await send(
                    "BOOKMARK",
                    [
                        "apiVersion": .string(watch.type.apiVersion), "kind": .string(watch.type.kind),
                        "metadata": ["resourceVersion": .string(String(position)), "creationTimestamp": .null],
                    ])
            }
        }
        try await exchange.end()
    }
}

extension KubernetesEmulator.State {
    /// Keeps a change with the next version, and tells the watches.
    @discardableResult
    mutating func commit(
        _ type: ResourceType, _ key: ResourceKey, _ kind: String, _ object: JSONObject, _ former: JSONObject?
    ) -> JSONObject {
        version += 1
        var object = object
        var metadata = object["metadata"]?.object ?? [:]
        metadata["resourceVersion"] = .string(String(version))
        object["metadata"] = .object(metadata)
        objects[type, default: [:]][key] = kind == "DELETED" ? nil : object
        history.append(
            KubernetesEmulator.Change(version: version, type: type, kind: kind, object: object, former: former))
        if type.plural == "customresourcedefinitions" { register(definition: object) }
        for watcher in watchers.values { watcher.signal.yield(.changes) }
        return object
    }

    /// What has happened since a version, in order.
    func changes(after version: UInt64) -> ArraySlice<KubernetesEmulator.Change> {
        var (low, high) = (0, history.count)
        while low < high {
            let middle = (low + high) / 2
            if history[middle].version > version { high = middle } else { low = middle + 1 }
        }
        return history[low...]
    }

    /// The objects of a type in the order of lists.
    func sorted(_ type: ResourceType) -> [(key: ResourceKey, value: JSONObject)] {
        KubernetesEmulator.sort(objects[type] ?? [:])
    }

    /// The objects of a type as they were at a version that is not forgotten.
    func sorted(_ type: ResourceType, at version: UInt64) -> [(key: ResourceKey, value: JSONObject)] {
        var result = objects[type] ?? [:]
        for change in history.reversed() where change.version > version && change.type == type {
            guard let key = change.object.resourceKey else { continue }
            result[key] = change.former
        }
        return KubernetesEmulator.sort(result)
    }
}

extension KubernetesEmulator {
    static func sort(_ objects: [ResourceKey: JSONObject]) -> [(key: ResourceKey, value: JSONObject)] {
        objects.sorted { ($0.key.namespace ?? "", $0.key.name) < ($1.key.namespace ?? "", $1.key.name) }
    }
}
