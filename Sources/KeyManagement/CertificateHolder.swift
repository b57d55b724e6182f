import FoundationEssentials
import PKI
import Synchronization

/// The memory of a provider whose source can change: the certificates and keys in force, the status, and who wants to
/// hear of changes.
package final class CertificateHolder: Sendable {
    fileprivate struct State {
        var set: CertificateSet?
        var keys: [TrustedKey] = []
        var generation: UInt64 = 0
        var status = ProviderStatus.notRead
        var listeners: [UInt64: AsyncStream<UInt64>.Continuation] = [:]
        var nextListener: UInt64 = 0
    }

    private let state = Mutex(State())

    /// Holds nothing yet.
    package init() {}

    deinit {
        for listener in state.withLock({ $0.listeners.values }) { listener.finish() }
    }

    /// The set in force.
    package func current() -> CertificateSet? { state.withLock { $0.set } }

    /// The public keys in force.
    package var keys: [TrustedKey] { state.withLock { $0.keys } }

    /// How the last look went.
    package var status: ProviderStatus { state.withLock { $0.status } }

    /// A number that grows whenever the certificates or keys in force change, in the same moment as they do.
    package var generation: UInt64 { state.withLock { $0.generation } }

    /// Puts what a look at the source gave into force.
    ///
    /// A source that was read and has nothing to trust leaves nothing in force: that is what its owner says. One that
    /// was not read completely and gave nothing leaves what was.
    ///
    /// - Parameters:
    ///   - offered: all certificates that are now in the source. Those that cannot be trusted are refused here.
    ///   - keys: all public keys that are now in the source, with those that may not be used or could not be read.
    ///   - problems: what could not be read. The certificates then are those that could, and the status says so.
    ///   - findings: what the source said and its owner should know, such as that a certificate was deleted. They show
    ///     in the status as problems do, but keep nothing in force.
    ///   - others: what the source has besides and does not offer: disabled versions, those that could not be read.
    ///   - warnings: what an administrator should change although everything works.
    ///   - areLasting: whether the problems stay until somebody mends what they name.
    ///   - keepsFormer: whether a look with problems that gave no certificate leaves what was. A provider that has
    ///     already put what stays of the former into `offered` says no.
    ///   - moment: when the source was read.
    package func install(
        _ offered: [TrustedCertificate], keys: [ProviderStatus.PublicKeyProperties] = [], problems: [String] = [],
        findings: [String] = [], others: [ProviderStatus.Properties] = [], warnings: [String] = [],
        areLasting: Bool = true, keepsFormer: Bool = true, at moment: Date
    ) {
        let (trusted, refused) = CertificateSet.part(offered)
        var errors = problems + findings
        if trusted.isEmpty {
            let none = Self.inForce(others.map { ($0.name, $0.version, $0.problem ?? "in force") })
            errors.append(
                refused.isEmpty
                    ? "there is no certificate\(none)"
                    : "there is no certificate that can be trusted: \(Self.list(refused))")
        }
        change { state in
            state.note(errors, problems: problems, areLasting: areLasting, at: moment)
            state.status.refused = refused
            state.status.warnings = warnings
            state.take(keys)
            if trusted.isEmpty, !problems.isEmpty, keepsFormer { return }
            state.status.properties =
                offered.map { entry in
                    let isRefused = refused.contains { $0.certificate == entry.certificate && $0.name == entry.name }
                    return ProviderStatus.Properties(
                        entry, problem: isRefused ? RefusedCertificate.brief : nil, lastRefreshed: moment)
                } + others
            state.set = CertificateSet(trusted, after: state.set)
        }
    }

    /// Puts the public keys of a source that has nothing else into force.
    ///
    /// - Parameters:
    ///   - keys: all public keys that are now in the source or stay of the former, with those that may not be used or
    ///     could not be read.
    ///   - problems: what could not be read.
    ///   - findings: what the source said and its owner should know, such as that a key was deleted.
    ///   - areLasting: whether the problems stay until somebody mends what they name.
    ///   - moment: when the source was read.
    package func install(
        onlyKeys keys: [ProviderStatus.PublicKeyProperties], problems: [String] = [], findings: [String] = [],
        areLasting: Bool = true, at moment: Date
    ) {
        var errors = problems + findings
        if !keys.contains(where: { $0.trusted != nil }) {
            errors.append("there is no public key" + Self.inForce(keys.map { ($0.name, $0.version, $0.state) }))
        }
        change { state in
            state.note(errors, problems: problems, areLasting: areLasting, at: moment)
            state.take(keys)
        }
    }

    /// Changes the state, counts a generation on if what is in force is something else after that, and tells who wants
    /// to hear of it.
    ///
    /// What is in force and its generation change under one lock: nobody sees keys of one with the number of the other.
    private func change(_ body: (inout State) -> Void) {
        let (generation, listeners) = state.withLock { state -> (UInt64, [AsyncStream<UInt64>.Continuation]) in
            let (set, keys) = (state.set?.generation, state.keys)
            body(&state)
            let isSame =
                state.set?.generation == set && state.keys.count == keys.count
                && zip(state.keys, keys).allSatisfy { $0.isSame(as: $1) }
            if isSame { return (0, []) }
            // A new set has a new number already.
            let hasNewSet = state.set.map { $0.generation != set } ?? false
            state.generation = hasNewSet ? state.set?.generation ?? 0 : Generation.next()
            return (state.generation, Array(state.listeners.values))
        }
        for listener in listeners { listener.yield(generation) }
    }

    /// Notes that the source could not be looked at. What is in force stays.
    package func fail(_ error: String) {
        state.withLock { state in
            state.status.isSuccess = false
            state.status.error = error
        }
    }

    /// A stream of the generations from now on.
    package func changes() -> AsyncStream<UInt64> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: UInt64.self, bufferingPolicy: .bufferingNewest(1))
        let number = state.withLock { state in
            let number = state.nextListener
            state.nextListener += 1
            state.listeners[number] = continuation
            return number
        }
        continuation.onTermination = { [weak self] _ in
            _ = self?.state.withLock { $0.listeners.removeValue(forKey: number) }
        }
        return stream
    }

    /// What is there and not in force, the first few.
    private static func inForce(_ states: [(name: String, version: String, state: String)]) -> String {
        let shown = states.prefix(3).map { "\($0.name)\($0.version.isEmpty ? "" : "/\($0.version)"): \($0.state)" }
        return states.isEmpty ? "" : " in force: " + shown.joined(separator: ", ")
    }

    private static func list(_ refused: [RefusedCertificate]) -> String {
        let shown = refused.prefix(3).map(\.description).joined(separator: "; ")
        return refused.count > 3 ? "\(shown); and \(refused.count - 3) more" : shown
    }
}

extension CertificateHolder.State {
    /// Notes how a look at the source went.
    fileprivate mutating func note(_ errors: [String], problems: [String], areLasting: Bool, at moment: Date) {
        status.isSuccess = errors.isEmpty
        status.error = errors.isEmpty ? nil : errors.joined(separator: "; ")
        // A source that was read whole and has nothing says so itself.
        status.isConfiguration = !errors.isEmpty && (problems.isEmpty || areLasting)
        if problems.isEmpty { status.lastFetched = moment }
    }

    /// Puts public keys into force: those that may be used and could be read.
    fileprivate mutating func take(_ offered: [ProviderStatus.PublicKeyProperties]) {
        status.keys = offered
        keys = []
        for key in offered.compactMap(\.trusted) where !keys.contains(where: { $0.isSame(as: key) }) {
            keys.append(key)
        }
    }
}
