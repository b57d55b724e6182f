import Synchronization

/// The ports of several servers, available once all of them listen.
final class BoundPorts: Sendable {
    private typealias Outcome = Result<ProviderPorts, ProviderServerError>
    private typealias Waiter = CheckedContinuation<Outcome, Never>

    private struct State {
        var expected: Set<ProviderEndpoint.Name>
        var ports: [ProviderEndpoint.Name: Int] = [:]
        var failure: String?
        var waiters: [Waiter] = []

        var outcome: Outcome? {
            if let failure { return .failure(ProviderServerError(failure)) }
            guard let provider = ports[.provider], expected.isSubset(of: ports.keys) else { return nil }
            return .success(ProviderPorts(provider: provider, others: ports))
        }
    }

    private let state: Mutex<State>

    init(expecting endpoints: [ProviderEndpoint.Name]) { state = Mutex(State(expected: Set(endpoints))) }

    func set(_ endpoint: ProviderEndpoint.Name, _ port: Int) { change { $0.ports[endpoint] = port } }

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
