import Concurrency
import FoundationEssentials
import KeyManagement
import PKI
import Synchronization

/// What a provider of a vault tells its owner, once for each change.
package enum KeyVaultNotice: Hashable, Sendable {
    /// The vault was read, and all is well now.
    case refreshed(certificates: Int, keys: Int)
    /// Something is wrong, in words.
    case failing(String)
    /// The vault gives a private key away with a certificate.
    case exportableKey(String)
}

/// Certificates and public keys of an Azure Key Vault (Ratify's KeyManagementProvider of type `azurekeyvault`).
///
/// The whole chain of each certificate comes from the secret of the same version. Certificate authorities and
/// self-signed certificates in it are trusted; the leaf is not, since a signature is trusted when any certificate of
/// its chain is (trust store specification, "Trust store"). Private keys in secrets are dropped unread.
///
/// Of keys the versions that are enabled are in force. One that the vault says is disabled or not there is taken away
/// at once; one that cannot be read now stays.
package final class KeyVaultCertificates: CertificateProvider {
    /// What is read, and how often.
    package struct Settings: Hashable, Sendable {
        /// Certificates to trust.
        package var certificates: [KeyVaultObject]
        /// Public keys to trust.
        package var keys: [KeyVaultObject]
        /// How often the vault is read; zero reads it once, and again only until that succeeds.
        package var refreshInterval: Duration
        /// The wait after a look that failed; it doubles for each further one, up to a minute, or to ten seconds while
        /// nothing was read yet: until then all that rests on it is refused.
        package var retryInterval = Duration.seconds(1)

        /// How many certificates and keys there may be.
        package static let maximumObjects = 100

        /// Settings.
        package init(
            certificates: [KeyVaultObject], keys: [KeyVaultObject] = [], refreshInterval: Duration = .seconds(60)
        ) {
            self.certificates = certificates
            self.keys = keys
            self.refreshInterval = refreshInterval
        }
    }

    private struct Place: Hashable, Sendable {
        let kind: KeyVaultReader.Kind
        let object: KeyVaultObject
    }

    private struct State {
        var known: [Place: [KeyVaultFinding]] = [:]
        var failures = 0
        var retryAfter: Duration?
        /// What was told last: nothing yet, that all is well, or what is wrong.
        var told: [String]?
        var warned: Set<String> = []
    }

    package let name: String
    package let type = "azurekeyvault"
    private let client: KeyVaultClient
    private let settings: Settings
    private let observe: AzureObserver
    private let notice: @Sendable (KeyVaultNotice) -> Void
    private let now: @Sendable () -> Date
    private let holder = CertificateHolder()
    private let state = Mutex(State())
    private let looks = SingleFlight<String, Void, Never>()

    /// How long one look may take.
    private static let lookTime = Duration.seconds(60)
    /// The longest wait after a look that failed, and while nothing was read yet.
    private static let longestRetry = (known: Duration.seconds(60), unknown: Duration.seconds(10))
    /// The longest wait that a vault may ask for.
    private static let longestPause = Duration.seconds(600)
    /// How many certificates and keys are read at once.
    private static let width = 4

    /// A provider; nothing is read yet.
    ///
    /// - Parameters:
    ///   - former: a provider that this one takes the place of: what it knows of the same certificates of the same
    ///     vault for the same identity is in force at once, so that a change of the configuration opens no gap.
    ///   - observe: told how long each certificate and key took.
    ///   - notice: told of each change.
    package init(
        name: String, client: KeyVaultClient, settings: Settings, former: KeyVaultCertificates? = nil,
        observe: @escaping AzureObserver = { _ in }, notice: @escaping @Sendable (KeyVaultNotice) -> Void = { _ in },
        now: @escaping @Sendable () -> Date = { Date() }
    ) throws(AzureError) {
        guard !settings.certificates.isEmpty || !settings.keys.isEmpty else {
            throw AzureError(.configuration, detail: "neither certificates nor keys are named")
        }
        guard settings.certificates.count + settings.keys.count <= Settings.maximumObjects else {
            throw AzureError(
                .configuration, detail: "more than \(Settings.maximumObjects) certificates and keys are named")
        }
        self.name = name
        self.client = client
        self.settings = settings
        self.observe = observe
        self.notice = notice
        self.now = now
        guard let former, former.client.vault == client.vault, former.client.identity == client.identity else { return }
        let known = former.state.withLock { $0.known }.filter { places.contains($0.key) }
        guard !known.isEmpty else { return }
        let warned = former.state.withLock { $0.warned }
        state.withLock { state in
            state.known = known
            state.warned = warned
        }
        install(known, problems: ["the vault was not read yet since the configuration changed"], notes: [])
    }

    private var places: [Place] {
        settings.certificates.map { Place(kind: .certificate, object: $0) }
            + settings.keys.map { Place(kind: .key, object: $0) }
    }

    package var offersCertificates: Bool { !settings.certificates.isEmpty }
    package var offersKeys: Bool { !settings.keys.isEmpty }
    package func current() -> CertificateSet? { holder.current() }
    package var keys: [TrustedKey] { holder.keys }
    package var status: ProviderStatus { holder.status }
    package var generation: UInt64 { holder.generation }
    package func changes() -> AsyncStream<UInt64> { holder.changes() }

    /// Reads the vault; who asks while that is under way waits for the same look, which goes on when who asked is
    /// cancelled.
    package func refresh() async {
        _ = await looks.value(for: name, deadline: nil) { [self] in await look() }
    }

    package func run() async {
        while !Task.isCancelled {
            await refresh()
            guard let wait = nextWait else { return }
            do { try await Task.sleep(for: wait, clock: .continuous) } catch { return }
        }
    }

    /// How long until the next look; `nil` when there is to be none. All waits are jittered: replicas start together.
    private var nextWait: Duration? {
        let (failures, retryAfter) = state.withLock { ($0.failures, $0.retryAfter) }
        guard failures > 0 else {
            guard settings.refreshInterval > .zero else { return nil }
            return settings.refreshInterval * Double.random(in: 0.9...1.1)
        }
        let isKnown = state.withLock { $0.known.values.contains { !$0.isEmpty } }
        let longest = isKnown ? Self.longestRetry.known : Self.longestRetry.unknown
        var wait = settings.retryInterval
        for _ in 1..<min(failures, 16) where wait < longest { wait = wait * 2 }
        wait = min(wait, longest) * Double.random(in: 0.5...1)
        return max(wait, min(retryAfter ?? .zero, Self.longestPause))
    }

    private func look() async {
        let deadline = ContinuousClock.now + Self.lookTime
        let former = state.withLock { $0.known }
        let places = places
        let ordered = await places.concurrentMap(atMost: Self.width) { [self] place in
            await read(place, former[place] ?? [], deadline)
        }
        let faults = ordered.flatMap(\.faults)
        let known = Dictionary(zip(places, ordered.map(\.findings))) { $1 }
        state.withLock { state in
            state.known = known
            state.failures = faults.isEmpty ? 0 : state.failures + 1
            state.retryAfter = faults.compactMap(\.retryAfter).max()
        }
        install(
            known, problems: Self.distinct(ordered.flatMap(\.problems)),
            areLasting: faults.allSatisfy(\.isConfiguration), notes: ordered.flatMap(\.notes))
        tell(faults)
    }

    private func read(
        _ place: Place, _ former: [KeyVaultFinding], _ deadline: ContinuousClock.Instant
    ) async -> KeyVaultReading {
        let start = ContinuousClock.now
        let reading = await KeyVaultReader(client: client, kind: place.kind, object: place.object, now: now)
            .read(former: former, deadline: deadline)
        observe(
            AzureExchange(
                kind: .vaultObject(place.object.name), duration: .now - start, fault: reading.faults.first?.kind))
        return reading
    }

    private func install(
        _ known: [Place: [KeyVaultFinding]], problems: [String], areLasting: Bool = false, notes: [String]
    ) {
        var offered: [TrustedCertificate] = []
        var others: [ProviderStatus.Properties] = []
        var keys: [ProviderStatus.PublicKeyProperties] = []
        var warnings: [String] = []
        for place in places {
            let name = place.object.name
            for finding in known[place] ?? [] {
                switch place.kind {
                case .key:
                    keys.append(
                        ProviderStatus.PublicKeyProperties(
                            name: name, version: finding.version, key: finding.key, isEnabled: finding.isEnabled,
                            problem: finding.problem, lastRefreshed: finding.refreshed))
                case .certificate where finding.problem == nil:
                    offered += finding.certificates.map {
                        TrustedCertificate(
                            name: name, version: finding.version, certificate: $0, lastRefreshed: finding.refreshed)
                    }
                    if finding.hasPrivateKey { warnings.append(Self.warning(name, finding.version)) }
                case .certificate:
                    others.append(
                        ProviderStatus.Properties(
                            name: name, version: finding.version, certificate: finding.shown,
                            isEnabled: finding.isEnabled, problem: finding.problem, lastRefreshed: finding.refreshed))
                }
            }
        }
        if offersCertificates {
            holder.install(
                offered, keys: keys, problems: problems, findings: notes, others: others, warnings: warnings,
                areLasting: areLasting, keepsFormer: false, at: now())
        } else {
            holder.install(
                onlyKeys: keys, problems: problems, findings: notes, areLasting: areLasting, at: now())
        }
    }

    private static func warning(_ name: String, _ version: String) -> String {
        "certificate \(name) version \(version) comes with its private key, which was dropped: whoever may read this secret can sign. Make the key non-exportable in the certificate's policy"
    }

    /// Tells of what is new. Azure's words are new each time, they have a time and a number of the request in them: the
    /// same fault is told once.
    private func tell(_ faults: [AzureError]) {
        let status = holder.status
        let wrong: [String] =
            faults.isEmpty
            ? [status.error].compactMap(\.self)
            : Set(faults.map { "\($0.kind.rawValue) \($0.endpoint) \($0.code ?? "")" }).sorted()
        let (isNew, warnings) = state.withLock { state -> (Bool, [String]) in
            let isNew = state.told != wrong
            state.told = wrong
            let warnings = status.warnings.filter { state.warned.insert($0).inserted }
            if state.warned.count > 1_000 { state.warned = Set(status.warnings) }
            return (isNew, warnings)
        }
        for warning in warnings { notice(.exportableKey(warning)) }
        guard isNew else { return }
        if let error = status.error {
            notice(.failing(error))
        } else {
            notice(.refreshed(certificates: current()?.certificates.count ?? 0, keys: status.keys.count))
        }
    }

    /// One fault of the vault is not told for each certificate.
    private static func distinct(_ problems: [String]) -> [String] {
        var seen: Set<String> = []
        return problems.filter { seen.insert($0).inserted }
    }
}
