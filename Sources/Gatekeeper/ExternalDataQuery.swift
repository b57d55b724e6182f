import ProviderServer
import Quotation
import ServiceMetrics
import Verification

/// One of the two things that Gatekeeper asks of keys, as far as they differ.
protocol ExternalDataQuery: Sendable {
    associatedtype Answer: Sendable

    var operation: ExternalDataHandler.Operation { get }
    /// How long Gatekeeper waits for the answer.
    var timeout: Duration { get }
    /// How many bytes there are room for in the answer for each key before it is written.
    static var bytesPerKey: Int { get }

    /// Reads a key, without waiting.
    func read(_ text: String) -> FirstLook<Answer>
    /// Waits for an answer that is not at hand.
    func ask(_ question: PendingQuestion, deadline: ContinuousClock.Instant) async -> Answer
    /// What the answer to a key means; writes its item where the key has a value.
    func write(
        _ answer: Answer, to key: String, timestamp: String, in writer: inout ProviderResponseWriter
    ) -> ExternalDataOutcome
}

/// What is told of a key, besides its value.
enum ExternalDataOutcome {
    /// Its item is written.
    case value(KeyVerdict, digest: String?, reason: String?)
    /// A definite error.
    case refused(String)
    /// Not known now.
    case fault(TransientFault)
}

/// Whether images are signed.
struct VerifyQuery: ExternalDataQuery {
    let service: any VerificationService
    let parsed: ImageKeyCache
    let metrics: MetricsRegistry
    let traceID: String

    static let bytesPerKey = 1280
    var operation: ExternalDataHandler.Operation { .verify }
    var timeout: Duration { service.settings.verificationTimeout }

    /// The policy may have put a namespace in front of the key.
    func read(_ text: String) -> FirstLook<KeyAnswer> {
        do { return service.verdictAtHand(try parsed.key(text)) } catch {
            let answer = KeyAnswer.refused(error.description.boundedQuote)
            metrics.count(answer)
            return .answered(answer)
        }
    }

    func ask(_ question: PendingQuestion, deadline: ContinuousClock.Instant) async -> KeyAnswer {
        await service.verify(question, deadline: deadline)
    }

    func write(
        _ answer: KeyAnswer, to key: String, timestamp: String, in writer: inout ProviderResponseWriter
    ) -> ExternalDataOutcome {
        switch answer {
        case .decided(let decision):
            writer.item(key: key) { decision.writeValue(traceID: traceID, timestamp: timestamp, to: &$0) }
            return .value(
                decision.isSuccess ? .pass : .fail, digest: decision.digest?.description, reason: decision.reason)
        case .refused(let reason): return .refused(reason)
        case .fault(let fault): return .fault(fault)
        }
    }
}

/// Which digests images have.
struct MutateQuery: ExternalDataQuery {
    let service: any VerificationService
    let parsed: ImageKeyCache

    static let bytesPerKey = 512
    var operation: ExternalDataHandler.Operation { .mutate }
    var timeout: Duration { service.settings.mutationTimeout }

    /// Gatekeeper's mutation sends the image as the pod has it, and nothing else: what a pod's author wrote in front of
    /// it chooses nobody's configuration. The answer would not even show it.
    func read(_ text: String) -> FirstLook<MutationAnswer> {
        do { return service.referenceAtHand(try parsed.image(text)) } catch {
            return .answered(.refused(error.description.boundedQuote))
        }
    }

    func ask(_ question: PendingQuestion, deadline: ContinuousClock.Instant) async -> MutationAnswer {
        await service.mutate(question, deadline: deadline)
    }

    func write(
        _ answer: MutationAnswer, to key: String, timestamp: String, in writer: inout ProviderResponseWriter
    ) -> ExternalDataOutcome {
        switch answer {
        case .reference(let reference):
            writer.item(key: key, value: reference)
            return .value(.pass, digest: reference, reason: nil)
        case .refused(let reason): return .refused(reason)
        case .fault(let fault): return .fault(fault)
        }
    }
}
