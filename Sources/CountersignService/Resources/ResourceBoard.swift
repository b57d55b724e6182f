import KeyManagement
import OCI
import StrictJSON
import Verification

/// What one resource was made into, and the last version of it that could be.
struct ResourcePart<Value> {
    private(set) var value: Value?
    /// Tells values apart: a new one has a new number.
    private(set) var version: UInt64 = 0
    /// Why the newest version is not in force; `nil` when it is.
    private(set) var failure: String?
    private var uid = ""
    private var resource: CustomResource?

    /// Makes the newest version, unless it is what is in force already. One that failed is tried again: what it names
    /// may be there by now.
    ///
    /// - Returns: what in it has no effect, when it was made.
    mutating func update(
        _ newest: CustomResource, number: () -> UInt64, _ make: (inout [String]) throws(ConfigurationError) -> Value
    ) -> [String] {
        if uid != newest.uid {
            // Another object of the same name: what the former one said is over.
            self = ResourcePart()
            uid = newest.uid
        }
        guard value == nil || resource?.spec != newest.spec else {
            failure = nil
            return []
        }
        var warnings: [String] = []
        do throws(ConfigurationError) {
            value = try make(&warnings)
            resource = newest
            version = number()
            failure = nil
            return warnings
        } catch {
            failure = error.description
            return []
        }
    }

    /// What the value was made from.
    var spec: JSONObject? { value == nil ? nil : resource?.spec }

    /// The failure with what it means.
    var complaint: String? {
        failure.map { value == nil ? $0 : "\($0); the version before it stays in force" }
    }
}

/// All resources, and what is in force of them for each namespace.
struct ResourceBoard {
    /// What answers for one namespace, or for the cluster.
    struct Scope: Sendable {
        let snapshot: Result<ConfigurationSnapshot, ConfigurationUnavailable>
        let trusted: TrustedCertificates
        /// Keeps the directories of its verifiers up to date.
        fileprivate let directories: [ResourceID: Directories]
        fileprivate let ingredients: Ingredients
        /// Providers that verifiers of this very scope wait for.
        fileprivate let awaited: [ResourceID: [String]]

        /// Which trust stores of a verifier cannot be used, and why.
        fileprivate func misfits(of verifier: String) -> String? {
            guard case .success(let snapshot) = snapshot else { return nil }
            let uses = snapshot.verifiers.compactMap { $0 as? NotationVerifier }.filter { $0.name == verifier }
                .flatMap(\.uses)
            let sentences = StoreMisfit.all(uses, in: trusted).map(\.sentence)
            return sentences.isEmpty ? nil : sentences.joined(separator: "; ")
        }
    }

    private struct Store {
        let type: StoreType
        let store: any ReferrerStore
    }

    fileprivate struct Directories: Sendable {
        let version: UInt64
        let running: RunningProvider
    }

    /// All that a scope is made from: when it is the same, the scope stays.
    fileprivate struct Ingredients: Sendable, Equatable {
        let plan: ResourcePlan
        var versions: [ResourceID: UInt64] = [:]
        var failures: [ResourceID: String] = [:]
        var unknownTypes: [ResourceID: [String]] = [:]
        let settings: ServiceSettings
    }

    private let builder: ConfigurationBuilder
    private let home: String?
    /// How requests are served.
    var settings = ServiceSettings()
    private(set) var resources: [ResourceID: CustomResource] = [:]
    private var stores: [ResourceID: ResourcePart<Store>] = [:]
    private var policies: [ResourceID: ResourcePart<ConfigPolicy>] = [:]
    private var providers: [ResourceID: ResourcePart<RunningProvider>] = [:]
    private var verifiers: [ResourceID: ResourcePart<ServiceConfiguration.VerifierPlugin>] = [:]
    private(set) var scopes: [String?: Scope] = [:]
    private var lastNumber: UInt64 = 0
    /// What in the resources has no effect; whoever logs it takes it away.
    var warnings: [String] = []

    /// No resources.
    ///
    /// - Parameter home: the namespace that this program runs in.
    init(builder: ConfigurationBuilder, home: String?) {
        self.builder = builder
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
        let builder = builder
        let id = resource.id
        let next = number()
        let found: [String]
        switch id.kind.role {
        case .store:
            found = stores[id, default: ResourcePart()].update(resource, number: { next }) {
                warnings throws(ConfigurationError) in
                let plugin = try resource.store(warnings: &warnings)
                return Store(type: plugin.type, store: try builder.store(plugin, warnings: &warnings))
            }
        case .policy:
            found = policies[id, default: ResourcePart()].update(resource, number: { next }) {
                warnings throws(ConfigurationError) in
                try ConfigPolicy(configuration: try resource.policy(warnings: &warnings), warnings: &warnings)
            }
        case .provider:
            found = providers[id, default: ResourcePart()].update(resource, number: { next }) {
                warnings throws(ConfigurationError) in
                RunningProvider(try builder.provider(try resource.provider(warnings: &warnings), warnings: &warnings))
            }
        case .verifier: found = []
        }
        warnings += found.map { "\(id): \($0)" }
    }

    /// A verifier is made once in the scope that it belongs to, to see whether it is valid. A version that waits for
    /// providers does not take the place of one that does not.
    private mutating func make(verifier resource: CustomResource, _ plan: ResourcePlan) {
        let builder = builder
        let next = number()
        let providers = providersInForce(of: plan)
        let hasFormer = verifiers[resource.id]?.value != nil
        let found = verifiers[resource.id, default: ResourcePart()].update(resource, number: { next }) {
            warnings throws(ConfigurationError) in
            let plugin = try resource.verifier(warnings: &warnings)
            var providers = providers
            if let directories = try builder.directories(of: plugin) { providers[directories.name] = directories }
            let made = try builder.verifier(
                plugin, trusted: TrustedCertificates(named: providers), areProvidersAwaited: true, warnings: &warnings)
            if hasFormer, !made.awaited.isEmpty {
                throw ConfigurationError(
                    path: "\(plugin.path).trustPolicyDoc",
                    problem: "waits: \(ResourceBoard.sentence(made.awaited, resource.id.namespace))")
            }
            return plugin
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

        var directories: [ResourceID: Directories] = [:]
        for id in plan.verifiers {
            guard let part = verifiers[id], let plugin = part.value else { continue }
            if let kept = scopes[namespace]?.directories[id], kept.version == part.version {
                directories[id] = kept
            } else if let provider = try? builder.directories(of: plugin) {
                directories[id] = Directories(version: part.version, running: RunningProvider(provider))
            }
        }
        var named = providersInForce(of: plan)
        for kept in directories.values { named[kept.running.provider.name] = kept.running.provider }
        let trusted = TrustedCertificates(named: named)
        var awaited: [ResourceID: [String]] = [:]
        let snapshot = Result { () throws(ConfigurationUnavailable) in
            ConfigurationSnapshot(
                generation: number(), stores: try storesInForce(plan, namespace),
                verifiers: try verifiersInForce(plan, namespace, trusted, &awaited),
                policy: try policyInForce(plan, namespace), settings: settings,
                fingerprint: ingredients.failures.isEmpty ? fingerprint(of: plan) : nil)
        }
        if case .success(let snapshot) = snapshot, let id = plan.policy {
            warnings += ConfigurationBuilder.unjudgedTypes(of: snapshot.policy, by: snapshot.verifiers).map {
                "\(id): artifactVerificationPolicies.\($0)"
            }
        }
        return Scope(
            snapshot: snapshot, trusted: trusted, directories: directories, ingredients: ingredients, awaited: awaited)
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
        for id in plan.stores {
            guard add("\(id)", stores[id]?.spec), stores[id]?.value?.type.isSameForAllReplicas == true else {
                return nil
            }
        }
        for id in plan.verifiers where !add("\(id)", verifiers[id]?.spec) { return nil }
        if let id = plan.policy, !add("\(id)", policies[id]?.spec) { return nil }
        for (name, id) in plan.providers.sorted(by: { $0.key < $1.key })
        where !add("\(name) \(id)", providers[id]?.spec) { return nil }
        return "\(Release.version) \(Digest(of: text))"
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
        _ plan: ResourcePlan, _ namespace: String?, _ trusted: TrustedCertificates,
        _ awaited: inout [ResourceID: [String]]
    ) throws(ConfigurationUnavailable) -> [any ArtifactVerifier] {
        var result: [any ArtifactVerifier] = []
        var firstProblem: String?
        var hasValid = false
        for id in plan.verifiers {
            var failure = verifiers[id]?.failure
            if let plugin = verifiers[id]?.value {
                do throws(ConfigurationError) {
                    var unused: [String] = []
                    let made = try builder.verifier(
                        plugin, trusted: trusted, areProvidersAwaited: true, warnings: &unused)
                    if id.namespace == namespace, !made.awaited.isEmpty { awaited[id] = made.awaited }
                    result.append(made.verifier)
                    hasValid = true
                    continue
                } catch { failure = error.description }
            }
            let problem = "\(invalid(id, failure)); correct or delete it: what it would say is not known until then"
            firstProblem = firstProblem ?? problem
            result.append(
                UnavailableVerifier(
                    name: id.name, type: id.kind.rawValue, artifactTypes: resources[id]?.artifactTypes ?? ["*"],
                    reason: problem))
        }
        guard hasValid else {
            if let firstProblem { throw ConfigurationUnavailable(firstProblem) }
            throw missing(.verifier, namespace, " with the name notation in its spec, and a trustPolicyDoc")
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
            if let complaint = verifiers[id]?.complaint { return ResourceReport(error: complaint) }
            let scope = scopes[id.namespace]
            let awaited = scope?.awaited[id].map { ResourceBoard.sentence($0, id.namespace) }
            return ResourceReport(error: awaited ?? scope?.misfits(of: id.name))
        case .provider:
            let part = providers[id]
            let status = part?.value?.provider.status
            return ResourceReport(error: part?.complaint ?? status?.error, provider: status)
        }
    }

    /// Every provider that is in force, each once.
    var providersInForce: [any CertificateProvider] { providers.values.compactMap { $0.value?.provider } }

    /// Providers of the cluster that have not looked at their source yet.
    var untriedProviders: [String] {
        providers.filter { $0.key.namespace == nil && $0.value.value?.provider.status == .notRead }.map(\.key.name)
            .sorted()
    }
}
