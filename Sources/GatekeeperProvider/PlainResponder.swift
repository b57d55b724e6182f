import HTTPTypes
import HummingbirdCore
import Logging
import NIOCore
import Synchronization
import Verification

/// Whether the provider itself is up, apart from the service's own readiness.
final class ServingState: Sendable {
    enum Phase: Sendable { case starting, listening, stopping }

    private let phase = Mutex(Phase.starting)
    private let certificates: CertificateReloader?

    init(certificates: CertificateReloader?) { self.certificates = certificates }

    func listening() { phase.withLock { if $0 == .starting { $0 = .listening } } }
    func stopping() { phase.withLock { $0 = .stopping } }

    /// Whether requests are answered now, and will be in a moment.
    func readiness(of service: any VerificationService) async -> Readiness {
        switch phase.withLock({ $0 }) {
        case .starting: .notReady("the provider does not listen yet")
        case .stopping: .notReady("the provider is stopping")
        case .listening:
            if let missing = certificates?.missing { .notReady(missing) } else { await service.readiness }
        }
    }
}

/// Answers `GET` and `HEAD` of a few paths with short texts: health and metrics, on plain HTTP.
struct PlainResponder: Sendable {
    /// What is at a path.
    struct Page: Sendable {
        var status: HTTPResponse.Status = .ok
        var contentType = "text/plain; charset=utf-8"
        var text: String
    }

    private let pages: [String: @Sendable () async -> Page]

    /// `/healthz` says that the process answers, `/readyz` that it can serve.
    init(healthOf service: any VerificationService, state: ServingState) {
        pages = [
            "/healthz": { Page(text: "ok\n") },
            "/readyz": {
                switch await state.readiness(of: service) {
                case .ready: Page(text: "ok\n")
                case .notReady(let reason): Page(status: .serviceUnavailable, text: "not ready: \(reason)\n")
                }
            },
        ]
    }

    /// `/metrics` in the Prometheus text format.
    init(metrics: MetricsRegistry) {
        pages = ["/metrics": { Page(contentType: "text/plain; version=0.0.4; charset=utf-8", text: metrics.render()) }]
    }

    /// Answers one request.
    func respond(_ request: Request, _ writer: consuming ResponseWriter, _ channel: any Channel) async throws {
        var page: Page
        var headers = HTTPFields()
        if let make = pages[request.uri.path] {
            if request.method == .get || request.method == .head {
                page = await make()
            } else {
                page = Page(status: .methodNotAllowed, text: "expected GET\n")
                headers[.allow] = "GET, HEAD"
            }
        } else {
            page = Page(
                status: .notFound, text: "not found: expected \(pages.keys.sorted().joined(separator: " or "))\n")
        }
        headers[.contentType] = page.contentType
        headers[.contentLength] = String(page.text.utf8.count)
        if request.isLastOfConnection { headers[.connection] = "close" }
        try await writer.write(
            response: HTTPResponse(status: page.status, headerFields: headers),
            body: request.method == .head ? ResponseBody() : ResponseBody(byteBuffer: ByteBuffer(string: page.text)))
    }
}

extension Request {
    /// Whether the client wants the connection closed after the answer; Hummingbird does so.
    fileprivate var isLastOfConnection: Bool { headers[.connection]?.lowercased() == "close" }
}
