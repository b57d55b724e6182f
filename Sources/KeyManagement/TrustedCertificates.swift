import Crypto
import Encoding
import PKI
import Synchronization

/// All providers of trusted certificates and public keys, by name. A name that is not there, or whose provider has
/// nothing, is an error that says so, never an empty list.
package final class TrustedCertificates: Sendable {
    private struct State {
        var providers: [String: any CertificateProvider] = [:]
        /// The generation of each provider, in the dictionary's order, when they were last asked.
        var seen: [UInt64] = []
        var generation = Generation.next()

        /// The generation of all, counted on when any of them is another than it was when last asked.
        ///
        /// The largest number of all would not do. Of two that change at the same time the one with the lower number
        /// can be seen to change last: a decision made in between would be remembered with what it had taken away.
        mutating func counted() -> UInt64 {
            var isSame = seen.count == providers.count
            for (index, provider) in providers.values.enumerated() where isSame {
                isSame = seen[index] == provider.generation
            }
            if !isSame {
                // Any that change meanwhile are another number the next time.
                seen = providers.values.map(\.generation)
                generation = Generation.next()
            }
            return generation
        }

        mutating func change(_ body: (inout [String: any CertificateProvider]) -> Void) {
            body(&providers)
            seen = []
            generation = Generation.next()
        }
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
        state.withLock { $0.change { $0[provider.name] = provider } }
    }

    /// Removes a provider.
    package func remove(named name: String) {
        state.withLock { state in
            guard state.providers[name] != nil else { return }
            state.change { $0[name] = nil }
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
        let provider = try known(name)
        guard provider.offersCertificates else {
            let held = provider.offersKeys ? "holds public keys only" : "is of type \(provider.type)"
            throw KeyManagementError(
                .configuration,
                "key management provider \"\(name)\" \(held); Notation signatures are verified with certificates, "
                    + "name a provider of the root or intermediate certificate")
        }
        guard let set = provider.current() else {
            throw KeyManagementError(
                .noCertificates,
                "key management provider \"\(name)\" has no certificates: \(provider.status.error ?? "reason unknown")",
                isConfiguration: provider.status.isConfiguration)
        }
        return set
    }

    /// The public keys of a provider that are in force.
    ///
    /// - Throws: ``KeyManagementError`` that names the provider, when there is none of that name or it has no key in
    ///   force.
    package func keys(named name: String) throws(KeyManagementError) -> [TrustedKey] {
        let provider = try known(name)
        guard provider.offersKeys else {
            let held = provider.offersCertificates ? "holds certificates only" : "is of type \(provider.type)"
            throw KeyManagementError(
                .configuration,
                "key management provider \"\(name)\" \(held); this needs public keys, name a provider of type inline "
                    + "with contentType \"key\", or one of type azurekeyvault with \"keys\"")
        }
        let keys = provider.keys
        guard !keys.isEmpty else {
            let status = provider.status
            // Of a source of both the status may be well.
            let states = status.keys.prefix(3).map { "\($0.name)/\($0.version): \($0.state)" }
            let reason = status.error ?? (states.isEmpty ? "reason unknown" : states.joined(separator: ", "))
            throw KeyManagementError(
                .noKeys, "key management provider \"\(name)\" has no public keys: \(reason)",
                isConfiguration: status.isConfiguration)
        }
        return keys
    }

    private func known(_ name: String) throws(KeyManagementError) -> any CertificateProvider {
        let providers = state.withLock { $0.providers }
        if let provider = providers[name] { return provider }
        let known = providers.keys.sorted().map { "\"\($0)\"" }.joined(separator: ", ")
        throw KeyManagementError(
            .missingProvider,
            "there is no key management provider \"\(name)\"" + (known.isEmpty ? "" : "; there are: \(known)"))
    }

    /// A number that grows whenever a provider comes or goes or what it gives changes, and not otherwise.
    ///
    /// It is asked for before what is in force is: a decision may be remembered with a number that is too old, and so
    /// not be found again, never with one that is too new.
    package var generation: UInt64 { state.withLock { $0.counted() } }

    /// The SHA-256 of names, certificates and keys of all providers: the same in every process that trusts the same.
    package var fingerprint: String {
        let (providers, generation) = state.withLock { ($0.providers, $0.counted()) }
        if let known = fingerprints.withLock({ $0 }), known.generation == generation { return known.text }
        var hash = SHA256()
        func add(_ bytes: some Sequence<UInt8>) {
            let bytes = Array(bytes)
            hash.update(data: Array("\(bytes.count):".utf8) + bytes)
        }
        for (name, provider) in providers.sorted(by: { $0.key < $1.key }) {
            add(name.utf8)
            let parts = provider.fingerprintParts
            add("\(parts.count)".utf8)
            for part in parts { add(part) }
        }
        let text = Hex.text(hash.finalize())
        fingerprints.withLock { $0 = (generation, text) }
        return text
    }

    /// Whether every provider has what it is for; otherwise what is missing, for readiness.
    package var missing: [String] {
        providers.filter { !$0.isReady }.map { provider in
            "\(provider.name): \(provider.status.error ?? (provider.offersCertificates ? "no certificates" : "no keys"))"
        }
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
