import Encoding
import FoundationEssentials
import KeyManagement
import Sigstore
import Synchronization

/// The memory of a source of a trusted root: the one in force, how the source is doing, and who wants to hear of
/// changes.
///
/// What may be relied on until some moment is not in force from that moment on, whoever asks first.
package final class TrustedRootHolder: Sendable {
    fileprivate struct State {
        var root: LoadedRoot?
        var validUntil: Date?
        var generation: UInt64 = 0
        var status: ProviderStatus
        var listeners: [UInt64: AsyncStream<UInt64>.Continuation] = [:]
        var nextListener: UInt64 = 0
    }

    /// What a source says of the trusted root that it gives.
    struct Description {
        /// Where it is from, for a person.
        let source: String
        /// The versions of the signed metadata that it came by; empty where there is none.
        var versions: [String: Int64] = [:]
        /// Until when it may be relied on without another look; nil where nothing says so.
        var validUntil: Date?
        /// When the source was read; nil for what is compiled in.
        var read: Date?
    }

    private let state = Mutex(State(status: .notRead))
    private let now: @Sendable () -> Date

    /// Holds nothing yet.
    init(now: @escaping @Sendable () -> Date) { self.now = now }

    deinit {
        for listener in state.withLock({ $0.listeners.values }) { listener.finish() }
    }

    /// Verifies by the trusted root in force.
    var verifier: BundleVerifier? { settled { $0.root?.verifier } }

    /// The SHA-256 of the trusted root in force.
    var sha256: [UInt8]? { settled { $0.root?.sha256 } }

    /// A number that grows whenever the trusted root in force changes, to another or to none.
    var generation: UInt64 { settled { $0.generation } }

    /// How the source is doing.
    var status: ProviderStatus { settled { $0.status } }

    /// Until when the trusted root in force may be relied on; nil when there is no end, or none in force.
    var validUntil: Date? { settled { $0.validUntil } }

    private func settled<Value: Sendable>(_ read: (State) -> Value) -> Value {
        let value = state.withLock { state -> Value? in
            if let end = state.validUntil, end <= now() { return nil }
            return read(state)
        }
        if let value { return value }
        change { state in
            guard let end = state.validUntil, end <= now() else { return }
            let why = "it was good until \(UTC.text(end)) without another look, and could not be looked at again"
            let error = state.status.error.map { "\($0); \(why)" } ?? "the trusted root cannot be used: \(why)"
            state.withdraw(error, isConfiguration: state.status.isConfiguration)
        }
        return state.withLock { read($0) }
    }

    /// Puts a trusted root into force.
    ///
    /// - Parameters:
    ///   - error: what is wrong with the source although this root is in force.
    ///   - warnings: what an administrator should change although everything works.
    /// - Returns: whether it is another one than before.
    @discardableResult
    func install(
        _ root: LoadedRoot, _ description: Description, error: String? = nil, isConfiguration: Bool = false,
        warnings: [String] = []
    ) -> Bool {
        change { state in
            state.root = root
            state.validUntil = description.validUntil
            state.status.isSuccess = error == nil
            state.status.error = error
            state.status.isConfiguration = isConfiguration
            state.status.warnings = warnings
            if let read = description.read { state.status.lastFetched = read }
            state.status.trustedRoot = ProviderStatus.TrustedRootProperties(root, description)
        }
    }

    /// Notes that the source could not be looked at, or has nothing that can be used. What is in force stays.
    func fail(_ error: String, isConfiguration: Bool) {
        change { state in
            state.status.isSuccess = false
            state.status.error = error
            state.status.isConfiguration = isConfiguration
        }
    }

    /// Takes away what is in force.
    func withdraw(_ error: String, isConfiguration: Bool) {
        change { $0.withdraw(error, isConfiguration: isConfiguration) }
    }

    /// Changes the state, counts a generation on if another root is in force after that, and tells who wants to hear of
    /// it.
    @discardableResult
    private func change(_ body: (inout State) -> Void) -> Bool {
        let (generation, listeners) =
            state.withLock { state -> (UInt64, [AsyncStream<UInt64>.Continuation])? in
                let former = state.root?.sha256
                body(&state)
                if state.root?.sha256 == former { return nil }
                state.generation = Generation.next()
                return (state.generation, Array(state.listeners.values))
            } ?? (0, [])
        for listener in listeners { listener.yield(generation) }
        return generation > 0
    }

    /// A stream of the generations from now on.
    func changes() -> AsyncStream<UInt64> {
        let (stream, continuation) = AsyncStream.makeStream(of: UInt64.self, bufferingPolicy: .bufferingNewest(1))
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
}

extension TrustedRootHolder.State {
    fileprivate mutating func withdraw(_ error: String, isConfiguration: Bool) {
        root = nil
        validUntil = nil
        status.isSuccess = false
        status.error = error
        status.isConfiguration = isConfiguration
        status.trustedRoot = nil
    }
}

extension ProviderStatus.TrustedRootProperties {
    fileprivate init(_ root: LoadedRoot, _ description: TrustedRootHolder.Description) {
        let content = root.verifier.root
        self.init(
            source: description.source, fingerprint: Hex.text(root.sha256), versions: description.versions,
            validUntil: description.validUntil, transparencyLogs: content.transparencyLogs.count,
            certificateAuthorities: content.certificateAuthorities.count,
            certificateLogs: content.certificateLogs.count, timestampAuthorities: content.timestampAuthorities.count)
    }
}
