/// The answer to one key of a verify request.
package enum KeyAnswer: Sendable {
    /// A verdict, for or against.
    case decided(Decision)
    /// A definite error: the key is not an image reference, for instance. It will not change by asking again.
    case refused(String)
    /// Not known now; ask again.
    case fault(PassingFault)
}

extension MetricsRegistry {
    /// Counts an answer to verify.
    package func count(_ answer: KeyAnswer) {
        let (verdict, reason) =
            switch answer {
            case .decided(let decision): (decision.isSuccess ? "pass" : "fail", decision.reasonClass)
            case .refused: ("refused", "reference")
            case .fault(let fault): ("fault", fault.stageName)
            }
        count("countersign_verdicts_total", [("verdict", verdict), ("reason", reason)], help: KeyAnswer.countHelp)
    }
}

extension KeyAnswer {
    static let countHelp = "Answers to verify, by verdict and what it rests on."
}

/// The answer to one key of a mutate request.
package enum MutationAnswer: Sendable {
    /// The reference to use instead: `registry/repository@digest`.
    case reference(String)
    /// A definite error: the key is not an image reference, or there is no such image.
    case refused(String)
    /// Not known now; ask again.
    case fault(PassingFault)
}

/// Whether the service can serve.
package enum Readiness: Sendable, Equatable {
    case ready
    /// Not yet, or no longer, and why.
    case notReady(String)

    /// Why it cannot; `nil` when it can.
    package var notReadyReason: String? {
        if case .notReady(let reason) = self { reason } else { nil }
    }
}

/// What the provider needs to know of the configuration in force.
package struct ServiceSettings: Sendable, Equatable {
    /// How long a verify request may take from its arrival; Ratify's default is 2.9 s.
    package var verificationTimeout: Duration
    /// How long a mutate request may take from its arrival; Ratify's default is 0.95 s.
    package var mutationTimeout: Duration
    /// Request headers that may carry a trace id, the first one present wins.
    package var traceIDHeaderNames: [String]
    /// How many images are worked on at once.
    package var limits: ConcurrencyLimiter.Limits
    /// How many bytes of answers of registries and others may be in memory at once.
    package var maximumDownloadBytes = 64 << 20
    /// How long a verification may stand in for one that a fault prevents; zero: not at all.
    package var staleIfError: Duration
    /// Whether images that run in the cluster are verified before anybody asks.
    package var prewarming: PrewarmingSettings

    /// Settings, by default those of Ratify.
    package init(
        verificationTimeout: Duration = .milliseconds(2900), mutationTimeout: Duration = .milliseconds(950),
        traceIDHeaderNames: [String] = [], limits: ConcurrencyLimiter.Limits = ConcurrencyLimiter.Limits(),
        staleIfError: Duration = .zero, prewarming: PrewarmingSettings = PrewarmingSettings()
    ) {
        self.verificationTimeout = verificationTimeout
        self.mutationTimeout = mutationTimeout
        self.traceIDHeaderNames = traceIDHeaderNames
        self.limits = limits
        self.staleIfError = staleIfError
        self.prewarming = prewarming
    }
}

/// What the provider asks: is this image trusted, and what is its digest.
///
/// Both calls answer by the deadline with what is known, and stop early when their task is cancelled.
package protocol VerificationService: Sendable {
    /// The verdict on an image.
    func verify(_ key: VerificationKey, traceID: String, deadline: ContinuousClock.Instant) async -> KeyAnswer

    /// The answer to the same question where it is at hand: known from memory, without work and without waiting. `nil`
    /// says nothing but that ``verify(_:traceID:deadline:)`` is to be asked.
    func verdictAtHand(_ key: VerificationKey) -> KeyAnswer?

    /// The answer to ``mutate(_:traceID:deadline:)`` where it is at hand.
    func referenceAtHand(_ key: VerificationKey) -> MutationAnswer?

    /// The digest form of an image's reference; one that has a digest comes back unchanged, without asking a registry.
    func mutate(_ key: VerificationKey, traceID: String, deadline: ContinuousClock.Instant) async -> MutationAnswer

    /// Whether configuration and trust stores are loaded.
    var readiness: Readiness { get async }

    /// Settings of the configuration in force.
    var settings: ServiceSettings { get }
}

extension VerificationService {
    /// Nothing is at hand.
    package func verdictAtHand(_ key: VerificationKey) -> KeyAnswer? { nil }

    /// Nothing is at hand.
    package func referenceAtHand(_ key: VerificationKey) -> MutationAnswer? { nil }
}
