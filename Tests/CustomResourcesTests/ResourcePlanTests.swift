import Testing

@testable import CustomResources

/// Which resources answer for whom: Ratify's rules.
@Suite struct ResourcePlanTests {
    private let resources: [String?: [ResourceID]] = [
        nil: [
            ResourceID(.store, "b"), ResourceID(.store, "a"), ResourceID(.verifier, "notation"),
            ResourceID(.policy, "ratify-policy"), ResourceID(.policy, "other"),
            ResourceID(.keyManagementProvider, "ca"), ResourceID(.keyManagementProvider, "shared"),
        ],
        "team": [
            ResourceID(.namespacedVerifier, "mine", namespace: "team"),
            ResourceID(.namespacedKeyManagementProvider, "ca", namespace: "team"),
            ResourceID(.certificateStore, "old", namespace: "team"),
            ResourceID(.namespacedPolicy, "not-in-force", namespace: "team"),
        ],
        "home": [
            ResourceID(.certificateStore, "old", namespace: "home"),
            ResourceID(.certificateStore, "shared", namespace: "home"),
        ],
    ]

    private func plan(_ namespace: String?) -> ResourcePlan {
        ResourcePlan(for: namespace, among: resources, home: "home")
    }

    @Test func theClusterHasItsOwn() {
        let plan = plan(nil)
        #expect(plan.stores.map(\.name) == ["a", "b"])
        #expect(plan.verifiers == [ResourceID(.verifier, "notation")])
        #expect(plan.policy == ResourceID(.policy, "ratify-policy"))
    }

    @Test func aNamespaceHasWhatIsItsOwnKindByKind() {
        let plan = plan("team")
        #expect(plan.verifiers == [ResourceID(.namespacedVerifier, "mine", namespace: "team")])
        #expect(plan.stores.map(\.name) == ["a", "b"], "it has no stores: the cluster's")
        #expect(plan.policy == ResourceID(.policy, "ratify-policy"), "its policy has another name")
    }

    @Test func aNamespaceWithNothingHasTheClusters() {
        var other = plan("elsewhere")
        #expect(other.stores == plan(nil).stores && other.verifiers == plan(nil).verifiers)
        other = ResourcePlan(for: "elsewhere", among: [:], home: nil)
        #expect(other.stores.isEmpty && other.verifiers.isEmpty && other.policy == nil && other.providers.isEmpty)
    }

    /// A provider of a namespace is named with the namespace in front, and seen by that namespace only. Certificate
    /// stores of every namespace are seen by the cluster, those of our own without a namespace in front.
    @Test func providersAreSeenByWhomTheyAreFor() {
        let cluster = plan(nil).providers
        #expect(cluster["ca"] == ResourceID(.keyManagementProvider, "ca"))
        #expect(cluster["team/ca"] == nil)
        #expect(cluster["team/old"] == ResourceID(.certificateStore, "old", namespace: "team"))
        #expect(cluster["old"] == ResourceID(.certificateStore, "old", namespace: "home"))
        #expect(cluster["shared"] == ResourceID(.keyManagementProvider, "shared"), "before a certificate store")

        let team = plan("team").providers
        #expect(team["ca"] == ResourceID(.keyManagementProvider, "ca"))
        #expect(team["team/ca"] == ResourceID(.namespacedKeyManagementProvider, "ca", namespace: "team"))
        #expect(team["team/old"] != nil && team["home/old"] == nil)
        #expect(plan("elsewhere").providers["team/ca"] == nil)
        #expect(plan("elsewhere").providers["team/old"] == nil)
    }

    @Test func kindsAreWhereTheAPIServerHasThem() {
        #expect(ResourceKind.policy.type.plural == "policies")
        #expect(ResourceKind.namespacedPolicy.type.plural == "namespacedpolicies")
        #expect(
            ResourceKind.namespacedKeyManagementProvider.type.path(namespace: "a", name: "b")
                == "/apis/config.ratify.deislabs.io/v1beta1/namespaces/a/namespacedkeymanagementproviders/b")
        #expect(ResourceKind.certificateStore.type.isNamespaced && !ResourceKind.store.type.isNamespaced)
    }
}
