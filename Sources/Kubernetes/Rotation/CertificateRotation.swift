import Encoding
import FoundationEssentials
import PKI
import StrictJSON

/// Makes the provider's own serving certificate and its authority, keeps them in a Secret, renews them ahead of their
/// end, and keeps `caBundle` of Gatekeeper's Provider objects equal to the authorities.
///
/// Any number of replicas do this at once. What the Secret says is decided by its resource version: whoever comes
/// second reads what the first one wrote. No certificate is served before every Provider trusts its authority, and no
/// authority is dropped while something that it signed is served; so a client that has the Provider's bundle is never
/// refused.
package actor CertificateRotation {
    /// Something for a log.
    package struct Notice: Sendable {
        /// How loud it is.
        package enum Level: Sendable, Hashable {
            /// A change for the better, or a step that was taken.
            case notice
            /// What was told as an error lasts.
            case warning
            /// Something does not work.
            case error
        }

        package let level: Level
        package let text: String
    }

    private enum Event: Sendable {
        case secret(JSONObject?)
        case provider(String, JSONObject?)
        case tick
    }

    /// What can be in trouble by itself.
    private enum Part: Hashable {
        case secretWatch
        case providerWatch(String)
        case steps
    }

    private let client: KubernetesClient
    private let namespace: String
    private let secretName: String
    private let providerNames: [String]
    private let names: [String]
    private let policy: RotationPolicy
    private let install: @Sendable ([UInt8]) -> Void
    private let notice: @Sendable (Notice) -> Void

    /// The Secret as it was last seen; `nil` in the optional: it is not there.
    private var secret: JSONObject??
    private var providers: [String: JSONObject?] = [:]
    private var served: ServingPair?
    private var remembered: [Certificate] = []
    private var repairs: [String: (backoff: Backoff, next: ContinuousClock.Instant)] = [:]
    private var outage = Outage()
    private var failing: Set<Part> = []
    /// Waits while the API server cannot be asked, and waits after what does not pass by itself.
    private var absence = Backoff.absence
    private var refusals = Backoff()
    private var wake: AsyncStream<Event>.Continuation?
    private var isTickQueued = false
    private var waking: (task: Task<Void, Never>, at: ContinuousClock.Instant)?

    /// A rotation that does nothing before ``run()``.
    ///
    /// - Parameters:
    ///   - name: the Service's name: the Secret is `name-tls`, and the certificate is for `name` and its longer forms.
    ///   - providers: names of Gatekeeper's Provider objects.
    ///   - held: certificate and key that are served already, as PEM.
    ///   - install: told what to serve with: certificate and key in one PEM text.
    package init(
        client: KubernetesClient, namespace: String, name: String, providers: [String],
        policy: RotationPolicy = .init(), held: [UInt8] = [], install: @escaping @Sendable ([UInt8]) -> Void,
        notice: @escaping @Sendable (Notice) -> Void
    ) {
        self.client = client
        self.namespace = namespace
        secretName = "\(name)-tls"
        providerNames = providers
        names = ["\(name).\(namespace)", name, "\(name).\(namespace).svc", "\(name).\(namespace).svc.cluster.local"]
        self.policy = policy
        self.install = install
        self.notice = notice
        served = (try? PrivateKey(pem: held)).flatMap {
            ServingPair(chain: ServingSecret.certificates(held), key: $0)
        }
    }

    /// Whether a text has a certificate and the key that belongs to it.
    package static func isUsable(_ text: [UInt8]) -> Bool {
        (try? PrivateKey(pem: text)).flatMap { ServingPair(chain: ServingSecret.certificates(text), key: $0) } != nil
    }

    /// Works until its task is cancelled.
    package func run() async {
        let (events, continuation) = AsyncStream<Event>.makeStream()
        wake = continuation
        await withTaskGroup(of: Void.self) { group in
            group.addTask { [client, namespace, secretName] in
                let selection = ResourceSelection(namespace: namespace, name: secretName)
                for await event in client.watch(.secret, selection) {
                    switch event {
                    case .synced(let objects): continuation.yield(.secret(objects.first))
                    case .changed(let object): continuation.yield(.secret(object))
                    case .deleted: continuation.yield(.secret(nil))
                    case .resumed: await self.tick()
                    case .failed(let error):
                        await self.report(error, from: .secretWatch)
                        continue
                    }
                    await self.recovered(.secretWatch)
                }
            }
            for name in providerNames {
                group.addTask { [client] in
                    for await event in client.watch(.provider, ResourceSelection(name: name)) {
                        switch event {
                        case .synced(let objects): continuation.yield(.provider(name, objects.first))
                        case .changed(let object): continuation.yield(.provider(name, object))
                        case .deleted: continuation.yield(.provider(name, nil))
                        case .resumed: await self.tick()
                        // Gatekeeper is not installed: nobody is there to trust anything.
                        case .failed(let error) where error.kind == .notFound: continuation.yield(.provider(name, nil))
                        case .failed(let error):
                            await self.report(error, from: .providerWatch(name))
                            continue
                        }
                        await self.recovered(.providerWatch(name))
                    }
                }
            }
            group.addTask { [policy] in
                while (try? await Task.sleep(for: policy.interval)) != nil { await self.tick() }
            }
            group.addTask {
                for await event in events { await self.take(event) }
            }
            await group.next()
            group.cancelAll()
            continuation.finish()
            waking?.task.cancel()
        }
    }

    private func take(_ event: Event) async {
        switch event {
        case .secret(let object): secret = .some(object)
        case .provider(let name, let object): providers[name] = .some(object)
        case .tick:
            isTickQueued = false
            if let waking, waking.at <= .now { self.waking = nil }
        }
        // What the Secret holds is not known yet.
        guard secret != nil else { return }
        do {
            try await keepSecret()
            installIfTrusted()
            try await keepProviders()
            installIfTrusted()
            recovered(.steps)
            absence.reset()
            refusals.reset()
        } catch let error as KubernetesError {
            report(error, from: .steps)
            if error.isTransient {
                refusals.reset()
                look(after: absence.nextAttempt(retryAfter: error.retryAfter))
            } else {
                absence.reset()
                look(after: refusals.next(retryAfter: error.retryAfter))
            }
        } catch is CancellationError {} catch {
            report("\(error)", cause: "\(error)", from: .steps)
            look(after: refusals.next())
        }
    }

    /// Asks for a look; while one is queued already, another would only hold up what comes behind it.
    private func tick() {
        guard !isTickQueued else { return }
        isTickQueued = true
        wake?.yield(.tick)
    }

    /// Looks again before the next interval ends. Of several wishes the earliest counts.
    private func look(after wait: Duration) {
        let at = ContinuousClock.now + wait
        if let waking {
            guard at < waking.at else { return }
            waking.task.cancel()
        }
        let task = Task {
            do { try await Task.sleep(until: at, clock: .continuous) } catch { return }
            self.tick()
        }
        waking = (task, at)
    }

    private func report(_ error: KubernetesError, from part: Part) {
        guard error.kind != .cancelled else { return }
        report(error.description, cause: error.detail, from: part)
    }

    private func report(_ problem: String, cause: String, from part: Part) {
        guard !Task.isCancelled else { return }
        failing.insert(part)
        let text = "rotation of the serving certificate: \(problem)"
        switch outage.fails(cause) {
        case .begun: notice(Notice(level: .error, text: "\(text); what is served stays, and it is tried again"))
        case .goesOn: notice(Notice(level: .warning, text: "\(text); this lasts"))
        case .quiet: break
        }
    }

    private func recovered(_ part: Part) {
        guard failing.remove(part) != nil, failing.isEmpty, let lasted = outage.ends() else { return }
        notice(
            Notice(level: .notice, text: "rotation of the serving certificate: works again, after \(lasted.inSeconds)"))
    }

    // MARK: The Secret

    /// Takes the steps that are due, one after the other.
    private func keepSecret() async throws {
        for _ in 0..<10 {
            let current = secret ?? nil
            let content = ServingSecret(current)
            for authority in content.authorities where !remembered.contains(authority) { remembered.append(authority) }
            remembered.removeAll { $0.notAfter < Date() }
            guard let step = try plan().next(content) else { return }
            do throws(KubernetesError) {
                let data = try step.secret.dataOrFault()
                if var object = current {
                    var merged = object["data"]?.object ?? [:]
                    for member in data.members { merged[member.name] = member.value }
                    object["data"] = .object(merged)
                    secret = .some(try await client.replace(.secret, object))
                } else {
                    secret = .some(try await create(data))
                }
                notice(Notice(level: .notice, text: "\(step.reason) (Secret \(namespace)/\(secretName))"))
            } catch {
                // Another replica, or a person, was first: what they wrote counts.
                guard [.conflict, .alreadyExists, .notFound].contains(error.kind) else { throw error }
                try await readSecret()
            }
        }
    }

    private func create(_ data: JSONObject) async throws(KubernetesError) -> JSONObject {
        do throws(KubernetesError) {
            return try await client.create(
                .secret,
                [
                    "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
                    "metadata": ["name": .string(secretName), "namespace": .string(namespace)], "data": .object(data),
                ], namespace: namespace)
        } catch {
            guard error.kind == .forbidden else { throw error }
            // Whoever may create Secrets can have tokens made: the chart withholds it.
            var error = error
            error.detail +=
                "; the Secret is not there: make it, empty (kubectl -n \(namespace) create secret generic \(secretName)),"
                + " and it is filled"
            throw error
        }
    }

    private func readSecret() async throws(KubernetesError) {
        do throws(KubernetesError) {
            secret = .some(try await client.get(.secret, name: secretName, namespace: namespace))
        } catch {
            guard error.kind == .notFound else { throw error }
            secret = .some(nil)
        }
    }

    private func plan() -> RotationPlan {
        RotationPlan(
            names: names, authorityName: names[0], policy: policy, now: Date(), served: served,
            remembered: remembered, isTrusted: { self.isTrusted($0) })
    }

    // MARK: What is served

    private func installIfTrusted() {
        let content = ServingSecret(secret ?? nil)
        let plan = plan()
        guard let pair = content.pair, pair != served, plan.isUsable(pair) else { return }
        if let served, plan.isUsable(served) {
            // Somebody is served well now: nothing newer before all trust it.
            guard let issuer = content.issuer(of: pair.leaf, at: Date()), isTrusted(issuer) else { return }
        }
        guard let pem = try? pair.pem() else { return }
        served = pair
        install(pem)
    }

    // MARK: Providers

    private func bundle(of provider: JSONObject) -> [UInt8]? {
        provider["spec"]?["caBundle"]?.string.flatMap { Base64.decode($0, allowsLeftoverBits: true) }
    }

    /// Whether every Provider that there is trusts an authority.
    private func isTrusted(_ authority: Certificate) -> Bool {
        providerNames.allSatisfy { name in
            guard let known = providers[name] else { return false }
            guard let provider = known else { return true }
            return ServingSecret.certificates(bundle(of: provider) ?? []).contains(authority)
        }
    }

    private func keepProviders() async throws {
        for name in providerNames {
            guard let provider = providers[name] ?? nil else { continue }
            let content = ServingSecret(secret ?? nil)
            let wanted = content.bundle
            guard !content.authorities.isEmpty, bundle(of: provider) != wanted else { continue }
            let former = repairs[name]
            var repair = former ?? (policy.repairs, .now)
            guard repair.next <= .now else {
                look(after: repair.next - .now)
                continue
            }
            // Another replica may know more than this one's watch has told: nothing older goes out.
            let version = (secret ?? nil)?.resourceVersion
            try await readSecret()
            guard (secret ?? nil)?.resourceVersion == version else { return try await keepSecretAndProviders() }
            repair.next = .now + repair.backoff.next()
            repairs[name] = repair
            let patch: JSONValue = [
                "metadata": ["resourceVersion": .string(provider.resourceVersion ?? "")],
                "spec": ["caBundle": .string(Base64.encode(wanted))],
            ]
            do throws(KubernetesError) {
                providers[name] = .some(try await client.mergePatch(.provider, name: name, patch))
                notice(Notice(level: .notice, text: "caBundle of Provider \(name) was set to the authorities in force"))
            } catch {
                switch error.kind {
                // The watch tells what it is now.
                case .conflict: continue
                case .notFound: providers[name] = .some(nil)
                default:
                    // Nothing was repaired: an API server that is away is nobody to fight with.
                    repairs[name] = former
                    throw error
                }
            }
        }
        // One that held for a while is not fought over.
        for (name, repair) in repairs where ContinuousClock.now - repair.next > .seconds(60) { repairs[name] = nil }
    }

    private func keepSecretAndProviders() async throws {
        try await keepSecret()
        try await keepProviders()
    }
}

extension ServingSecret {
    fileprivate func dataOrFault() throws(KubernetesError) -> JSONObject {
        do { return try data() } catch {
            throw KubernetesError(.configuration, detail: "the serving certificate cannot be encoded: \(error)")
        }
    }
}
