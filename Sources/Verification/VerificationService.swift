import ConfigurationModel
import ServiceMetrics

/// The answer to one key of a verify request.
package enum KeyAnswer: Sendable {
    /// A verdict, for or against.
    case decided(Decision)
    /// A definite error: the key is not an image reference, for instance. It will not change by asking again.
    case refused(String)
    /// Not known now; ask again.
    case fault(TransientFault)
}

extension MetricsRegistry {
    /// Counts an answer to verify.
    package func count(_ answer: KeyAnswer) {
        let (verdict, reason) =
            switch answer {
            case .decided(let decision):
                decision.failureClass.map { ("fail", $0.label) } ?? ("pass", decision.isStale ? "stale" : "verified")
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
    case fault(TransientFault)
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

/// What the provider asks: is this image trusted, and what is its digest.
///
/// A question takes two steps: the first look, without waiting, and what it left pending, which a task waits for. Both
/// waits answer by the deadline with what is known, and stop early when their task is cancelled.
package protocol VerificationService: Sendable {
    /// The verdict on an image where it is at hand: known from memory, without work and without waiting. Else the
    /// question for ``verify(_:deadline:)-(PendingQuestion,_)``.
    func verdictAtHand(_ key: ImageKey) -> FirstLook<KeyAnswer>

    /// The verdict that the first look did not find.
    func verify(_ question: PendingQuestion, deadline: ContinuousClock.Instant) async -> KeyAnswer

    /// The digest form of an image's reference where it is at hand: one that has a digest comes back unchanged, without
    /// asking a registry. Else the question for ``mutate(_:deadline:)-(PendingQuestion,_)``.
    func referenceAtHand(_ key: ImageKey) -> FirstLook<MutationAnswer>

    /// The reference that the first look did not find.
    func mutate(_ question: PendingQuestion, deadline: ContinuousClock.Instant) async -> MutationAnswer

    /// Whether configuration and trust stores are loaded.
    var readiness: Readiness { get async }

    /// Settings of the configuration in force.
    var settings: ServiceSettings { get }
}

extension VerificationService {
    /// Both steps, for whoever waits in any case.
    package func verify(_ key: ImageKey, deadline: ContinuousClock.Instant) async -> KeyAnswer {
        switch verdictAtHand(key) {
        case .answered(let answer): answer
        case .pending(let question): await verify(question, deadline: deadline)
        }
    }

    /// Both steps, for whoever waits in any case.
    package func mutate(_ key: ImageKey, deadline: ContinuousClock.Instant) async -> MutationAnswer {
        switch referenceAtHand(key) {
        case .answered(let answer): answer
        case .pending(let question): await mutate(question, deadline: deadline)
        }
    }
}
