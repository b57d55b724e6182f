import Concurrency
import FoundationEssentials
import HTTP
import Quotation
import StrictJSON

/// Talks to an API server: get, list, create, replace, patch, delete, watch.
///
/// Every call has a deadline and bounds; transient faults are tried again within it, 429 after the wait that the server
/// asks for. The token goes to the configured server only: redirects are refused.
package final class KubernetesClient: Sendable {
    /// Limits and times.
    package struct Options: Sendable {
        /// How long one call may take, unless the caller says.
        package var timeout: Duration = .seconds(30)
        /// The largest answer, a page of a list included.
        package var maximumResponseBytes = 32 << 20
        /// How many objects a page of a list has.
        package var pageSize = 250
        /// The most objects of a list that is returned as a whole.
        package var maximumListItems = 100_000
        /// The largest event of a watch.
        package var maximumEventBytes = 8 << 20
        /// How long one watch lasts before it is opened again, as asked of the server.
        package var watchSeconds = 240...300
        /// How long nothing may come from a watch, beyond the time it was asked to last.
        package var watchSilence: Duration = .seconds(30)
        /// How long connecting may take. An attempt that began while the API server was away must not outlast its
        /// return by much.
        package var connectTimeout: Duration = .seconds(3)
        /// Waits of watches while the API server cannot be asked.
        package var backoff = Backoff.absence
        /// Waits of watches after what does not pass by itself: a right that is missing, a type that is not installed,
        /// answers that cannot be read.
        package var refusalBackoff = Backoff()
        /// How old a token from a file may be.
        package var tokenLife: Duration = .seconds(60)
        /// How often ca.crt and client certificate files are looked at.
        package var trustCheckInterval: Duration = .seconds(10)

        /// Usual values.
        package init() {}
    }

    /// Where the API server is and who asks.
    package let configuration: KubernetesConfiguration
    package let options: Options
    let http: HTTPClient
    private let tokens: TokenSource
    private let base: String

    /// Reads the authorities and starts the HTTP client. Nothing is sent yet.
    package init(
        _ configuration: KubernetesConfiguration, options: Options = .init(),
        notice: (@Sendable (HTTPClientNotice) -> Void)? = nil
    ) throws(KubernetesError) {
        self.configuration = configuration
        self.options = options
        var settings = HTTPClientConfiguration(
            maximumConnectionsPerHost: 64, maximumConnections: 64, connectTimeout: options.connectTimeout,
            environment: configuration.environment, trustCheckInterval: options.trustCheckInterval, notice: notice)
        // A page of a list is large, and the API server no stranger: it competes with no registry.
        settings.budget = ResponseBodyBudget()
        switch configuration.authorities {
        case .system: break
        case .file(let path):
            settings.trustsSystemStore = false
            settings.extraCABundle = path
        case .pem(let bytes):
            settings.trustsSystemStore = false
            settings.extraAuthorities = bytes
        }
        settings.clientCertificate = configuration.clientCertificate
        settings.tlsServerName = configuration.tlsServerName
        if let proxy = configuration.proxyURL {
            for name in ["https_proxy", "http_proxy", "no_proxy", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"] {
                settings.environment[name] = nil
            }
            settings.environment["https_proxy"] = proxy
            settings.environment["http_proxy"] = proxy
        }
        do { http = try HTTPClient(configuration: settings) } catch {
            throw .configuration("\(configuration.source): \(error.detail)")
        }
        tokens = TokenSource(configuration.credentials, life: options.tokenLife)
        let text = configuration.server.text
        base = text.hasSuffix("/") ? String(text.dropLast()) : text
    }

    /// Ends the client: calls and watches under way fail as cancelled.
    package func shutdown() async { await http.shutdown() }

    /// The API server, `host:port`.
    package var host: String { configuration.server.authority }

    // MARK: Calls

    /// One call, before it is tried.
    struct Call {
        var method: HTTPMethod
        var path: String
        var query: [(String, String)] = []
        var body: JSONValue?
        var contentType = "application/json"
        /// For errors: `GET verifiers.config.ratify.deislabs.io "name"`.
        var words: String
        var deadline: ContinuousClock.Instant?
        /// Whether it may be sent again when it is not known whether it took effect.
        var isRepeatable = true
        /// The longest wait between two attempts that the API server may ask for.
        var longestPause: Duration = .seconds(300)
    }

    func error(_ kind: KubernetesError.Kind, _ words: String, _ detail: String) -> KubernetesError {
        KubernetesError(kind, host: host, request: words, detail: detail)
    }

    func request(_ call: Call, token: String?, deadline: ContinuousClock.Instant) -> HTTPRequest {
        var headers: HTTPHeaders = ["Accept": "application/json"]
        if call.body != nil { headers.add("Content-Type", call.contentType) }
        if let token { headers.add("Authorization", "Bearer \(token)") }
        var request = HTTPRequest(
            call.method, base + call.path + URLText.query(call.query), headers: headers, body: call.body?.bytes,
            maximumResponseBytes: options.maximumResponseBytes, deadline: deadline,
            // Sent once here, but over connections that are open already.
            retry: RetryPolicy(maximumAttempts: 1, retriesNonIdempotent: call.isRepeatable), answersEveryStatus: true)
        request.secrets = Self.secrets(in: call.body)
        return request
    }

    /// What an object that is sent holds that no message may repeat: the data of a Secret, the token of a TokenReview.
    private static func secrets(in body: JSONValue?) -> [String] {
        let members = [body?["data"], body?["stringData"]].compactMap { $0?.object }
        return members.flatMap { $0.members.compactMap { $0.value.string } }
            + [body?["spec"]?["token"]?.string].compactMap(\.self)
    }

    func token(_ words: String, deadline: ContinuousClock.Instant) async throws(KubernetesError) -> String? {
        do throws(KubernetesError) { return try await tokens.current(deadline: deadline) } catch {
            throw KubernetesError(
                error.kind, host: host, request: words, detail: "there is no token to ask with: \(error.detail)")
        }
    }

    /// Whether another token may be tried instead of a refused one.
    func mayHaveOtherToken(than token: String?) async -> Bool { await tokens.refused(token) }

    /// Sends a call until there is an answer that is no transient fault, or the time is over.
    func send(_ call: Call) async throws(KubernetesError) -> JSONValue {
        let deadline = call.deadline ?? .now + options.timeout
        var backoff = Backoff(base: .milliseconds(200), maximum: .seconds(5), longestPause: call.longestPause)
        var attempts = 0
        var isTokenRenewed = false
        while true {
            attempts += 1
            let token = try await token(call.words, deadline: deadline)
            var failure: KubernetesError
            var mayRepeat = call.isRepeatable
            switch await http.result(request(call, token: token, deadline: deadline)) {
            case .success(let response):
                if (200..<300).contains(response.status) { return try parse(response.body, call.words) }
                if response.status == 401, !isTokenRenewed, await mayHaveOtherToken(than: token) {
                    isTokenRenewed = true
                    continue
                }
                failure = refusal(response.status, response.headers, response.body, response.sent, call.words)
                // It says that it did nothing.
                if failure.kind == .throttled { mayRepeat = true }
            case .failure(let error):
                failure = KubernetesError(error, host: host, request: call.words)
            }
            guard failure.kind == .throttled || failure.kind == .unavailable, mayRepeat, attempts < 4 else {
                throw failure
            }
            let wait = backoff.next(retryAfter: failure.retryAfter)
            guard ContinuousClock.now + wait < deadline else { throw failure }
            do { try await Task.sleep(for: wait) } catch {
                throw self.error(.cancelled, call.words, "the call was cancelled")
            }
        }
    }

    /// Reads an answer. More values than elsewhere: a page of objects is one.
    func parse(_ body: [UInt8], _ words: String) throws(KubernetesError) -> JSONValue {
        do { return try StrictJSON.parse(body, maximumDepth: 128, maximumValues: 2_000_000) } catch {
            throw self.error(.malformed, words, "the answer is not JSON: \(error)")
        }
    }

    /// What an answer that is no success says: its status, and the `Status` object in its body.
    func refusal(
        _ status: Int, _ headers: HTTPHeaders, _ body: [UInt8], _ sent: SentSecrets, _ words: String
    ) -> KubernetesError {
        let object = (try? StrictJSON.parse(body))?.object
        let isStatus = object?["kind"]?.string == "Status"
        let reason = isStatus ? object?["reason"]?.string : nil
        let kind: KubernetesError.Kind =
            switch status {
            case 401: .unauthorized
            case 403: .forbidden
            case 404: .notFound
            case 409: reason == "AlreadyExists" ? .alreadyExists : .conflict
            case 410: .gone
            case 429: .throttled
            case 500...: .unavailable
            default: .invalid
            }
        var detail = "status \(status)"
        if isStatus, let message = object?["message"]?.string, !message.isEmpty {
            detail += ": " + sent.quote(message)
        }
        var result = error(kind, words, detail)
        let seconds = headers["Retry-After"].flatMap { Int64($0) } ?? object?["details"]?["retryAfterSeconds"]?.integer
        if let seconds, seconds > 0 { result.retryAfter = .seconds(min(seconds, 86_400)) }
        return result
    }

    /// A name of the API, which has at most 253 characters, printable.
    static func printable(_ text: String) -> String {
        String(
            String.UnicodeScalarView(
                text.unicodeScalars.prefix(253).map { $0.value < 0x20 || $0.value == 0x7F ? " " : $0 }))
    }
}

extension HTTPClient {
    fileprivate func result(_ request: HTTPRequest) async -> Result<HTTPResponse, HTTPError> {
        do { return .success(try await send(request)) } catch { return .failure(error) }
    }
}
