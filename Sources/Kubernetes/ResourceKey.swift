import StrictJSON

/// What tells objects of one type apart.
package struct ResourceKey: Hashable, Sendable, CustomStringConvertible {
    /// `nil` for objects of the cluster.
    package let namespace: String?
    /// The name.
    package let name: String

    /// A key.
    package init(namespace: String?, name: String) {
        self.namespace = namespace
        self.name = name
    }

    /// `namespace/name`, or the name.
    package var description: String { namespace.map { "\($0)/\(name)" } ?? name }
}

extension JSONObject {
    /// The key of this object of Kubernetes; `nil` when it has no name.
    package var resourceKey: ResourceKey? {
        guard let name = self["metadata"]?["name"]?.string else { return nil }
        return ResourceKey(namespace: self["metadata"]?["namespace"]?.string, name: name)
    }

    /// The version that a change of this object must be based on, and where a watch goes on.
    package var resourceVersion: String? { self["metadata"]?["resourceVersion"]?.string }

    /// Counts changes of the specification.
    package var generation: Int64? { self["metadata"]?["generation"]?.integer }
}
