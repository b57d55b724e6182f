import Encoding
import HTTP
import StrictJSON

/// Sends requests to one of Azure's endpoints, again after transient faults, and tells of each fault as it happens.
struct AzureCall: Sendable {
    let http: any HTTPSending
    /// The host, for messages.
    let endpoint: String
    /// What is done, for messages: "getting a token".
    let purpose: String
    /// Which statuses are worth another attempt besides 429 and 5xx.
    var retried: Set<Int> = []
    var maximumAttempts = 4
    var baseBackoff = Duration.milliseconds(200)

    /// The answer, of a status that is not tried again.
    func send(
        _ method: HTTPMethod, _ url: String, headers: HTTPHeaders, form: [(String, String)]? = nil,
        json: JSONValue? = nil, deadline: ContinuousClock.Instant, note: @Sendable (AzureError) -> Void
    ) async throws(AzureError) -> HTTPResponse {
        var headers = headers
        headers.set("Accept", "application/json")
        if form != nil { headers.set("Content-Type", "application/x-www-form-urlencoded") }
        if json != nil { headers.set("Content-Type", "application/json") }
        // Asking twice for a token or a signature gives two, which harms nobody. A redirect would carry a secret
        // elsewhere.
        var request = HTTPRequest(
            method, url, headers: headers, body: form.map { Array(PercentEncoding.form($0).utf8) } ?? json?.bytes,
            maximumResponseBytes: 256 * 1024, deadline: deadline,
            retry: RetryPolicy(maximumAttempts: 1, attemptTimeout: .seconds(10), retriesNonIdempotent: true),
            redirects: .refuse)
        request.answersEveryStatus = true
        var attempt = 1
        var backoff = baseBackoff
        while true {
            let fault: AzureError
            do throws(HTTPError) {
                let response = try await http.send(request)
                let isThrottled = response.status == 429
                guard isThrottled || response.status >= 500 || retried.contains(response.status) else {
                    return response
                }
                let complaint = AzureComplaint(response, without: AzureForm.secrets(form ?? []))
                fault = AzureError(
                    isThrottled ? .throttled : .unavailable, endpoint: endpoint,
                    detail:
                        "\(purpose): it \(isThrottled ? "limits requests" : "answers") (\(response.status))\(complaint.suffix)",
                    code: complaint.code, retryAfter: response.retryAfter)
            } catch {
                fault = AzureError(error, endpoint: endpoint, purpose: purpose)
                guard fault.isTransient, fault.kind != .cancelled, .now < deadline else { throw fault }
            }
            note(fault)
            let wait = max(backoff * Double.random(in: 0.5...1), fault.retryAfter ?? .zero)
            guard attempt < maximumAttempts, .now + wait < deadline else { throw fault }
            do { try await Task.sleep(for: wait, tolerance: .milliseconds(5), clock: .continuous) } catch {
                throw AzureError(.cancelled, endpoint: endpoint, detail: "\(purpose): the call was cancelled")
            }
            attempt += 1
            backoff = min(backoff * 2, .seconds(20))
        }
    }
}
