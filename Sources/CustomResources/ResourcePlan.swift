/// Which resources answer for a namespace: Ratify's rules, and nothing but names.
///
/// Kind by kind, what a namespace has of its own takes the place of what the cluster has. What is there but not valid
/// counts as there: a team that wants rules of its own must not get others because of a mistake in them.
struct ResourcePlan: Sendable, Equatable {
    /// Stores, in the order in which they are asked.
    let stores: [ResourceID]
    /// Verifiers, in the order in which they are asked.
    let verifiers: [ResourceID]
    /// The policy; `nil` when there is none.
    let policy: ResourceID?
    /// Providers by the names under which verifiers may ask for them.
    let providers: [String: ResourceID]

    /// The plan of a namespace, or of the cluster.
    ///
    /// - Parameters:
    ///   - resources: all resources by namespace.
    ///   - home: the namespace that this program runs in: certificate stores there need no namespace in front.
    init(for namespace: String?, among resources: [String?: [ResourceID]], home: String?) {
        let cluster = resources[nil] ?? []
        let own = namespace.flatMap { resources[$0] } ?? []
        func chosen(_ role: ResourceKind.Role) -> [ResourceID] {
            let mine = own.filter { $0.kind.role == role }
            return (mine.isEmpty ? cluster.filter { $0.kind.role == role } : mine).sorted()
        }
        func active(_ ids: [ResourceID]) -> ResourceID? {
            ids.first { $0.kind.role == .policy && $0.name == CustomResource.activePolicy }
        }
        stores = chosen(.store)
        verifiers = chosen(.verifier)
        policy = active(own) ?? active(cluster)

        var providers: [String: ResourceID] = [:]
        let stores: [ResourceID]
        if namespace == nil {
            // Requests for the cluster as a whole may name the certificate stores of every namespace.
            stores = resources.values.joined().filter { $0.kind == .certificateStore }
        } else {
            stores = own.filter { $0.kind == .certificateStore }
        }
        for id in stores { providers["\(id.namespace ?? "")/\(id.name)"] = id }
        for id in home.flatMap({ resources[$0] }) ?? [] where id.kind == .certificateStore { providers[id.name] = id }
        // A provider goes before a certificate store of the same name.
        for id in own where id.kind == .namespacedKeyManagementProvider {
            providers["\(id.namespace ?? "")/\(id.name)"] = id
        }
        for id in cluster where id.kind == .keyManagementProvider { providers[id.name] = id }
        self.providers = providers
    }
}
