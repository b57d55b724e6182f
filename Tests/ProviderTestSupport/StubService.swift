import ConfigurationModel
import OCI
import Synchronization
import TestSupport
import Verification

/// A verification service whose answers are in the key: `signed…`, `unsigned…`, `slow…`, and so on.
package final class StubService: VerificationService {
    private let asked = Mutex<[String]>([])
    private let state = Mutex<Readiness>(.ready)
    package let settings: ServiceSettings
    /// Whether verdicts about `signed…`, `unsigned…` and so on are at hand.
    package let hasVerdicts: Bool
    /// Holds back every answer to `held…` until it is opened.
    package let gate = Gate()

    /// A service with these settings.
    package init(
        verificationTimeout: Duration = .seconds(30), mutationTimeout: Duration = .seconds(30),
        traceIDHeaderNames: [String] = [], hasVerdicts: Bool = false
    ) {
        self.hasVerdicts = hasVerdicts
        settings = ServiceSettings(
            verificationTimeout: verificationTimeout, mutationTimeout: mutationTimeout,
            traceIDHeaderNames: traceIDHeaderNames)
    }

    /// The keys it was asked about, in the order of asking.
    package var keys: [String] { asked.withLock { $0 } }

    /// What it says of itself.
    package var readiness: Readiness {
        get { state.withLock { $0 } }
        set { state.withLock { $0 = newValue } }
    }

    /// The digest of every image.
    package static let digest = "sha256:" + String(repeating: "a", count: 64)

    package func verify(_ question: PendingQuestion, deadline: ContinuousClock.Instant) async -> KeyAnswer {
        let key = question.key.description
        asked.withLock { $0.append(key) }
        if key.hasPrefix("blank") { return .refused(" ") }
        if key.hasPrefix("down") {
            return .fault(TransientFault(stage: .referrers, host: "registry.example:5000", cause: "connection refused"))
        }
        if key.hasPrefix("slow") { try? await Task.sleep(for: .seconds(60)) }
        // Like a service with a bug: it does not notice that it was cancelled.
        if key.hasPrefix("stuck") { await Gate().wait() }
        if key.hasPrefix("held") { await gate.wait() }
        return verdict(key)
    }

    package func verdictAtHand(_ key: ImageKey) -> FirstLook<KeyAnswer> {
        let text = key.description
        guard hasVerdicts, text.hasPrefix("signed") || text.hasPrefix("unsigned") else {
            return .pending(PendingQuestion(key))
        }
        return .answered(verdict(text))
    }

    private func verdict(_ key: String) -> KeyAnswer {
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

    package func referenceAtHand(_ key: ImageKey) -> FirstLook<MutationAnswer> { .pending(PendingQuestion(key)) }

    package func mutate(_ question: PendingQuestion, deadline: ContinuousClock.Instant) async -> MutationAnswer {
        let key = question.key.description
        asked.withLock { $0.append(key) }
        if key.hasPrefix("down") {
            return .fault(TransientFault(stage: .resolve, host: "registry.example", cause: "status 503"))
        }
        if key.hasPrefix("slow") { try? await Task.sleep(for: .seconds(60)) }
        return .reference("\(key)@\(StubService.digest)")
    }
}

extension PendingQuestion {
    /// The question about a key to a service that has no configuration.
    package init(_ key: ImageKey) {
        let snapshot = ConfigurationSnapshot(
            generation: 0, stores: [], verifiers: [], policy: ConfigPolicy(defaultRule: .any),
            settings: ServiceSettings())
        self.init(key, snapshot, trustGeneration: 0)
    }
}
