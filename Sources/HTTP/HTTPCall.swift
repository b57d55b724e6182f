import FoundationEssentials
import Quotation

/// One call's way through attempts and redirects: decides after each answer or fault what comes next. It neither
/// sends nor waits, so it needs no network to be tested.
struct HTTPCall {
    private let request: HTTPRequest
    private let configuration: HTTPClientConfiguration
    private let proxies: ProxySettings

    private var url: HTTPURL
    private var headers: HTTPHeaders
    private var redirects = 0
    private var addresses: AddressRule
    /// What was sent so far that no message may repeat.
    private(set) var sent: SentSecrets
    /// How many times the request was sent, redirects not counted.
    var attempts = 0
    /// Whether the next exchange goes where the last answer pointed to.
    private(set) var isRedirected = false
    /// What the last attempt came to, when it is worth another one.
    private var lastError: HTTPError?

    private static let shortestSignedQuery = 16
    private static let formType = "application/x-www-form-urlencoded"
    /// What may go along to another origin: what describes the wanted content, nothing that says who asks.
    private static let portableHeaders = ["Accept", "Accept-Language", "Range", "User-Agent"]

    init(
        _ request: HTTPRequest, configuration: HTTPClientConfiguration, proxies: ProxySettings
    ) throws(HTTPError) {
        func fault(_ kind: HTTPError.Kind, _ host: String, _ detail: String) -> HTTPError {
            HTTPError(kind: kind, host: host, method: request.method, attempts: 0, detail: detail)
        }
        do { url = try request.parsedURL() } catch { throw fault(.invalidURL, "", error.description) }
        if let problem = request.headers.problem { throw fault(.invalidRequest, url.authority, problem) }
        guard request.maximumResponseBytes >= 0, request.retry.maximumAttempts > 0 else {
            throw fault(.invalidRequest, url.authority, "the limits of the request must not be negative or zero")
        }
        self.request = request
        self.configuration = configuration
        self.proxies = proxies
        headers = request.headers
        sent = HTTPCall.secrets(of: request)
        if let proxy = proxies.proxy(for: url), let password = proxy.password {
            sent.add([password, "\(proxy.user ?? ""):\(password)"])
        }
        addresses = AddressRule(privateAddresses: request.privateAddresses)
    }

    /// The next thing to send.
    var exchange: Exchange {
        var deadline = request.deadline
        if let timeout = request.retry.attemptTimeout { deadline = min(deadline, .now + timeout) }
        return Exchange(
            method: request.method, url: url, headers: headers, body: request.body,
            maximumResponseBytes: request.maximumResponseBytes, deadline: deadline,
            connectTimeout: configuration.connectTimeout, idleConnectionLife: configuration.idleConnectionLife,
            userAgent: configuration.userAgent, proxy: proxies.proxy(for: url),
            needsFreshConnection: !request.method.isIdempotent && !request.retry.retriesNonIdempotent,
            followsRedirects: request.redirects != .refuse, keepsEveryBody: request.answersEveryStatus,
            tlsServerName: configuration.tlsServerName, sent: sent, addresses: addresses)
    }

    /// Takes an answer: returns what the caller gets, or `nil` when there is more to do.
    mutating func take(_ answer: Answer, now: Date) throws(HTTPError) -> HTTPResponse? {
        lastError = nil
        isRedirected = false
        if case .follow(let maximum) = request.redirects, Exchange.isRedirect(answer.status),
            let location = answer.headers["Location"]
        {
            try follow(location, answer, maximum: maximum)
            return nil
        }
        guard !request.answersEveryStatus, answer.status == 429 || answer.status >= 500 else {
            var response = HTTPResponse(
                status: answer.status, headers: answer.headers, body: answer.body, url: url.text, attempts: attempts)
            response.address = answer.address
            response.sent = sent
            response.share = answer.share
            return response
        }
        var error =
            answer.status == 429
            ? self.error(.throttled, "too many requests, status 429")
            : self.error(.status(answer.status), "the host answers with status \(answer.status)")
        error.retryAfter = answer.headers["Retry-After"].flatMap { RetryAfter.parse($0, now: now) }
        guard request.retry.isRetried(answer.status) else { throw error }
        lastError = error
        return nil
    }

    /// Takes a fault; throws it unless another attempt is worth it.
    mutating func take(_ fault: Fault) throws(HTTPError) {
        var detail = fault.detail
        if fault.kind == .timeout, let lastError { detail += "; the attempt before: \(lastError.detail)" }
        let error = error(fault.kind, detail)
        guard fault.isWorthRetrying else { throw error }
        lastError = error
        isRedirected = false
    }

    /// How long to wait before the next exchange; `nil` after a redirect: not at all.
    ///
    /// - Throws: what the last attempt came to, when there is to be no other.
    func delay(using generator: inout some RandomNumberGenerator) throws(HTTPError) -> Duration? {
        guard let lastError else { return nil }
        guard request.retry.covers(request.method), attempts < request.retry.maximumAttempts else { throw lastError }
        var wait = request.retry.backoff(afterAttempt: attempts, using: &generator)
        if let retryAfter = lastError.retryAfter { wait = max(wait, retryAfter) }
        // Waiting for what cannot be used any more would only replace what happened by a timeout.
        guard ContinuousClock.now + wait < request.deadline else { throw lastError }
        return wait
    }

    /// An error of this call as it stands.
    func error(_ kind: HTTPError.Kind, _ detail: String) -> HTTPError {
        // A host that an answer led to may be named after what was sent.
        let host = redirects > 0 ? sent.shown(url.authority) : url.authority
        return HTTPError(kind: kind, host: host, method: request.method, attempts: attempts, detail: detail)
    }

    private static func secrets(of request: HTTPRequest) -> SentSecrets {
        var sent = SentSecrets(request.secrets)
        for name in ["Authorization", "Cookie"] {
            for value in request.headers.all(name) { sent.add(authorization: value) }
        }
        if let body = request.body, request.headers["Content-Type"]?.hasPrefix(HTTPCall.formType) == true {
            sent.add(form: body)
        }
        return sent
    }

    private mutating func follow(_ location: String, _ answer: Answer, maximum: Int) throws(HTTPError) {
        guard request.method == .get || request.method == .head else {
            throw error(
                .redirectRefused, "a \(request.method.rawValue) is not sent to another address, status \(answer.status)"
            )
        }
        guard redirects < maximum else { throw error(.tooManyRedirects, "more than \(maximum) redirects") }
        let next: HTTPURL
        do { next = try url.resolving(location) } catch {
            throw self.error(.redirectRefused, "the host redirects to an address that is not usable: \(error.problem)")
        }
        guard next.scheme == .https || url.scheme == .http else {
            throw error(.redirectRefused, "the host redirects from https to http (\(sent.shown(next.authority)))")
        }
        addresses = .redirect(
            from: answer.address, toSameOrigin: next.hasSameOrigin(as: url), request.redirectsToPrivateAddresses)
        if !next.hasSameOrigin(as: url) { headers.keepOnly(HTTPCall.portableHeaders) }
        // The query of an address that one is sent to is often as good as a password: signed URLs of storage services.
        if let mark = next.target.firstIndex(of: "?") {
            let query = String(next.target[mark...].dropFirst())
            if query.utf8.count >= HTTPCall.shortestSignedQuery { sent.add([query]) }
        }
        url = next
        redirects += 1
        isRedirected = true
    }
}
