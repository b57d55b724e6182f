import HTTP
import StrictJSON

/// All objects of a type at one moment.
package struct ResourceList: Sendable {
    /// The objects, each with its `apiVersion` and `kind`.
    package var items: [JSONObject]
    /// Where a watch goes on.
    package var resourceVersion: String
}

/// Which objects of a type.
package struct ResourceSelection: Sendable, Hashable {
    /// The namespace; `nil`: all, or the type is in none.
    package var namespace: String?
    /// The name of one object.
    package var name: String?
    /// A label selector, as `app=web`.
    package var labels: String?
    /// A field selector, as `status.phase=Running`.
    package var fields: String?

    /// A selection.
    package init(namespace: String? = nil, name: String? = nil, labels: String? = nil, fields: String? = nil) {
        self.namespace = namespace
        self.name = name
        self.labels = labels
        self.fields = fields
    }

    /// All objects.
    package static let all = ResourceSelection()

    var query: [(String, String)] {
        var query: [(String, String)] = []
        if let labels { query.append(("labelSelector", labels)) }
        let fields = [name.map { "metadata.name=\($0)" }, fields].compactMap(\.self)
        if !fields.isEmpty { query.append(("fieldSelector", fields.joined(separator: ","))) }
        return query
    }
}

extension KubernetesClient {
    /// Lists objects, page by page, at one moment.
    ///
    /// - Parameter longestPause: the longest wait before another attempt that the API server may ask for.
    package func list(
        _ type: ResourceType, _ selection: ResourceSelection = .all, longestPause: Duration = .seconds(300)
    ) async throws(KubernetesError) -> ResourceList {
        var restarts = 0
        while true {
            var items: [JSONObject] = []
            do throws(KubernetesError) {
                let version = try await eachPage(type, selection, longestPause: longestPause) {
                    (page) throws(KubernetesError) in
                    guard items.count + page.count <= self.options.maximumListItems else {
                        throw self.error(
                            .tooLarge, "GET \(type)", "there are more than \(self.options.maximumListItems) objects")
                    }
                    items += page
                }
                return ResourceList(items: items, resourceVersion: version)
            } catch {
                // The pages took so long that the moment of the first one is forgotten.
                guard error.kind == .gone, restarts < 3 else { throw error }
                restarts += 1
            }
        }
    }

    /// Reads objects page by page, all of one moment: for lists that need not be in memory at once.
    ///
    /// - Parameter longestPause: the longest wait before another attempt that the API server may ask for.
    /// - Returns: the resource version of the list.
    /// - Throws: `gone` when the moment of the first page is no longer kept: begin again.
    @discardableResult
    package func eachPage(
        _ type: ResourceType, _ selection: ResourceSelection = .all, longestPause: Duration = .seconds(300),
        _ use: ([JSONObject]) async throws(KubernetesError) -> Void
    ) async throws(KubernetesError) -> String {
        var limit = options.pageSize
        var position: String?
        while true {
            var call = try call(.get, type, namespace: selection.namespace)
            call.longestPause = longestPause
            call.query = selection.query + [("limit", String(limit))]
            if let position { call.query.append(("continue", position)) }
            let page: JSONValue
            do throws(KubernetesError) { page = try await send(call) } catch {
                // Large objects: fewer of them at once.
                guard error.kind == .tooLarge, limit > 1 else { throw error }
                limit = max(1, limit / 4)
                continue
            }
            guard let items = page["items"]?.array ?? (page["items"]?.isNull == true ? [] : nil),
                let version = page["metadata"]?["resourceVersion"]?.string
            else { throw error(.malformed, call.words, "the answer is no list with a resource version") }
            var objects: [JSONObject] = []
            objects.reserveCapacity(items.count)
            for item in items {
                guard var object = item.object, object.resourceKey != nil else {
                    throw error(.malformed, call.words, "the list has something else than objects with names")
                }
                // The API server leaves them out for its own types.
                if object["kind"] == nil {
                    object["apiVersion"] = .string(type.apiVersion)
                    object["kind"] = .string(type.kind)
                }
                objects.append(object)
            }
            try await use(objects)
            guard let next = try rest(of: page, call) else { return version }
            // A page that leads to itself has no end.
            guard next != position else { throw error(.malformed, call.words, "the list leads back to the same page") }
            position = next
        }
    }

    /// Where the list goes on; `nil` at its end. Whatever says that there is more without saying where is an error: the
    /// objects that are left out would count as deleted.
    private func rest(of page: JSONValue, _ call: Call) throws(KubernetesError) -> String? {
        switch page["metadata"]?["continue"] {
        case .string(let next) where !next.isEmpty: return next
        case nil, .null, .string: break
        case .some(let other):
            throw error(.malformed, call.words, "the list's metadata.continue is \(other.kind), not a string")
        }
        switch page["metadata"]?["remainingItemCount"] {
        case nil, .null: return nil
        case .some(let value) where value.integer == 0: return nil
        default: throw error(.malformed, call.words, "the list says that there are more objects, but not where")
        }
    }
}
