import HTTPTypes
import Logging
import NIOCore
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
            }
        self.init(
            status: status,
            body: ProviderResponseWriter(version: error.version, isIdempotent: operation == .mutate)
                .finish(systemError: "\(error) (trace \(traceID))"))
    }
}

/// Answers verify and mutate requests: reads the keys, asks the service for all of them at once, and writes what is
/// known by the deadline.
package struct ExternalDataHandler: Sendable {
    /// The two things that Gatekeeper asks.
    package enum Operation: String, Sendable {
        case verify, mutate
    }

    let service: any VerificationService
    let metrics: MetricsRegistry
    let logger: Logger
    let maximumKeys: Int
    let deadlines: AnswerDeadlines

    /// Answers the request whose body has arrived.
    ///
    /// - Parameter arrival: when the request's head came: the time that the body took counts.
    func answer(
        _ operation: Operation, body: [UInt8], arrival: ContinuousClock.Instant, traceID: String,
        eventLoop: any EventLoop
    ) async -> JSONAnswer {
        let request: ProviderRequest
        do { request = try ProviderRequest(body: body, maximumKeys: maximumKeys) } catch {
            return refuse(error, operation: operation, traceID: traceID)
        }
        let answer =
            switch operation {
            case .verify: await verify(request, arrival: arrival, traceID: traceID, eventLoop: eventLoop)
            case .mutate: await mutate(request, arrival: arrival, traceID: traceID, eventLoop: eventLoop)
            }
        // Ratify's instrument names and units (milliseconds), as its dashboards query them.
        let elapsed = (.now - arrival).milliseconds
        switch operation {
        case .verify:
            metrics.observe(
                "ratify_verification_request", [], elapsed, bounds: ExternalDataHandler.verificationBounds,
                help: "Duration of verify requests in milliseconds.")
        case .mutate:
            metrics.observe(
                "ratify_mutation_request", [], elapsed, bounds: ExternalDataHandler.mutationBounds,
                help: "Duration of mutate requests in milliseconds.")
        }
        return answer
    }

    /// A complete answer to a request that cannot be answered key by key, logged and counted.
    func refuse(_ error: ProviderRequestError, operation: Operation?, traceID: String) -> JSONAnswer {
        countSystemError(error.kind.rawValue)
        logger.warning(
            "request refused",
            metadata: [
                "operation": "\(operation?.rawValue ?? "none")", "trace-id": "\(traceID)", "reason": "\(error)",
            ])
        return JSONAnswer(error, operation: operation, traceID: traceID)
    }

    // MARK: Verify

    private func verify(
        _ request: ProviderRequest, arrival: ContinuousClock.Instant, traceID: String, eventLoop: any EventLoop
    ) async -> JSONAnswer {
        let (deadline, patience) = deadlines.deadline(arrival, timeout: service.settings.verificationTimeout)
        let answers = await Gathering.ask(request.keys, until: deadline + patience, on: eventLoop) { [service] key in
            await service.verify(key: key, traceID: traceID, deadline: deadline)
        }
        let timestamp = Timestamp.now()
        var writer = ProviderResponseWriter(
            version: request.version, isIdempotent: false, capacity: 256 + 1024 * request.keys.count)
        var faults = PassingFaults(asked: request.keys.count)
        for (key, timed) in zip(request.keys, answers) {
            switch timed?.answer {
            case .decided(let decision):
                writer.item(key: key) { decision.writeValue(traceID: traceID, timestamp: timestamp, to: &$0) }
                record(
                    .verify, key: key, verdict: decision.isSuccess ? .pass : .fail,
                    digest: decision.digest?.description,
                    reason: decision.reason, duration: timed?.duration, traceID: traceID)
            case .refused(let reason):
                writer.item(key: key, error: reason)
                record(
                    .verify, key: key, verdict: .refused, reason: reason, duration: timed?.duration, traceID: traceID)
            case .fault(let fault):
                faults.add(key, fault.description)
                record(
                    .verify, key: key, verdict: .fault, reason: fault.description, duration: timed?.duration,
                    traceID: traceID)
            case nil:
                let reason = deadlines.unanswered(arrival)
                faults.add(key, reason)
                record(.verify, key: key, verdict: .fault, reason: reason, duration: .now - arrival, traceID: traceID)
            }
        }
        return JSONAnswer(status: .ok, body: writer.finish(systemError: systemError(faults, traceID: traceID)))
    }

    // MARK: Mutate

    private func mutate(
        _ request: ProviderRequest, arrival: ContinuousClock.Instant, traceID: String, eventLoop: any EventLoop
    ) async -> JSONAnswer {
        let (deadline, patience) = deadlines.deadline(arrival, timeout: service.settings.mutationTimeout)
        let answers = await Gathering.ask(request.keys, until: deadline + patience, on: eventLoop) { [service] key in
            await service.mutate(key: key, traceID: traceID, deadline: deadline)
        }
        var writer = ProviderResponseWriter(
            version: request.version, isIdempotent: true, capacity: 256 + 512 * request.keys.count)
        var faults = PassingFaults(asked: request.keys.count)
        for (key, timed) in zip(request.keys, answers) {
            switch timed?.answer {
            case .reference(let reference):
                writer.item(key: key, value: reference)
                record(
                    .mutate, key: key, verdict: .pass, digest: reference, reason: nil, duration: timed?.duration,
                    traceID: traceID)
            case .refused(let reason):
                // Ratify sends the key as the value beside the error. Gatekeeper looks at the error first, so the
                // value is of no use to it; without one, no reader can take the tag for its digest.
                writer.item(key: key, error: reason)
                record(
                    .mutate, key: key, verdict: .refused, reason: reason, duration: timed?.duration, traceID: traceID)
            case .fault(let fault):
                faults.add(key, fault.description)
                record(
                    .mutate, key: key, verdict: .fault, reason: fault.description, duration: timed?.duration,
                    traceID: traceID)
            case nil:
                let reason = deadlines.unanswered(arrival)
                faults.add(key, reason)
                record(.mutate, key: key, verdict: .fault, reason: reason, duration: .now - arrival, traceID: traceID)
            }
        }
        return JSONAnswer(status: .ok, body: writer.finish(systemError: systemError(faults, traceID: traceID)))
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
    ) -> (deadline: ContinuousClock.Instant, patience: Duration) {
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

    init(asked: Int) { self.asked = asked }

    mutating func add(_ key: String, _ cause: String) { faults.append((key, cause)) }

    /// Every key with its stage, host and cause; `nil` when there was no fault.
    var text: String? {
        guard !faults.isEmpty else { return nil }
        var text = "\(faults.count) of \(asked) \(asked == 1 ? "key" : "keys") could not be decided, ask again: "
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
