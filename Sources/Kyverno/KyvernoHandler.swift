import Concurrency
import HTTPTypes
import Logging
import NIOCore
import OCI
import ProviderServer
import Quotation
import ServiceMetrics
import StrictJSON
import Verification

/// Answers Kyverno: reads the images, asks the service for all of them at once, and says what to deny and how to pin.
struct KyvernoHandler: Sendable {
    let service: any VerificationService
    let metrics: MetricsRegistry
    let logger: Logger
    let maximumImages: Int
    let deadlines: AnswerDeadlines
    private let records: KeyRecords

    init(
        service: any VerificationService, metrics: MetricsRegistry, logger: Logger, maximumImages: Int,
        deadlines: AnswerDeadlines
    ) {
        self.service = service
        self.metrics = metrics
        self.logger = logger
        self.maximumImages = maximumImages
        self.deadlines = deadlines
        records = KeyRecords("kyverno", metrics: metrics, logger: logger)
    }

    /// The most images of one request: Kyverno reads no more than 2 MB of an answer.
    static let mostImages = 250

    /// Answers the request whose body has arrived.
    ///
    /// - Parameters:
    ///   - caller: who asks, for the log.
    ///   - arrival: when the request's head came.
    func answer(
        body: [UInt8], caller: String, arrival: ContinuousClock.Instant, traceID: String, eventLoop: any EventLoop
    ) async -> HTTPAnswer {
        let request: KyvernoRequest
        do { request = try KyvernoRequest(body: body, maximumImages: maximumImages) } catch {
            return refuse(.badRequest, "malformed request", error.description, traceID: traceID)
        }
        let verdicts = await verdicts(request, arrival: arrival, traceID: traceID, eventLoop: eventLoop)
        metrics.observe(
            "countersign_kyverno_request_milliseconds", [], (.now - arrival).milliseconds,
            bounds: MetricsRegistry.verificationBounds,
            help: "Duration of Kyverno's requests in milliseconds.")
        logger.debug(
            "kyverno", metadata: ["trace-id": "\(traceID)", "caller": "\(caller)", "images": "\(verdicts.count)"])
        return HTTPAnswer(
            status: .ok, value: KyvernoHandler.answer(request, verdicts, traceID: traceID), traceID: traceID)
    }

    /// An answer to a request that is not understood or not allowed. Its body denies too, for whoever does not look at
    /// the status.
    func refuse(
        _ status: HTTPResponse.Status, _ kind: String, _ reason: String, traceID: String
    ) -> HTTPAnswer {
        metrics.count(
            "countersign_kyverno_refusals_total", [("reason", kind)],
            help: "Requests of Kyverno's route that were not answered with a verdict.")
        return HTTPAnswer(
            status: status,
            value: [
                "verified": false, "determined": false, "message": .string("Countersign: \(reason)"), "results": [],
                "patches": [], "traceID": .string(traceID),
            ], traceID: traceID,
            // A caller that is known, or is likely to be, is not sent away.
            refusal: Refusal(
                "kyverno", kind, reason, isLast: status != .contentTooLarge && status != .serviceUnavailable))
    }

    // MARK: Verdicts

    /// A verdict for each image, in their order.
    private func verdicts(
        _ request: KyvernoRequest, arrival: ContinuousClock.Instant, traceID: String, eventLoop: any EventLoop
    ) async -> [KyvernoVerdict] {
        var questions: [ImageKey] = []
        var indices: [ImageKey: Int] = [:]
        /// What is known without asking, or which question answers it.
        let parts: [Result<Int, Known>] = request.images.map { image in
            guard image.text != nil else { return .failure(Known(.failed("there is no image"))) }
            let key: ImageKey
            do throws(ImageKeyError) { key = try image.key(namespace: request.namespace) } catch {
                return .failure(Known(.failed(error.description.boundedQuote)))
            }
            guard !request.isSkipped(key.reference) else { return .failure(Known(.skipped)) }
            let index = indices[key] ?? questions.count
            if index == questions.count {
                indices[key] = index
                questions.append(key)
            }
            return .success(index)
        }
        let (deadline, grace) = deadlines.deadline(arrival, timeout: service.settings.verificationTimeout)
        let answers = await FanOut.ask(questions, until: deadline + grace, on: eventLoop) { key in
            await verdict(key, request: request, deadline: deadline)
        }
        let late = KyvernoVerdict.error(deadlines.unanswered(arrival))
        var lines = records.lines(traceID: traceID)
        for (question, timed) in zip(questions, answers) {
            let verdict = timed?.answer ?? late
            lines.add(
                question.description, verdict.keyVerdict, digest: verdict.digest, reason: verdict.reason,
                timed?.duration ?? (.now - arrival))
        }
        lines.write()
        return parts.map { part in
            switch part {
            case .success(let index): answers[index]?.answer ?? late
            case .failure(let known): known.verdict
            }
        }
    }

    /// A verdict that needs no question.
    private struct Known: Error {
        let verdict: KyvernoVerdict

        init(_ verdict: KyvernoVerdict) { self.verdict = verdict }
    }

    private func verdict(
        _ key: ImageKey, request: KyvernoRequest, deadline: ContinuousClock.Instant
    ) async -> KyvernoVerdict {
        let reference = key.reference
        switch await service.verify(key, deadline: deadline) {
        case .refused(let reason): return .failed(reason)
        case .fault(let fault): return .error(fault.description)
        case .decided(let decision):
            var resolved: Digest?
            // A waiver looks at nothing: the digest is resolved for the patch alone.
            if decision.isSuccess, decision.digest == nil, reference.digest == nil, request.mutatesDigest {
                switch await service.mutate(key, deadline: deadline) {
                case .reference(let text): resolved = (try? ImageReference(parsing: text))?.digest
                case .refused(let reason): return .failed(reason)
                case .fault(let fault): return .error(fault.description)
                }
            }
            return request.verdict(on: decision, reference: reference, resolved: resolved)
        }
    }

    // MARK: Answer

    /// The answer of docs/kyverno.md.
    private static func answer(
        _ request: KyvernoRequest, _ verdicts: [KyvernoVerdict], traceID: String
    ) -> JSONValue {
        var results: [JSONValue] = []
        var patches: [JSONValue] = []
        var problems: [String] = []
        for (image, verdict) in zip(request.images, verdicts) {
            let name = image.text ?? "of \(image.type ?? "the request") \"\(image.container ?? "")\""
            let message = verdict.message(String(name.boundedQuote.prefix(1100)))
            var result: JSONObject = [:]
            result["type"] = image.type.map(JSONValue.string)
            result["container"] = image.container.map(JSONValue.string)
            result["image"] = .string(name)
            result["status"] = .string(verdict.status.rawValue)
            result["verified"] = .bool(verdict.status == .verified)
            result["digest"] = verdict.digest.map(JSONValue.string)
            result["reference"] = verdict.pinned.map(JSONValue.string)
            result["message"] = .string(message)
            if verdict.status == .failed || verdict.status == .error {
                result["error"] = .string(verdict.reason ?? "")
                if !problems.contains(message) { problems.append(message) }
            }
            results.append(.object(result))
            if request.mutatesDigest, verdict.status == .verified, let pointer = image.pointer,
                let pinned = verdict.pinned, !name.contains("@")
            {
                patches.append(["op": "replace", "path": .string(pointer), "value": .string(pinned)])
            }
        }
        let isVerified = verdicts.allSatisfy { $0.status == .verified || $0.status == .skipped }
        return [
            "verified": .bool(isVerified), "determined": .bool(!verdicts.contains { $0.status == .error }),
            "message": .string(isVerified ? summary(verdicts) : denial(problems)), "results": .array(results),
            "patches": .array(patches), "traceID": .string(traceID),
        ]
    }

    private static func summary(_ verdicts: [KyvernoVerdict]) -> String {
        let skipped = verdicts.count { $0.status == .skipped }
        let verified = verdicts.count - skipped
        return "\(verified) \(verified == 1 ? "image" : "images") verified"
            + (skipped > 0 ? ", \(skipped) skipped" : "")
    }

    /// Every problem, bounded: it is shown to whoever applies the resource.
    private static func denial(_ problems: [String]) -> String {
        let shown = problems.prefix(5).joined(separator: "; ")
        return problems.count > 5 ? "\(shown); and \(problems.count - 5) more images" : shown
    }
}
