import Crypto
import Encoding
import PKI
import Synchronization

/// All providers of trusted certificates, by name. A name that is not there, or whose provider has nothing, is an error
/// that says so, never an empty list.
package final class TrustedCertificates: Sendable {
    private struct State {
        var providers: [String: any CertificateProvider] = [:]
        var generation = Generation.next()
    }

    private let state = Mutex(State())
    /// The fingerprint of a generation: hashing certificates for each request would cost more than it saves.
    private let fingerprints = Mutex<(generation: UInt64, text: String)?>(nil)

    /// A registry of some providers. Of two with one name the later counts.
    package init(_ providers: [any CertificateProvider] = []) {
        for provider in providers { add(provider) }
    }

    /// A registry of some providers under names of the caller's choice; one may have several.
    package init(named providers: [String: any CertificateProvider]) {
        state.withLock { $0.providers = providers }
    }

    /// Adds a provider, in place of one with its name.
    package func add(_ provider: any CertificateProvider) {
        state.withLock { state in
            state.providers[provider.name] = provider
            state.generation = Generation.next()
        }
    }

    /// Removes a provider.
    package func remove(named name: String) {
        state.withLock { state in
            guard state.providers.removeValue(forKey: name) != nil else { return }
            state.generation = Generation.next()
        }
    }

    /// The provider of a name.
    package func provider(named name: String) -> (any CertificateProvider)? { state.withLock { $0.providers[name] } }

    /// All providers, in the order of their names.
    package var providers: [any CertificateProvider] {
        state.withLock { $0.providers }.sorted { $0.key < $1.key }.map(\.value)
    }

    /// The certificates of a provider.
    ///
    /// - Throws: ``KeyManagementError`` that names the provider, when there is none of that name or it has no
    ///   certificates.
    package func certificates(named name: String) throws(KeyManagementError) -> CertificateSet {
        let providers = state.withLock { $0.providers }
        guard let provider = providers[name] else {
            let known = providers.keys.sorted().map { "\"\($0)\"" }.joined(separator: ", ")
            throw KeyManagementError(
                .missingProvider,
                "there is no key management provider \"\(name)\"" + (known.isEmpty ? "" : "; there are: \(known)"))
        }
        guard provider.offersCertificates else {
            throw KeyManagementError(
                .configuration,
                "key management provider \"\(name)\" holds public keys only; Notation signatures are verified with "
                    + "certificates, name a provider of the root or intermediate certificate")
        }
        guard let set = provider.current() else {
            throw KeyManagementError(
                .noCertificates,
                "key management provider \"\(name)\" has no certificates: \(provider.status.error ?? "reason unknown")",
                isConfiguration: provider.status.isConfiguration)
        }
        return set
    }

    /// A number that grows whenever a provider comes or goes or its certificates change, and not otherwise.
    package var generation: UInt64 {
        let (providers, own) = state.withLock { ($0.providers, $0.generation) }
        return providers.values.map(\.generation).reduce(own, max)
    }

    /// The SHA-256 of names and certificates of all providers: the same in every process that trusts the same.
    package var fingerprint: String {
        let (providers, own) = state.withLock { ($0.providers, $0.generation) }
        let generation = providers.values.map(\.generation).reduce(own, max)
        if let known = fingerprints.withLock({ $0 }), known.generation == generation { return known.text }
        var hash = SHA256()
        func add(_ bytes: some Sequence<UInt8>) {
            let bytes = Array(bytes)
            hash.update(data: Array("\(bytes.count):".utf8) + bytes)
        }
        for (name, provider) in providers.sorted(by: { $0.key < $1.key }) {
            add(name.utf8)
            let certificates = provider.current()?.certificates ?? []
            add("\(certificates.count)".utf8)
            for certificate in certificates { add(certificate.sha256) }
        }
        let text = Hex.text(hash.finalize())
        fingerprints.withLock { $0 = (generation, text) }
        return text
    }

    /// Whether every provider has what it is for; otherwise what is missing, for readiness.
    package var missing: [String] {
        providers.filter { !$0.isReady }.map { "\($0.name): \($0.status.error ?? "no certificates")" }
    }

    /// Has every provider look at its source once, side by side.
    ///
    /// - Returns: the names of those that had not finished when the time was over; what they knew before stays.
    package func refresh(within time: Duration) async -> [String] {
        let providers = providers
        return await withTaskGroup(of: String?.self) { group in
            for provider in providers {
                group.addTask {
                    await provider.refresh()
                    return provider.name
                }
            }
            group.addTask {
                try? await Task.sleep(for: time)
                return nil
            }
            var pending = Set(providers.map(\.name))
            while !pending.isEmpty, let name = await group.next() ?? nil { pending.remove(name) }
            group.cancelAll()
            return pending.sorted()
        }
    }

    /// Runs all providers until the task is cancelled.
    package func run() async {
        await withDiscardingTaskGroup { group in
            for provider in providers { group.addTask { await provider.run() } }
        }
    }
}
