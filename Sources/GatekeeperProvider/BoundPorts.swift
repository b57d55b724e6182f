import Synchronization

/// The ports the provider listens on, once it does.
package struct ProviderPorts: Sendable, Hashable {
    /// The port for Gatekeeper.
    package let provider: Int
    /// The port for Kyverno.
    package let kyverno: Int?
    /// The port of `/healthz` and `/readyz`.
    package let health: Int?
    /// The port of `/metrics`.
    package let metrics: Int?
}

/// The ports of several servers, for whoever waits until all of them listen.
final class BoundPorts: Sendable {
    enum Endpoint: String, Sendable { case provider, kyverno, health, metrics }

    private typealias Outcome = Result<ProviderPorts, ProviderServerError>
    private typealias Waiter = CheckedContinuation<Outcome, Never>

    private struct State {
        var expected: Set<Endpoint>
        var ports: [Endpoint: Int] = [:]
        var failure: String?
        var waiters: [Waiter] = []

        var outcome: Outcome? {
            if let failure { return .failure(ProviderServerError(description: failure)) }
            guard let provider = ports[.provider], expected.isSubset(of: ports.keys) else { return nil }
            return .success(
                ProviderPorts(
                    provider: provider, kyverno: ports[.kyverno], health: ports[.health], metrics: ports[.metrics]))
        }
    }

    private let state: Mutex<State>

    init(expecting endpoints: [Endpoint]) { state = Mutex(State(expected: Set(endpoints))) }

    func set(_ endpoint: Endpoint, _ port: Int) { change { $0.ports[endpoint] = port } }

    func fail(_ reason: String) { change { $0.failure = reason } }

    func all() async throws(ProviderServerError) -> ProviderPorts {
        let outcome = await withCheckedContinuation { (continuation: Waiter) in
            let known = state.withLock { state -> Outcome? in
                if let outcome = state.outcome { return outcome }
                state.waiters.append(continuation)
                return nil
            }
            if let known { continuation.resume(returning: known) }
        }
        return try outcome.get()
    }

    private func change(_ body: (inout State) -> Void) {
        let (outcome, waiters) = state.withLock { state -> (Outcome?, [Waiter]) in
            body(&state)
            guard let outcome = state.outcome else { return (nil, []) }
            defer { state.waiters = [] }
            return (outcome, state.waiters)
        }
        guard let outcome else { return }
        for waiter in waiters { waiter.resume(returning: outcome) }
    }
}
