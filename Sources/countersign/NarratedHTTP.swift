import HTTP

/// A client that tells on standard error what it asks and what comes back: `--verbose` and `--debug`.
///
/// Neither headers that are sent nor queries are shown: they hold credentials, and queries of storage do too.
struct NarratedHTTP: HTTPSending {
    private let http: any HTTPSending
    /// Whether what answers say of themselves is shown too.
    private let tellsHeaders: Bool

    private static let headers = [
        "Content-Type", "Content-Length", "Docker-Content-Digest", "OCI-Filters-Applied", "Retry-After",
    ]

    init(_ http: any HTTPSending, tellsHeaders: Bool) {
        self.http = http
        self.tellsHeaders = tellsHeaders
    }

    func send(_ request: HTTPRequest) async throws(HTTPError) -> HTTPResponse {
        let start = ContinuousClock.now
        func tell(_ outcome: String) {
            let address = Self.address(request.url)
            let time = start.duration(to: .now) / .milliseconds(1)
            Terminal.complain("\(request.method.rawValue) \(address): \(outcome), \(Int(time.rounded())) ms")
        }
        do {
            let response = try await http.send(request)
            var outcome = "\(response.status)"
            // Where a redirect led to.
            let place = Self.address(response.url)
            if place != Self.address(request.url) { outcome += " from \(place)" }
            if tellsHeaders {
                for name in Self.headers {
                    if let value = response.headers[name] { outcome += ", \(name) \(response.sent.quote(value))" }
                }
            }
            tell(outcome)
            return response
        } catch {
            tell("\(error)")
            throw error
        }
    }

    func limit(of host: String) -> String? { http.limit(of: host) }

    private static func address(_ url: String) -> String {
        String(url.prefix { $0 != "?" && $0 != "#" }.prefix(300))
    }
}
