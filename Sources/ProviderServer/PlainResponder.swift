import HTTPTypes
import NIOCore
import NIOHTTP1
import ServiceMetrics
import Synchronization
import Verification

/// Whether requests are answered now, and will be in a moment.
final class ServingState: Sendable {
    enum Phase: Sendable { case starting, listening, stopping }

    private let phase = Mutex(Phase.starting)
    private let certificates: CertificateReloader?
    private let service: @Sendable () async -> String?

    /// - Parameter service: why the service behind the provider is not ready; `nil` when it is.
    init(certificates: CertificateReloader?, service: @escaping @Sendable () async -> String?) {
        self.certificates = certificates
        self.service = service
    }

    func listening() { phase.withLock { if $0 == .starting { $0 = .listening } } }
    func stopping() { phase.withLock { $0 = .stopping } }

    /// Why they are not; `nil` when they are.
    var notReadyReason: String? {
        get async {
            switch phase.withLock({ $0 }) {
            case .starting: "the provider does not listen yet"
            case .stopping: "the provider is stopping"
            case .listening:
                if let missing = certificates?.missing { missing } else { await service() }
            }
        }
    }
}

/// Answers `GET` and `HEAD` of a few paths with short texts: health and metrics, on plain HTTP.
struct PlainResponder: ProviderResponder {
    /// What is at a path.
    struct Page: Sendable {
        var status: HTTPResponse.Status = .ok
        var form = HTTPAnswer.Form.text
        var text: String
    }

    /// What is asked for here, for the log.
    private let name: String
    private let pages: [String: @Sendable () async -> Page]

    /// `/healthz` says that the process answers, `/readyz` that it can serve.
    init(health state: ServingState) {
        name = "health"
        pages = [
            "/healthz": { Page(text: "ok\n") },
            "/readyz": {
                if let reason = await state.notReadyReason {
                    Page(status: .serviceUnavailable, text: "not ready: \(reason)\n")
                } else {
                    Page(text: "ok\n")
                }
            },
        ]
    }

    /// `/metrics` in the Prometheus text format.
    init(metrics: MetricsRegistry) {
        name = "metrics"
        pages = ["/metrics": { Page(form: .metrics, text: metrics.render()) }]
    }

    func receive(_ head: HTTPRequestHead, on channel: any Channel) -> RequestDisposition {
        let traceID = TraceID.generated()
        let path = head.path
        guard let make = pages[path] else {
            return .answer(
                refuse(
                    .notFound, "unknown route",
                    "not found: expected \(pages.keys.sorted().joined(separator: " or "))", traceID: traceID))
        }
        guard head.method == .GET || head.method == .HEAD else {
            return .answer(refuse(.methodNotAllowed, "method not allowed", "expected GET", traceID: traceID))
        }
        // Not on the event loop, which has connections to serve: there may be many metrics.
        return .admission {
            let page = await make()
            return .answer(
                HTTPAnswer(status: page.status, body: Array(page.text.utf8), form: page.form, traceID: traceID))
        }
    }

    func refuse(_ fault: RequestFault, traceID: String) -> HTTPAnswer {
        refuse(fault.status, fault.kind.rawValue, fault.reason, traceID: traceID)
    }

    private func refuse(
        _ status: HTTPResponse.Status, _ kind: String, _ reason: String, traceID: String
    ) -> HTTPAnswer {
        HTTPAnswer(
            status: status, body: Array("\(reason)\n".utf8), form: .text, traceID: traceID,
            refusal: Refusal(name, kind, reason))
    }
}
