import Foundation
import Kubernetes
import StrictJSON

extension KubernetesEmulator {
    /// An object's or a type's place in a path.
    private struct Place {
        var type: ResourceType
        var namespace: String?
        var name: String?
        var subresource: String?
    }

    func respond(to request: EmulatorRequest) -> KubernetesReply {
        state.withLock { state in
            let token = request.header("Authorization").map { $0.hasPrefix("Bearer ") ? String($0.dropFirst(7)) : $0 }
            guard let user = state.users[token ?? ""], user.audiences.contains(KubernetesEmulator.audience) else {
                return .response(.status(401, "Unauthorized", "Unauthorized"))
            }
            if let answer = discovery(request, state) { return .response(answer) }
            guard let place = place(request.path.removingPercentEncoding ?? request.path, state) else {
                return .response(.status(404, "NotFound", "the server could not find the requested resource"))
            }
            let key = ResourceKey(namespace: place.namespace, name: place.name ?? "")
            let verb = verb(request, place)
            if !user.groups.contains("system:masters"), state.forbidden.contains(where: { $0(verb, place.type, key) }) {
                let scope = place.namespace.map { "in the namespace \"\($0)\"" } ?? "at the cluster scope"
                return .response(
                    .status(
                        403, "Forbidden",
                        "\(place.type) is forbidden: User \"\(user.name)\" cannot \(verb) resource \"\(place.type.plural)\" in API group \"\(place.type.group)\" \(scope)"
                    ))
            }
            if place.type == .tokenReview, request.method == "POST" { return .response(review(request, state)) }
            switch verb {
            case "watch": return watch(request, place, state)
            case "list": return .response(list(request, place, state))
            case "get":
                guard let object = state.objects[place.type]?[key] else { return .response(missing(place)) }
                return .response(EmulatorAnswer(200, object))
            case "create": return .response(create(request, place.type, place.namespace, &state))
            case "update": return .response(replace(request, place.type, key, place.subresource, &state))
            case "patch": return .response(patch(request, place.type, key, place.subresource, &state))
            case "delete": return .response(delete(request, place.type, key, &state))
            default: return .response(.status(405, "MethodNotAllowed", "the server does not allow this method here"))
            }
        }
    }

    private func place(_ path: String, _ state: State) -> Place? {
        var parts = path.split(separator: "/").map(String.init)[...]
        let group: String
        switch parts.popFirst() {
        case "api": group = ""
        case "apis": group = parts.popFirst() ?? ""
        default: return nil
        }
        guard let version = parts.popFirst() else { return nil }
        var namespace: String?
        // "namespaces/x" alone is an object, "namespaces/x/pods" what is in it.
        if parts.first == "namespaces", parts.count >= 3 {
            namespace = parts.dropFirst().first
            parts = parts.dropFirst(2)
            if parts.first == "status" || parts.first == "finalize" { return nil }
        }
        guard let plural = parts.popFirst(),
            let type = state.types.first(where: { $0.group == group && $0.version == version && $0.plural == plural })
        else { return nil }
        let name = parts.popFirst()
        let subresource = parts.popFirst()
        guard parts.isEmpty, namespace == nil || type.isNamespaced,
            name == nil || type.isNamespaced == (namespace != nil)
        else { return nil }
        if let subresource { guard subresource == "status", state.withStatus.contains(type) else { return nil } }
        return Place(type: type, namespace: namespace, name: name, subresource: subresource)
    }

    private func verb(_ request: EmulatorRequest, _ place: Place) -> String {
        switch (request.method, place.name) {
        case ("GET", nil): request.isWatch ? "watch" : "list"
        case ("GET", _?): request.isWatch ? "watch" : "get"
        case ("POST", nil): "create"
        case ("PUT", _?): "update"
        case ("PATCH", _?): "patch"
        case ("DELETE", _?): "delete"
        default: "unknown"
        }
    }

    private func missing(_ place: Place) -> EmulatorAnswer {
        .status(404, "NotFound", "\(place.type) \"\(place.name ?? "")\" not found")
    }

    private func selection(_ request: EmulatorRequest, _ place: Place) -> ObjectSelection {
        var query = request.query
        if let name = place.name { query["fieldSelector"] = "metadata.name=\(name)" }
        return ObjectSelection(namespace: place.namespace, query: query)
    }

    private func watch(_ request: EmulatorRequest, _ place: Place, _ state: State) -> KubernetesReply {
        .watch(
            EmulatedWatch(
                type: place.type, selection: selection(request, place), version: request.query["resourceVersion"] ?? "",
                allowsBookmarks: request.query["allowWatchBookmarks"] == "true",
                seconds: request.query["timeoutSeconds"].flatMap { Int($0) } ?? 1800))
    }

    private func list(_ request: EmulatorRequest, _ place: Place, _ state: State) -> EmulatorAnswer {
        let selection = selection(request, place)
        let limit = request.query["limit"].flatMap { Int($0) }.flatMap { $0 > 0 ? $0 : nil } ?? .max
        var version = state.version
        var after: String?
        if let token = request.query["continue"], !token.isEmpty {
            guard let data = Data(base64Encoded: token),
                let position = try? StrictJSON.parse([UInt8](data)), let found = position["v"]?.string,
                let number = UInt64(found)
            else { return .status(400, "BadRequest", "continue key is not valid") }
            guard number >= state.compacted else {
                return .status(410, "Expired", "The provided continue parameter is too old")
            }
            version = number
            after = position["after"]?.string
        } else if let wanted = request.query["resourceVersion"].flatMap({ UInt64($0) }), wanted > version {
            return .status(504, "Timeout", "Too large resource version: \(wanted), current: \(version)")
        }
        let all = state.sorted(place.type, at: version).filter { selection.matches($0.value) }
        let rest = all.drop { entry in after.map { name(entry.key) <= $0 } ?? false }
        let page = rest.prefix(limit)
        var metadata: JSONObject = ["resourceVersion": .string(String(version))]
        if rest.count > page.count, let last = page.last {
            let token: JSONValue = ["v": .string(String(version)), "after": .string(name(last.key))]
            metadata["continue"] = .string(Data(token.bytes).base64EncodedString())
            metadata["remainingItemCount"] = .number(String(rest.count - page.count))
        }
        // Items of the API server's own types come without kind and version.
        let isOwn = KubernetesEmulator.builtIn.contains(place.type)
        let items = page.map { entry -> JSONValue in
            var object = entry.value
            if isOwn {
                object["apiVersion"] = nil
                object["kind"] = nil
            }
            return .object(object)
        }
        return EmulatorAnswer(
            200,
            [
                "kind": .string(place.type.kind + "List"), "apiVersion": .string(place.type.apiVersion),
                "metadata": .object(metadata), "items": .array(items),
            ])
    }

    /// A name that sorts as lists do.
    private func name(_ key: ResourceKey) -> String { "\(key.namespace ?? "")/\(key.name)" }

    private func review(_ request: EmulatorRequest, _ state: State) -> EmulatorAnswer {
        guard var review = (try? StrictJSON.parse(request.body))?.object, let token = review["spec"]?["token"]?.string
        else { return .status(400, "BadRequest", "the body is no TokenReview with a token") }
        let wanted = review["spec"]?["audiences"]?.strings ?? [KubernetesEmulator.audience]
        let user = state.users[token]
        let audiences = user.map { user in wanted.filter { user.audiences.contains($0) } } ?? []
        if let user, !audiences.isEmpty, !token.isEmpty {
            review["status"] = [
                "authenticated": true, "audiences": .array(audiences.map { .string($0) }),
                "user": [
                    "username": .string(user.name), "uid": .string(user.uid),
                    "groups": .array(user.groups.map { .string($0) }),
                ],
            ]
        } else {
            review["status"] = ["authenticated": false, "error": "[invalid bearer token]"]
        }
        return EmulatorAnswer(201, review)
    }
}
