import OCI
import StrictJSON
import Synchronization
import Verification

@testable import GatekeeperProvider

/// A verification service whose answers are in the key: `signed…`, `unsigned…`, `slow…`, and so on.
final class StubService: VerificationService {
    private let asked = Mutex<[String]>([])
    private let state = Mutex<Readiness>(.ready)
    let settings: ServiceSettings
    /// Holds back every answer to `held…` until it is opened.
    let gate = Gate()

    init(
        verificationTimeout: Duration = .seconds(30), mutationTimeout: Duration = .seconds(30),
        traceIDHeaderNames: [String] = []
    ) {
        settings = ServiceSettings(
            verificationTimeout: verificationTimeout, mutationTimeout: mutationTimeout,
            traceIDHeaderNames: traceIDHeaderNames)
    }

    /// The keys it was asked about, in the order of asking.
    var keys: [String] { asked.withLock { $0 } }

    var readiness: Readiness {
        get { state.withLock { $0 } }
        set { state.withLock { $0 = newValue } }
    }

    static let digest = "sha256:" + String(repeating: "a", count: 64)

    func verify(key: String, traceID: String, deadline: ContinuousClock.Instant) async -> KeyAnswer {
        asked.withLock { $0.append(key) }
        if key.hasPrefix("unparsable") || key.isEmpty { return .refused("\"\(key)\" is not an image reference") }
        if key.hasPrefix("blank") { return .refused(" ") }
        if key.hasPrefix("down") {
            return .fault(PassingFault(stage: .referrers, host: "registry.example:5000", cause: "connection refused"))
        }
        if key.hasPrefix("slow") { try? await Task.sleep(for: .seconds(60)) }
        // Like a service with a bug: it does not notice that it was cancelled.
        if key.hasPrefix("stuck") { await Gate().wait() }
        if key.hasPrefix("held") { await gate.wait() }
        let isSuccess = key.hasPrefix("signed") || key.hasPrefix("held") || key.hasPrefix("[team-a]")
        return .decided(
            Decision(
                isSuccess: isSuccess, reference: key, digest: try? Digest(parsing: StubService.digest),
                reports: [
                    VerifierReport(
                        subject: key, isSuccess: isSuccess, verifierName: isSuccess ? "notation" : nil,
                        message: isSuccess ? "verified" : "not verified",
                        errorReason: isSuccess ? nil : "no signature",
                        extensions: isSuccess ? ["Issuer": "CN=ca", "SN": "CN=leaf"] : [:])
                ]))
    }

    func mutate(key: String, traceID: String, deadline: ContinuousClock.Instant) async -> MutationAnswer {
        asked.withLock { $0.append(key) }
        if key.hasPrefix("unparsable") { return .refused("\"\(key)\" is not an image reference") }
        if key.hasPrefix("down") {
            return .fault(PassingFault(stage: .resolve, host: "registry.example", cause: "status 503"))
        }
        if key.hasPrefix("slow") { try? await Task.sleep(for: .seconds(60)) }
        return .reference("\(key)@\(StubService.digest)")
    }
}

/// Holds tasks until it is opened.
final class Gate: Sendable {
    private struct State {
        var isOpen = false
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    /// How many tasks wait.
    var waiting: Int { state.withLock { $0.waiters.count } }

    func wait() async {
        await withCheckedContinuation { continuation in
            let isOpen = state.withLock { state in
                if !state.isOpen { state.waiters.append(continuation) }
                return state.isOpen
            }
            if isOpen { continuation.resume() }
        }
    }

    func open() {
        let waiters = state.withLock { state in
            state.isOpen = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    deinit { open() }
}
