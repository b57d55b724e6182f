import FoundationEssentials
import PKI
import Synchronization

/// The memory of a provider whose source can change: the set in force, the status, and who wants to hear of changes.
package final class CertificateHolder: Sendable {
    private struct State {
        var set: CertificateSet?
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

    /// How the last look went.
    package var status: ProviderStatus { state.withLock { $0.status } }

    /// A number that grows whenever the set in force changes.
    package var generation: UInt64 { state.withLock { $0.generation } }

    /// Puts what a look at the source gave into force.
    ///
    /// A source that was read and has nothing to trust leaves nothing in force: that is what its owner says. One that
    /// was not read completely and gave nothing leaves what was.
    ///
    /// - Parameters:
    ///   - offered: all certificates that are now in the source. Those that cannot be trusted are refused here.
    ///   - problems: what could not be read. The certificates then are those that could, and the status says so.
    ///   - findings: what the source said and its owner should know, such as that a certificate was deleted. They show
    ///     in the status as problems do, but keep nothing in force.
    ///   - others: what the source has besides and does not offer: disabled versions, those that could not be read.
    ///   - warnings: what an administrator should change although everything works.
    ///   - areLasting: whether the problems stay until somebody mends what they name.
    ///   - keepsFormer: whether a look with problems that gave nothing leaves what was. A provider that has already put
    ///     what stays of the former into `offered` says no.
    ///   - moment: when the source was read.
    package func install(
        _ offered: [TrustedCertificate], problems: [String] = [], findings: [String] = [],
        others: [ProviderStatus.Properties] = [], warnings: [String] = [], areLasting: Bool = true,
        keepsFormer: Bool = true, at moment: Date
    ) {
        let (trusted, refused) = CertificateSet.part(offered)
        var errors = problems + findings
        if trusted.isEmpty {
            let states = others.map { "\($0.name)/\($0.version) is \($0.problem ?? "in force")" }
            let none = states.isEmpty ? "" : " in force: " + states.prefix(3).joined(separator: ", ")
            errors.append(
                refused.isEmpty
                    ? "there is no certificate\(none)"
                    : "there is no certificate that can be trusted: \(Self.list(refused))")
        }
        let (generation, listeners) = state.withLock { state -> (UInt64, [AsyncStream<UInt64>.Continuation]) in
            state.status.isSuccess = errors.isEmpty
            state.status.error = errors.isEmpty ? nil : errors.joined(separator: "; ")
            // A source that was read whole and has nothing says so itself.
            state.status.isConfiguration = !errors.isEmpty && (problems.isEmpty || areLasting)
            state.status.refused = refused
            state.status.warnings = warnings
            if problems.isEmpty { state.status.lastFetched = moment }
            if trusted.isEmpty, !problems.isEmpty, keepsFormer { return (0, []) }
            state.status.properties =
                offered.map { entry in
                    let isRefused = refused.contains { $0.certificate == entry.certificate && $0.name == entry.name }
                    return ProviderStatus.Properties(
                        entry, problem: isRefused ? RefusedCertificate.brief : nil, lastRefreshed: moment)
                } + others
            let last = state.set
            state.set = CertificateSet(trusted, after: last)
            guard state.set?.generation != last?.generation else { return (0, []) }
            state.generation = state.set?.generation ?? Generation.next()
            return (state.generation, Array(state.listeners.values))
        }
        for listener in listeners { listener.yield(generation) }
    }

    /// Puts public keys into force, which nothing is verified with yet but which the status lists.
    ///
    /// - Parameter keys: all public keys of the source, with those that could not be read.
    package func install(keys: [ProviderStatus.PublicKeyProperties]) {
        state.withLock { $0.status.keys = keys }
    }

    /// Notes that the source was read and holds public keys only.
    package func install(onlyKeys keys: [ProviderStatus.PublicKeyProperties], problems: [String] = [], at moment: Date)
    {
        state.withLock { state in
            state.status.isSuccess = problems.isEmpty
            state.status.error = problems.isEmpty ? nil : problems.joined(separator: "; ")
            state.status.keys = keys
            if problems.isEmpty { state.status.lastFetched = moment }
        }
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

    private static func list(_ refused: [RefusedCertificate]) -> String {
        let shown = refused.prefix(3).map(\.description).joined(separator: "; ")
        return refused.count > 3 ? "\(shown); and \(refused.count - 3) more" : shown
    }
}
