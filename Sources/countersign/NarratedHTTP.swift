import HTTP
import Quotation
import Synchronization

/// A client that tells on standard error what it asks and what comes back: `--verbose` and `--debug`.
///
/// Neither headers that are sent nor queries are shown: they hold credentials, and queries of storage do too. Where an
/// answer chose what is asked next, a page or a redirect, its path may repeat them as well.
final class NarratedHTTP: HTTPSending {
    private let http: any HTTPSending
    /// Whether what answers say of themselves is shown too.
    private let tellsHeaders: Bool
    /// What was sent so far: the newest, each of which holds what its request sent.
    private let sent = Mutex<[SentSecrets]>([])
    private static let maximumSent = 200

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
            let address = shown(Self.address(request.url))
            let time = start.duration(to: .now) / .milliseconds(1)
            Terminal.complain("\(request.method.rawValue) \(address): \(outcome), \(Int(time.rounded())) ms")
        }
        do {
            let response = try await http.send(request)
            sent.withLock { sent in
                if sent.count >= Self.maximumSent { sent.removeFirst() }
                sent.append(response.sent)
            }
            var outcome = "\(response.status)"
            // Where a redirect led to.
            let place = Self.address(response.url)
            if place != Self.address(request.url) { outcome += " from \(shown(place))" }
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

    /// An address, or not at all where it repeats what was sent.
    private func shown(_ address: String) -> String {
        sent.withLock { $0.reduce(address) { $1.shown($0) } }
    }

    private static func address(_ url: String) -> String {
        String(url.prefix { $0 != "?" && $0 != "#" }.prefix(300))
    }
}
