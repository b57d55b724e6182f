import HTTP
import ServiceMetrics

/// A client that observes how long each host takes, as a stage of verifications.
struct TimedHTTP: HTTPSending {
    private let http: any HTTPSending
    private let stage: WorkStage
    private let metrics: MetricsRegistry

    init(_ http: any HTTPSending, _ stage: WorkStage, _ metrics: MetricsRegistry) {
        (self.http, self.stage, self.metrics) = (http, stage, metrics)
    }

    func send(_ request: HTTPRequest) async throws(HTTPError) -> HTTPResponse {
        let start = ContinuousClock.now
        defer {
            let host = (try? request.parsedURL())?.authority ?? "none"
            metrics.observe(stage, at: host, start.duration(to: .now))
        }
        return try await http.send(request)
    }

    func limit(of host: String) -> String? { http.limit(of: host) }
}
