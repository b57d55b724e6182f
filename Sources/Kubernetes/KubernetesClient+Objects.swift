import HTTP
import Quotation
import StrictJSON

extension KubernetesClient {
    /// Reads one object.
    ///
    /// - Parameters:
    ///   - namespace: required for types in namespaces, `nil` for the others.
    ///   - deadline: instead of the usual time.
    package func get(
        _ type: ResourceType, name: String, namespace: String? = nil, deadline: ContinuousClock.Instant? = nil
    ) async throws(KubernetesError) -> JSONObject {
        var call = try call(.get, type, name: name, namespace: namespace)
        call.deadline = deadline
        return try await object(call)
    }

    /// Makes an object, named by its metadata. Fails as `alreadyExists` when it is there.
    @discardableResult
    package func create(
        _ type: ResourceType, _ object: JSONObject, namespace: String? = nil, deadline: ContinuousClock.Instant? = nil
    ) async throws(KubernetesError) -> JSONObject {
        var call = try call(.post, type, namespace: namespace)
        if let key = object.resourceKey { call.words += " \"\(KubernetesClient.printable(key.name))\"" }
        call.body = .object(object)
        call.deadline = deadline
        return try await self.object(call)
    }

    /// Replaces an object, named by its metadata. When that has a resource version, and the object another one by now,
    /// it fails as `conflict`: read it again.
    @discardableResult
    package func replace(
        _ type: ResourceType, _ object: JSONObject, deadline: ContinuousClock.Instant? = nil
    ) async throws(KubernetesError) -> JSONObject {
        guard let key = object.resourceKey else {
            throw error(.invalid, "PUT \(type)", "the object has no name")
        }
        var call = try call(.put, type, name: key.name, namespace: key.namespace)
        call.body = .object(object)
        call.deadline = deadline
        return try await self.object(call)
    }

    /// Changes members of an object by a JSON merge patch (RFC 7386). With `metadata.resourceVersion` in the patch it
    /// fails as `conflict` when the object has another one by now.
    @discardableResult
    package func mergePatch(
        _ type: ResourceType, name: String, namespace: String? = nil, _ patch: JSONValue,
        deadline: ContinuousClock.Instant? = nil
    ) async throws(KubernetesError) -> JSONObject {
        try await self.patch(type, name, namespace, nil, patch, deadline)
    }

    /// Changes an object's status by a JSON merge patch, as `["status": […]]`; nothing else of the object changes.
    @discardableResult
    package func patchStatus(
        _ type: ResourceType, name: String, namespace: String? = nil, _ patch: JSONValue,
        deadline: ContinuousClock.Instant? = nil
    ) async throws(KubernetesError) -> JSONObject {
        try await self.patch(type, name, namespace, "status", patch, deadline)
    }

    /// Deletes an object.
    package func delete(
        _ type: ResourceType, name: String, namespace: String? = nil, deadline: ContinuousClock.Instant? = nil
    ) async throws(KubernetesError) {
        var call = try call(.delete, type, name: name, namespace: namespace)
        call.deadline = deadline
        _ = try await send(call)
    }

    private func patch(
        _ type: ResourceType, _ name: String, _ namespace: String?, _ subresource: String?, _ patch: JSONValue,
        _ deadline: ContinuousClock.Instant?
    ) async throws(KubernetesError) -> JSONObject {
        var call = try call(.patch, type, name: name, namespace: namespace, subresource: subresource)
        call.body = patch
        call.contentType = "application/merge-patch+json"
        call.deadline = deadline
        return try await object(call)
    }

    private func object(_ call: Call) async throws(KubernetesError) -> JSONObject {
        guard let object = try await send(call).object else {
            throw error(.malformed, call.words, "the answer is no object")
        }
        return object
    }

    /// A call about one object, or about all.
    func call(
        _ method: HTTPMethod, _ type: ResourceType, name: String? = nil, namespace: String? = nil,
        subresource: String? = nil
    ) throws(KubernetesError) -> Call {
        var words = "\(method.rawValue) \(type)\(subresource.map { "/\($0)" } ?? "")"
        if let name { words += " \"\(KubernetesClient.printable(name))\"" }
        if let namespace { words += " in namespace \"\(KubernetesClient.printable(namespace))\"" }
        for text in [name, namespace].compactMap(\.self) where !URLText.isName(text) {
            throw error(.invalid, words, "\"\(text.quoted)\" cannot be a name")
        }
        guard namespace == nil || type.isNamespaced else {
            throw error(.invalid, words, "objects of this type are in no namespace")
        }
        guard namespace != nil || !type.isNamespaced || (name == nil && method == .get) else {
            throw error(.invalid, words, "objects of this type are in a namespace, and none is named")
        }
        return Call(
            method: method, path: type.path(namespace: namespace, name: name, subresource: subresource), words: words)
    }
}
