import Concurrency
import IPAddresses
import Quotation

/// One request to one URL, once: what the engine is asked to do. Retries and redirects are several of these.
struct Exchange: Sendable {
    var method: HTTPMethod
    var url: HTTPURL
    var headers: HTTPHeaders
    var body: [UInt8]?
    var maximumResponseBytes: Int
    var deadline: ContinuousClock.Instant
    var connectTimeout: Duration
    var idleConnectionLife: Duration
    var userAgent: String
    var proxy: ProxySettings.Proxy?
    /// Whether a pooled connection must not be used: libcurl sends a request again by itself when such a connection
    /// turns out closed.
    var needsFreshConnection: Bool
    /// Whether answers that redirect are followed, so that their bodies do not matter.
    var followsRedirects: Bool
    /// Whether the bodies of errors are kept too.
    var keepsEveryBody = false
    /// Another name than the URL's that the host's certificate must have.
    var tlsServerName: String?
    /// Where the body goes as it arrives, instead of into the answer; and how long nothing may arrive.
    var stream: (buffer: StreamBuffer, idleTimeout: Duration)?
    /// What no message may repeat.
    var sent = SentSecrets()
    /// Where it may go.
    var addresses = AddressRule.everything

    /// Whether the body of an answer of this status is of no use to the client's caller: nobody sees it, so it is
    /// neither kept nor held against the size limit.
    func discardsBody(ofStatus status: Int) -> Bool {
        if keepsEveryBody || stream != nil { return false }
        return status == 429 || status >= 500 || (followsRedirects && Exchange.isRedirect(status))
    }

    /// RFC 9110, section 15.4: the statuses with a `Location` to go to.
    static func isRedirect(_ status: Int) -> Bool { [301, 302, 303, 307, 308].contains(status) }
}

/// What came back.
struct Answer: Sendable {
    var status: Int
    var headers: HTTPHeaders
    var body: [UInt8]
    /// The body's part of the budget.
    var share: ResponseBodyBudget.Share?
    /// The address it came from; `nil` when a proxy knows it.
    var address: IPAddress?
}

/// Why nothing, or not all, came back.
struct Fault: Error, Sendable {
    var kind: HTTPError.Kind
    var detail: String
    /// Whether the same exchange may succeed at once or in a moment.
    var isWorthRetrying: Bool
}
