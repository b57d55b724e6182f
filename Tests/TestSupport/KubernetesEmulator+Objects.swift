import Foundation
import Kubernetes
import StrictJSON

extension KubernetesEmulator {
    /// Fills in what the API server gives to every object.
    static func complete(_ object: inout JSONObject, former: JSONObject?) {
        var metadata = object["metadata"]?.object ?? [:]
        for member in ["uid", "creationTimestamp", "generation"] where former != nil {
            metadata[member] = former?["metadata"]?[member]
        }
        if former == nil {
            metadata["uid"] = .string(UUID().uuidString.lowercased())
            metadata["creationTimestamp"] = .string(Date().formatted(.iso8601))
            metadata["generation"] = 1
        } else if let former, isSpecified(object) != isSpecified(former) {
            metadata["generation"] = .number(String((former.generation ?? 0) + 1))
        }
        object["metadata"] = .object(metadata)
        // As the API server reads Secrets: plain texts become data.
        if object["kind"] == "Secret" {
            if object["type"] == nil { object["type"] = "Opaque" }
            guard let plain = object["stringData"]?.object else { return }
            var data = object["data"]?.object ?? [:]
            for (name, value) in plain.members {
                data[name] = .string(Data((value.string ?? "").utf8).base64EncodedString())
            }
            object["data"] = .object(data)
            object["stringData"] = nil
        }
    }

    /// What counts as specification: everything but metadata and status.
    private static func isSpecified(_ object: JSONObject) -> JSONObject {
        var object = object
        for member in ["metadata", "status"] { object[member] = nil }
        return object
    }

    private func read(
        _ request: EmulatorRequest, _ type: ResourceType, namespace: String?
    ) -> Result<JSONObject, ResponseFault> {
        func fault(_ message: String) -> Result<JSONObject, ResponseFault> {
            .failure(ResponseFault(.status(400, "BadRequest", message)))
        }
        guard var object = (try? StrictJSON.parse(request.body, maximumDepth: 200))?.object else {
            return fault("the body is no JSON object")
        }
        guard object["apiVersion"]?.string == type.apiVersion, object["kind"]?.string == type.kind else {
            return fault("the object is no \(type.kind) of \(type.apiVersion)")
        }
        var metadata = object["metadata"]?.object ?? [:]
        if let given = metadata["namespace"]?.string, given != namespace {
            return fault("the namespace of the provided object does not match the namespace sent on the request")
        }
        metadata["namespace"] = namespace.map { .string($0) }
        object["metadata"] = .object(metadata)
        return .success(object)
    }

    struct ResponseFault: Error {
        let response: EmulatorAnswer
        init(_ response: EmulatorAnswer) { self.response = response }
    }

    private func refused(_ type: ResourceType, _ object: JSONObject, _ state: State) -> EmulatorAnswer? {
        guard let reason = state.admission?(type, object) else { return nil }
        return .status(
            422, "Invalid", "\(type.kind).\(type.group) \"\(object.resourceKey?.name ?? "")\" is invalid: \(reason)")
    }

    func create(_ request: EmulatorRequest, _ type: ResourceType, _ namespace: String?, _ state: inout State)
        -> EmulatorAnswer
    {
        var object: JSONObject
        switch read(request, type, namespace: namespace) {
        case .failure(let fault): return fault.response
        case .success(let value): object = value
        }
        if let namespace, state.objects[.namespace]?[ResourceKey(namespace: nil, name: namespace)] == nil {
            return .status(404, "NotFound", "namespaces \"\(namespace)\" not found")
        }
        if object.resourceKey == nil, let prefix = object["metadata"]?["generateName"]?.string {
            var metadata = object["metadata"]?.object ?? [:]
            metadata["name"] = .string(prefix + String(UUID().uuidString.lowercased().prefix(5)))
            object["metadata"] = .object(metadata)
        }
        guard let key = object.resourceKey else {
            return .status(422, "Invalid", "\(type.kind) \"\" is invalid: metadata.name: Required value")
        }
        guard state.objects[type]?[key] == nil else {
            return .status(409, "AlreadyExists", "\(type) \"\(key.name)\" already exists")
        }
        if object.resourceVersion?.isEmpty == false {
            return .status(400, "BadRequest", "resourceVersion should not be set on objects to be created")
        }
        if state.withStatus.contains(type) { object["status"] = nil }
        if let refusal = refused(type, object, state) { return refusal }
        KubernetesEmulator.complete(&object, former: nil)
        return EmulatorAnswer(201, state.commit(type, key, "ADDED", object, nil))
    }

    func replace(
        _ request: EmulatorRequest, _ type: ResourceType, _ key: ResourceKey, _ subresource: String?,
        _ state: inout State
    ) -> EmulatorAnswer {
        switch read(request, type, namespace: key.namespace) {
        case .failure(let fault): return fault.response
        case .success(let object):
            guard object.resourceKey == key else {
                return .status(400, "BadRequest", "the name of the object does not match the name on the URL")
            }
            return update(type, key, subresource, object, &state)
        }
    }

    func patch(
        _ request: EmulatorRequest, _ type: ResourceType, _ key: ResourceKey, _ subresource: String?,
        _ state: inout State
    ) -> EmulatorAnswer {
        let kind = request.header("Content-Type")?.split(separator: ";").first.map(String.init) ?? ""
        let isOwn = KubernetesEmulator.builtIn.contains(type)
        guard
            kind == "application/merge-patch+json" || (isOwn && kind == "application/strategic-merge-patch+json")
        else {
            return .status(
                415, "UnsupportedMediaType",
                "the body of the request was in an unknown format - accepted media types include: application/merge-patch+json"
            )
        }
        guard let patch = try? StrictJSON.parse(request.body, maximumDepth: 200), patch.object != nil else {
            return .status(400, "BadRequest", "the patch is no JSON object")
        }
        guard let former = state.objects[type]?[key] else {
            return .status(404, "NotFound", "\(type) \"\(key.name)\" not found")
        }
        var base = former
        // A patch without a version is made against whatever is there.
        if patch["metadata"]?["resourceVersion"] == nil {
            var metadata = base["metadata"]?.object ?? [:]
            metadata["resourceVersion"] = nil
            base["metadata"] = .object(metadata)
        }
        let object = KubernetesEmulator.merge(.object(base), patch).object ?? [:]
        guard object.resourceKey == key else {
            return .status(422, "Invalid", "metadata.name: Invalid value: field is immutable")
        }
        return update(type, key, subresource, object, &state)
    }

    private func update(
        _ type: ResourceType, _ key: ResourceKey, _ subresource: String?, _ given: JSONObject, _ state: inout State
    ) -> EmulatorAnswer {
        guard let former = state.objects[type]?[key] else {
            return .status(404, "NotFound", "\(type) \"\(key.name)\" not found")
        }
        if let version = given.resourceVersion, !version.isEmpty, version != former.resourceVersion {
            return .status(
                409, "Conflict",
                "Operation cannot be fulfilled on \(type) \"\(key.name)\": the object has been modified; please apply your changes to the latest version and try again"
            )
        }
        if let uid = given["metadata"]?["uid"]?.string, uid != former["metadata"]?["uid"]?.string {
            return .status(409, "Conflict", "Precondition failed: UID in precondition")
        }
        var object: JSONObject
        if subresource == "status" {
            // Of the object nothing but its status is taken.
            object = former
            object["status"] = given["status"]
        } else {
            object = given
            if state.withStatus.contains(type) { object["status"] = former["status"] }
            if let refusal = refused(type, object, state) { return refusal }
        }
        KubernetesEmulator.complete(&object, former: former)
        var metadata = object["metadata"]?.object ?? [:]
        metadata["resourceVersion"] = former["metadata"]?["resourceVersion"]
        object["metadata"] = .object(metadata)
        // What changes nothing is no change.
        if object == former { return EmulatorAnswer(200, former) }
        return EmulatorAnswer(200, state.commit(type, key, "MODIFIED", object, former))
    }

    func delete(_ request: EmulatorRequest, _ type: ResourceType, _ key: ResourceKey, _ state: inout State)
        -> EmulatorAnswer
    {
        guard let former = state.objects[type]?[key] else {
            return .status(404, "NotFound", "\(type) \"\(key.name)\" not found")
        }
        let conditions = (try? StrictJSON.parse(request.body))?["preconditions"]
        if let version = conditions?["resourceVersion"]?.string, version != former.resourceVersion {
            return .status(409, "Conflict", "Precondition failed: ResourceVersion in precondition")
        }
        if type == .namespace {
            for type in state.types where type.isNamespaced {
                for (inner, object) in state.objects[type] ?? [:] where inner.namespace == key.name {
                    state.commit(type, inner, "DELETED", object, object)
                }
            }
        }
        state.commit(type, key, "DELETED", former, former)
        return EmulatorAnswer(
            200,
            [
                "kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Success",
                "details": [
                    "name": .string(key.name), "group": .string(type.group), "kind": .string(type.plural),
                    "uid": former["metadata"]?["uid"] ?? .null,
                ],
            ])
    }

    /// RFC 7386.
    static func merge(_ target: JSONValue, _ patch: JSONValue) -> JSONValue {
        guard case .object(let changes) = patch else { return patch }
        var result = target.object ?? [:]
        for (name, value) in changes.members {
            result[name] = value.isNull ? nil : merge(result[name] ?? .null, value)
        }
        return .object(result)
    }
}
