import ConfigurationModel
import KeyManagement
import OCI
import StrictJSON
import Verification

/// All resources, and what is in force of them for each namespace.
struct ResourceBoard {
    /// What answers for one namespace, or for the cluster.
    struct Scope: Sendable {
        let snapshot: Result<ConfigurationSnapshot, ConfigurationUnavailable>
        let trusted: TrustedCertificates
        fileprivate let ingredients: Ingredients
    }

    private struct Store {
        let type: StoreType
        let store: any ReferrerStore
    }

    private struct Verifier {
        let definition: any VerifierDefinition
        /// The certificates in directories of its own.
        let directories: RunningProvider?
    }

    /// All that a scope is made from: when it is the same, the scope stays.
    fileprivate struct Ingredients: Sendable, Equatable {
        let plan: ResourcePlan
        var versions: [ResourceID: UInt64] = [:]
        var failures: [ResourceID: String] = [:]
        var unknownTypes: [ResourceID: [String]] = [:]
        let settings: ServiceSettings
    }

    private let parts: any ConfigurationParts
    private let home: String?
    /// How requests are served.
    var settings = ServiceSettings()
    private(set) var resources: [ResourceID: CustomResource] = [:]
    private var stores: [ResourceID: ResourcePart<Store>] = [:]
    private var policies: [ResourceID: ResourcePart<ConfigPolicy>] = [:]
    private var providers: [ResourceID: ResourcePart<RunningProvider>] = [:]
    private var verifiers: [ResourceID: ResourcePart<Verifier>] = [:]
    private(set) var scopes: [String?: Scope] = [:]
    private var lastNumber: UInt64 = 0
    /// What in the resources has no effect; whoever logs it takes it away.
    var warnings: [String] = []

    /// No resources.
    ///
    /// - Parameter home: the namespace that this program runs in.
    init(parts: any ConfigurationParts, home: String?) {
        self.parts = parts
        self.home = home
    }

    /// Whether something is not in force that may be at the next try.
    var hasFailures: Bool {
        stores.values.contains { $0.failure != nil } || policies.values.contains { $0.failure != nil }
            || providers.values.contains { $0.failure != nil } || verifiers.values.contains { $0.failure != nil }
    }

    // MARK: Changes

    /// Takes the newest version of a resource. ``rebuild()`` brings it into force.
    ///
    /// - Returns: whether it differs in more than its status.
    mutating func put(_ resource: CustomResource) -> Bool {
        let former = resources.updateValue(resource, forKey: resource.id)
        return former?.uid != resource.uid || former?.spec != resource.spec
    }

    /// Forgets a resource, and what was made of it.
    ///
    /// - Returns: whether it was there.
    mutating func remove(_ id: ResourceID) -> Bool {
        stores[id] = nil
        policies[id] = nil
        providers[id] = nil
        verifiers[id] = nil
        return resources.removeValue(forKey: id) != nil
    }

    /// Has exactly these resources of a kind.
    ///
    /// - Returns: whether anything differs in more than a status.
    mutating func replace(_ kind: ResourceKind, with newest: [CustomResource]) -> Bool {
        let ids = Set(newest.map(\.id))
        var isOther = false
        for id in resources.keys where id.kind == kind && !ids.contains(id) { isOther = remove(id) || isOther }
        for resource in newest { isOther = put(resource) || isOther }
        return isOther
    }

    private mutating func number() -> UInt64 {
        lastNumber += 1
        return lastNumber
    }

    // MARK: Making

    /// Makes what is new or has changed, and composes the scopes that it matters for. Everything else stays the same
    /// object.
    mutating func rebuild() {
        var byNamespace: [String?: [ResourceID]] = [nil: []]
        for id in resources.keys { byNamespace[id.namespace, default: []].append(id) }
        for resource in resources.values where resource.id.kind.role != .verifier { make(resource) }
        let plans = Dictionary(
            uniqueKeysWithValues: byNamespace.keys.map { namespace in
                (namespace, ResourcePlan(for: namespace, among: byNamespace, home: home))
            })
        // Whether a verifier is valid depends on providers: they come first.
        for resource in resources.values where resource.id.kind.role == .verifier {
            if let plan = plans[resource.id.namespace] { make(verifier: resource, plan) }
        }
        var composed: [String?: Scope] = [:]
        for (namespace, plan) in plans { composed[namespace] = scope(namespace, plan) }
        scopes = composed
    }

    private mutating func make(_ resource: CustomResource) {
        let parts = parts
        let id = resource.id
        let next = number()
        let found: [String]
        switch id.kind.role {
        case .store:
            found = stores[id, default: ResourcePart()].update(resource, number: { next }) {
                warnings throws(ConfigurationError) in
                let plugin = try resource.store(warnings: &warnings)
                return Store(type: plugin.type, store: try parts.store(plugin, warnings: &warnings))
            }
        case .policy:
            found = policies[id, default: ResourcePart()].update(resource, number: { next }) {
                warnings throws(ConfigurationError) in
                try ConfigPolicy(configuration: try resource.policy(warnings: &warnings), warnings: &warnings)
            }
        case .provider:
            found = providers[id, default: ResourcePart()].update(resource, number: { next }) {
                warnings throws(ConfigurationError) in
                RunningProvider(try parts.provider(try resource.provider(warnings: &warnings), warnings: &warnings))
            }
        case .verifier: found = []
        }
        warnings += found.map { "\(id): \($0)" }
    }

    /// Whether a verifier waits for providers is seen in the scope that it belongs to. A version that does so does not
    /// take the place of one that does not.
    private mutating func make(verifier resource: CustomResource, _ plan: ResourcePlan) {
        let parts = parts
        let next = number()
        let providers = providersInForce(of: plan)
        let hasFormer = verifiers[resource.id]?.value != nil
        let found = verifiers[resource.id, default: ResourcePart()].update(resource, number: { next }) {
            warnings throws(ConfigurationError) in
            let plugin = try resource.verifier(warnings: &warnings)
            let definition = try parts.verifier(plugin, warnings: &warnings)
            let trusted = TrustedCertificates(named: providers)
            if let directories = definition.directories { trusted.add(directories) }
            let awaited = definition.missingProviders(in: trusted)
            if hasFormer, !awaited.isEmpty {
                throw ConfigurationError(
                    path: "\(plugin.path).\(plugin.type.policyParameter)",
                    problem: "waits: \(ResourceBoard.sentence(awaited, resource.id.namespace))")
            }
            warnings += definition.unusableStores(in: trusted)
            return Verifier(definition: definition, directories: definition.directories.map(RunningProvider.init))
        }
        warnings += found.map { "\(resource.id): \($0)" }
    }

    private static func sentence(_ awaited: [String], _ namespace: String?) -> String {
        awaited.joined(separator: "; ")
            + (namespace.map { " (one of this namespace is named \"\($0)/NAME\")" } ?? "")
    }

    private func providersInForce(of plan: ResourcePlan) -> [String: any CertificateProvider] {
        plan.providers.compactMapValues { providers[$0]?.value?.provider }
    }

    // MARK: Composing

    private mutating func scope(_ namespace: String?, _ plan: ResourcePlan) -> Scope {
        var ingredients = Ingredients(plan: plan, settings: settings)
        func note<Value>(_ id: ResourceID, _ part: ResourcePart<Value>?) {
            ingredients.versions[id] = part?.version ?? 0
            if part?.value == nil { ingredients.failures[id] = part?.failure ?? "" }
        }
        for id in plan.stores { note(id, stores[id]) }
        for id in plan.verifiers {
            note(id, verifiers[id])
            // One that is not valid stands for the artifacts that it names.
            if verifiers[id]?.value == nil { ingredients.unknownTypes[id] = resources[id]?.artifactTypes ?? ["*"] }
        }
        if let id = plan.policy { note(id, policies[id]) }
        for id in plan.providers.values { note(id, providers[id]) }
        if let former = scopes[namespace], former.ingredients == ingredients { return former }

        let trusted = TrustedCertificates(named: providersInForce(of: plan))
        for id in plan.verifiers {
            if let directories = verifiers[id]?.value?.directories { trusted.add(directories.provider) }
        }
        let snapshot = Result { () throws(ConfigurationUnavailable) in
            ConfigurationSnapshot(
                generation: number(), stores: try storesInForce(plan, namespace),
                verifiers: try verifiersInForce(plan, namespace, trusted),
                policy: try policyInForce(plan, namespace), settings: settings,
                fingerprint: ingredients.failures.isEmpty ? fingerprint(of: plan) : nil)
        }
        if case .success(let snapshot) = snapshot {
            if let id = plan.policy {
                warnings += snapshot.unjudgedTypes.map { "\(id): artifactVerificationPolicies.\($0)" }
            }
            for id in plan.verifiers {
                let own = verifiers[id]?.value?.definition.warnings(about: snapshot.stores) ?? []
                warnings += own.map { "\(id): \($0)" }
            }
        }
        return Scope(snapshot: snapshot, trusted: trusted, ingredients: ingredients)
    }

    /// What decisions are shared under with replicas that have the same specifications in force; `nil` when they cannot
    /// be: an image layout is a directory of this pod.
    private func fingerprint(of plan: ResourcePlan) -> String? {
        var text: [UInt8] = Array("\(settings)".utf8)
        func add(_ name: String, _ spec: JSONObject?) -> Bool {
            guard let spec else { return false }
            text += Array("\n\(name) ".utf8) + JSONValue.object(spec).bytes
            return true
        }
        for id in plan.stores where !add("\(id)", stores[id]?.spec) { return nil }
        for id in plan.verifiers where !add("\(id)", verifiers[id]?.spec) { return nil }
        if let id = plan.policy, !add("\(id)", policies[id]?.spec) { return nil }
        for (name, id) in plan.providers.sorted(by: { $0.key < $1.key })
        where !add("\(name) \(id)", providers[id]?.spec) { return nil }
        return parts.fingerprint(of: text, stores: plan.stores.compactMap { stores[$0]?.value?.type })
    }

    /// A sentence about a resource that is not valid and never was.
    private func invalid(_ id: ResourceID, _ failure: String?) -> String {
        "\(id) is not valid: \(failure ?? "it was not read yet")"
    }

    private func missing(_ kind: ResourceKind, _ namespace: String?, _ hint: String) -> ConfigurationUnavailable {
        ConfigurationUnavailable(
            "there is no \(kind.rawValue)\(namespace.map { ", and no Namespaced\(kind.rawValue) in namespace \"\($0)\"" } ?? ""): apply one\(hint)"
        )
    }

    private func storesInForce(
        _ plan: ResourcePlan, _ namespace: String?
    ) throws(ConfigurationUnavailable) -> [any ReferrerStore] {
        let valid = plan.stores.compactMap { stores[$0]?.value?.store }
        let broken = plan.stores.filter { stores[$0]?.value == nil }
        guard !valid.isEmpty else {
            guard let first = broken.first else { throw missing(.store, namespace, " with the name oras in its spec") }
            throw ConfigurationUnavailable(invalid(first, stores[first]?.failure))
        }
        // Last: what others have is theirs; what nobody has might be here.
        return valid + broken.map { UnavailableStore(name: $0.name, reason: invalid($0, stores[$0]?.failure)) }
    }

    private func verifiersInForce(
        _ plan: ResourcePlan, _ namespace: String?, _ trusted: TrustedCertificates
    ) throws(ConfigurationUnavailable) -> [any ArtifactVerifier] {
        var firstProblem: String?
        var hasValid = false
        let result = plan.verifiers.map { id -> any ArtifactVerifier in
            if let verifier = verifiers[id]?.value {
                hasValid = true
                return verifier.definition.verifier(trusting: trusted, areProvidersAwaited: true)
            }
            let problem =
                "\(invalid(id, verifiers[id]?.failure)); correct or delete it: what it would say is not known until then"
            firstProblem = firstProblem ?? problem
            return UnavailableVerifier(
                name: id.name, type: id.kind.rawValue, artifactTypes: resources[id]?.artifactTypes ?? ["*"],
                reason: problem)
        }
        guard hasValid else {
            if let firstProblem { throw ConfigurationUnavailable(firstProblem) }
            throw missing(.verifier, namespace, " with the name notation or cosign in its spec, and its trust policies")
        }
        return result
    }

    private func policyInForce(
        _ plan: ResourcePlan, _ namespace: String?
    ) throws(ConfigurationUnavailable) -> any PolicyEnforcer {
        guard let id = plan.policy else {
            throw missing(.policy, namespace, " named \"\(CustomResource.activePolicy)\", of type config-policy")
        }
        guard let policy = policies[id]?.value else {
            throw ConfigurationUnavailable(invalid(id, policies[id]?.failure))
        }
        return policy
    }

    // MARK: Reports

    /// How a resource is doing, for its status.
    func report(on id: ResourceID) -> ResourceReport {
        switch id.kind.role {
        case .store: return ResourceReport(error: stores[id]?.complaint)
        case .policy: return ResourceReport(error: policies[id]?.complaint)
        case .verifier:
            return ResourceReport(error: verifiers[id]?.complaint ?? shortcomings(of: id))
        case .provider:
            let part = providers[id]
            let status = part?.value?.provider.status
            return ResourceReport(error: part?.complaint ?? status?.error, provider: status)
        }
    }

    /// What a verifier that is in force lacks where it belongs.
    private func shortcomings(of id: ResourceID) -> String? {
        guard let definition = verifiers[id]?.value?.definition, let trusted = scopes[id.namespace]?.trusted else {
            return nil
        }
        let awaited = definition.missingProviders(in: trusted)
        guard awaited.isEmpty else { return ResourceBoard.sentence(awaited, id.namespace) }
        let unusable = definition.unusableStores(in: trusted)
        return unusable.isEmpty ? nil : unusable.joined(separator: "; ")
    }

    /// Every provider that is in force, each once.
    var providersInForce: [any CertificateProvider] { providers.values.compactMap { $0.value?.provider } }

    /// Providers of the cluster that have not looked at their source yet.
    var untriedProviders: [String] {
        providers.filter { $0.key.namespace == nil && $0.value.value?.provider.status == .notRead }.map(\.key.name)
            .sorted()
    }
}
