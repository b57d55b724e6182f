import Concurrency
import HTTPTypes
import Logging
import NIOCore
import ProviderServer
import ServiceLogging
import ServiceMetrics
import Verification

/// Answers verify and mutate requests: reads the keys, asks the service for all of them at once, and writes what is
/// known by the deadline.
package final class ExternalDataHandler: Sendable {
    /// The two things that Gatekeeper asks.
    package enum Operation: String, Sendable {
        case verify, mutate
    }

    let service: any VerificationService
    let metrics: MetricsRegistry
    let logger: Logger
    let maximumKeys: Int
    let deadlines: AnswerDeadlines
    private let verifyRecords: KeyRecords
    private let mutateRecords: KeyRecords
    private let parsed = ImageKeyCache()
    private let verification: MetricHistogram
    private let mutation: MetricHistogram

    init(
        service: any VerificationService, metrics: MetricsRegistry, logger: Logger, maximumKeys: Int,
        deadlines: AnswerDeadlines
    ) {
        self.service = service
        self.metrics = metrics
        self.logger = logger
        self.maximumKeys = maximumKeys
        self.deadlines = deadlines
        verifyRecords = KeyRecords(Operation.verify.rawValue, metrics: metrics, logger: logger)
        mutateRecords = KeyRecords(Operation.mutate.rawValue, metrics: metrics, logger: logger)
        metrics.caches.add("keys", of: parsed, maximumBytes: { _ in ImageKeyCache.maximumBytes }) { $0.counts }
        // Ratify's instrument names and units (milliseconds), as its dashboards query them.
        verification = metrics.histogram(
            "ratify_verification_request", bounds: MetricsRegistry.verificationBounds,
            help: "Duration of verify requests in milliseconds.")
        mutation = metrics.histogram(
            "ratify_mutation_request", bounds: ExternalDataHandler.mutationBounds,
            help: "Duration of mutate requests in milliseconds.")
    }

    /// Answers the request whose body has arrived; without waiting where every key's answer is at hand.
    ///
    /// - Parameter arrival: when the request's head came: the time that the body took counts.
    func begin(
        _ operation: Operation, body: [UInt8], arrival: ContinuousClock.Instant, traceID: String,
        eventLoop: any EventLoop
    ) -> ResponseAction {
        let request: ProviderRequest
        do { request = try ProviderRequest(body: body, maximumKeys: maximumKeys) } catch {
            return .now(refuse(error, operation: operation, traceID: traceID))
        }
        switch operation {
        case .verify:
            let query = VerifyQuery(service: service, parsed: parsed, metrics: metrics, traceID: traceID)
            return answer(request, query, arrival: arrival, traceID: traceID, eventLoop)
        case .mutate:
            let query = MutateQuery(service: service, parsed: parsed)
            return answer(request, query, arrival: arrival, traceID: traceID, eventLoop)
        }
    }

    /// The answers to all keys, at once where they are at hand; the others are asked for, all at the same time.
    private func answer<Query: ExternalDataQuery>(
        _ request: ProviderRequest, _ query: Query, arrival: ContinuousClock.Instant, traceID: String,
        _ eventLoop: any EventLoop
    ) -> ResponseAction {
        let start = ContinuousClock.now
        var missing: [Int] = []
        var questions: [PendingQuestion] = []
        let known = request.keys.enumerated().map { index, text -> FanOut<Query.Answer>.Timed? in
            switch query.read(text) {
            case .answered(let answer): return FanOut.Timed(answer: answer, duration: .now - start)
            case .pending(let question):
                missing.append(index)
                questions.append(question)
                return nil
            }
        }
        guard !missing.isEmpty else {
            return .now(write(known, to: request, query, arrival: arrival, traceID: traceID))
        }
        let (deadline, grace) = deadlines.deadline(arrival, timeout: query.timeout)
        return .later { [self, missing, questions] in
            let found = await FanOut.ask(questions, until: deadline + grace, on: eventLoop) {
                await query.ask($0, deadline: deadline)
            }
            var answers = known
            for (index, answer) in zip(missing, found) { answers[index] = answer }
            return write(answers, to: request, query, arrival: arrival, traceID: traceID)
        }
    }

    /// Writes the answers to the keys of a request, in their order.
    private func write<Query: ExternalDataQuery>(
        _ answers: [FanOut<Query.Answer>.Timed?], to request: ProviderRequest, _ query: Query,
        arrival: ContinuousClock.Instant, traceID: String
    ) -> HTTPAnswer {
        let timestamp = Timestamp.now()
        let operation = query.operation
        var writer = ProviderResponseWriter(
            version: request.version, isIdempotent: operation == .mutate,
            capacity: 256 + Query.bytesPerKey * request.keys.count)
        var faults = PassingFaults(asked: request.keys.count)
        var lines = (operation == .verify ? verifyRecords : mutateRecords).lines(traceID: traceID, time: timestamp)
        for (key, timed) in zip(request.keys, answers) {
            guard let timed else {
                let reason = deadlines.unanswered(arrival)
                faults.add(key, reason)
                lines.add(key, .fault, reason: reason, .now - arrival)
                continue
            }
            switch query.write(timed.answer, to: key, timestamp: timestamp, in: &writer) {
            case .value(let verdict, let digest, let reason):
                lines.add(key, verdict, digest: digest, reason: reason, timed.duration)
            case .refused(let reason):
                // Ratify sends a key to mutate as the value beside the error. Gatekeeper looks at the error first, so
                // the value is of no use to it; without one, no reader can take the tag for its digest.
                writer.item(key: key, error: reason)
                lines.add(key, .refused, reason: reason, timed.duration)
            case .fault(let fault):
                faults.add(key, fault.description, isConfiguration: fault.isConfiguration)
                lines.add(key, .fault, reason: fault.description, timed.duration)
            }
        }
        lines.write()
        let answer = HTTPAnswer(
            status: .ok, body: writer.finish(systemError: systemError(faults, traceID: traceID)), traceID: traceID)
        (operation == .verify ? verification : mutation).observe((.now - arrival).milliseconds)
        return answer
    }

    /// A complete answer to a request that cannot be answered key by key, counted.
    func refuse(_ error: ProviderRequestError, operation: Operation?, traceID: String) -> HTTPAnswer {
        countSystemError(error.kind.rawValue)
        return HTTPAnswer(error, operation: operation, traceID: traceID)
    }

    // MARK: Faults

    private func systemError(_ faults: PassingFaults, traceID: String) -> String? {
        guard let text = faults.text else { return nil }
        countSystemError("passing fault")
        return "\(text) (trace \(traceID))"
    }

    private func countSystemError(_ kind: String) {
        metrics.count(
            "ratify_system_error_count", [("error", kind)], help: "Answers with a system error, by its kind.")
    }
}

extension ExternalDataHandler {
    /// Buckets of Ratify's mutation histogram, in milliseconds.
    private static let mutationBounds: [Double] = [
        0, 10, 30, 50, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1000, 1100, 1200, 1400, 1600, 1800,
    ]
}
