import HTTPTypes
import Logging
import NIOCore
import ServiceLogging
import Verification

extension JSONAnswer {
    /// The answer to a request that cannot be answered key by key. The status is for people and meters: Gatekeeper
    /// does not look at it.
    init(_ error: ProviderRequestError, operation: ExternalDataHandler.Operation?, traceID: String) {
        let status: HTTPResponse.Status =
            switch error.kind {
            case .malformed, .version, .tooManyKeys: .badRequest
            case .tooLarge: .contentTooLarge
            case .route: .notFound
            case .method: .methodNotAllowed
            case .client: .forbidden
            }
        self.init(
            status: status,
            body: ProviderResponseWriter(version: error.version, isIdempotent: operation == .mutate)
                .finish(systemError: "\(error) (trace \(traceID))"),
            traceID: traceID,
            refusal: Refusal(
                operation?.rawValue ?? "none", error.kind.rawValue, error.description,
                isLast: error.kind != .tooLarge && error.kind != .method))
    }

    /// The answer to what is not taken as a request.
    init(_ fault: RequestFault, traceID: String) {
        self.init(
            status: fault.status,
            body: ProviderResponseWriter(version: .v1beta1, isIdempotent: false)
                .finish(systemError: "\(fault.reason) (trace \(traceID))"),
            traceID: traceID, refusal: Refusal("none", fault.kind.rawValue, fault.reason))
    }
}

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
    private let records: KeyRecords
    private let parsed = ParsedKeys()
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
        records = KeyRecords(metrics: metrics, logger: logger)
        metrics.caches.add("keys", of: parsed, maximumBytes: { _ in ParsedKeys.maximumBytes }) { $0.counts }
        // Ratify's instrument names and units (milliseconds), as its dashboards query them.
        verification = metrics.histogram(
            "ratify_verification_request", bounds: ExternalDataHandler.verificationBounds,
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
            let query = MutateQuery(service: service, parsed: parsed, traceID: traceID)
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
        var keys: [VerificationKey] = []
        let known = request.keys.enumerated().map { index, text -> FanOut<Query.Answer>.Timed? in
            switch query.read(text) {
            case .answered(let answer): return FanOut.Timed(answer: answer, duration: .now - start)
            case .open(let key):
                missing.append(index)
                keys.append(key)
                return nil
            }
        }
        guard !missing.isEmpty else {
            return .now(write(known, to: request, query, arrival: arrival, traceID: traceID))
        }
        let (deadline, grace) = deadlines.deadline(arrival, timeout: query.timeout)
        return .later { [self, missing, keys] in
            let found = await FanOut.ask(keys, until: deadline + grace, on: eventLoop) {
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
    ) -> JSONAnswer {
        let timestamp = Timestamp.now()
        let operation = query.operation
        var writer = ProviderResponseWriter(
            version: request.version, isIdempotent: operation == .mutate,
            capacity: 256 + Query.bytesPerKey * request.keys.count)
        var faults = PassingFaults(asked: request.keys.count)
        var lines = records.lines(operation == .verify ? .verify : .mutate, traceID: traceID, time: timestamp)
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
        let answer = JSONAnswer(
            status: .ok, body: writer.finish(systemError: systemError(faults, traceID: traceID)), traceID: traceID)
        (operation == .verify ? verification : mutation).observe((.now - arrival).milliseconds)
        return answer
    }

    /// A complete answer to a request that cannot be answered key by key, counted.
    func refuse(_ error: ProviderRequestError, operation: Operation?, traceID: String) -> JSONAnswer {
        countSystemError(error.kind.rawValue)
        return JSONAnswer(error, operation: operation, traceID: traceID)
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

/// When answers must be there.
struct AnswerDeadlines: Sendable {
    /// How much of a timeout is kept for writing the answer.
    let margin: Duration

    /// When the answers must be there, so that the rest of the timeout is enough to write them, and how much longer the
    /// service is waited for, which says what was slow better than we can. The margin is never more than a fifth of a
    /// short timeout.
    func deadline(
        _ arrival: ContinuousClock.Instant, timeout: Duration
    ) -> (deadline: ContinuousClock.Instant, grace: Duration) {
        let margin = min(margin, timeout / 5)
        return (arrival + timeout - margin, margin / 2)
    }

    /// What is said of a key whose answer did not come.
    func unanswered(_ arrival: ContinuousClock.Instant) -> String {
        "waiting for a verdict: no answer within \(Int64((.now - arrival).milliseconds)) ms"
    }
}

/// The keys of a request that could not be decided now. They are named in `systemError`, which Gatekeeper never
/// stores, and have no item, which it would store.
struct PassingFaults: Sendable {
    /// How many keys were asked for.
    let asked: Int
    private var faults: [(key: String, cause: String)] = []
    /// Whether one of them may be gone in a moment.
    private var mayPass = false

    init(asked: Int) { self.asked = asked }

    mutating func add(_ key: String, _ cause: String, isConfiguration: Bool = false) {
        faults.append((key, cause))
        if !isConfiguration { mayPass = true }
    }

    /// Every key with its stage, host and cause; `nil` when there was no fault.
    var text: String? {
        guard !faults.isEmpty else { return nil }
        var text = "\(faults.count) of \(asked) \(asked == 1 ? "key" : "keys") could not be decided"
        text += mayPass ? ", ask again: " : " until this is mended: "
        for (index, fault) in faults.enumerated() {
            if index > 0 { text += "; " }
            // The key whole: it must be found in the text. The cause bounded: it may quote a registry's answer.
            text += "\"\(fault.key)\": \(fault.cause.prefix(1000))"
        }
        return text
    }
}

extension Duration {
    /// The duration in milliseconds.
    var milliseconds: Double {
        let (seconds, attoseconds) = components
        return Double(seconds) * 1000 + Double(attoseconds) / 1e15
    }
}
