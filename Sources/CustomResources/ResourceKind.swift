import Kubernetes

/// The kinds of custom resources that make a configuration.
package enum ResourceKind: String, CaseIterable, Sendable, Hashable {
    case store = "Store"
    case verifier = "Verifier"
    case policy = "Policy"
    case keyManagementProvider = "KeyManagementProvider"
    case namespacedStore = "NamespacedStore"
    case namespacedVerifier = "NamespacedVerifier"
    case namespacedPolicy = "NamespacedPolicy"
    case namespacedKeyManagementProvider = "NamespacedKeyManagementProvider"
    /// What Ratify had before 1.2 in the place of key management providers.
    case certificateStore = "CertificateStore"

    /// What a resource is for.
    package enum Role: Sendable, Hashable {
        case store, verifier, policy, provider
    }

    /// What resources of this kind are for.
    package var role: Role {
        switch self {
        case .store, .namespacedStore: .store
        case .verifier, .namespacedVerifier: .verifier
        case .policy, .namespacedPolicy: .policy
        case .keyManagementProvider, .namespacedKeyManagementProvider, .certificateStore: .provider
        }
    }

    /// Whether its objects are in namespaces.
    package var isNamespaced: Bool {
        switch self {
        case .store, .verifier, .policy, .keyManagementProvider: false
        case .namespacedStore, .namespacedVerifier, .namespacedPolicy, .namespacedKeyManagementProvider,
            .certificateStore:
            true
        }
    }

    /// How the API server knows the kind.
    package var type: ResourceType {
        let plural = role == .policy ? rawValue.lowercased().dropLast() + "ies" : rawValue.lowercased() + "s"
        return ResourceType(
            group: "config.ratify.deislabs.io", version: "v1beta1", plural: String(plural), kind: rawValue,
            isNamespaced: isNamespaced)
    }
}

/// What tells custom resources apart.
package struct ResourceID: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// The kind.
    package let kind: ResourceKind
    /// The namespace; `nil` for resources of the cluster.
    package let namespace: String?
    /// The name.
    package let name: String

    /// An identifier.
    package init(_ kind: ResourceKind, _ name: String, namespace: String? = nil) {
        self.kind = kind
        self.namespace = namespace
        self.name = name
    }

    /// By name: the order in which resources of one kind and namespace come.
    package static func < (left: ResourceID, right: ResourceID) -> Bool {
        (left.name, left.namespace ?? "", left.kind.rawValue) < (right.name, right.namespace ?? "", right.kind.rawValue)
    }

    /// `name`, or `namespace/name`: how verifiers refer to a provider, and metrics to a store.
    var providerName: String { namespace.map { "\($0)/\(name)" } ?? name }

    /// `Verifier "verifier-notation"`, `NamespacedStore "store-oras" in namespace "team-a"`.
    package var description: String {
        "\(kind.rawValue) \"\(name)\"" + (namespace.map { " in namespace \"\($0)\"" } ?? "")
    }
}
