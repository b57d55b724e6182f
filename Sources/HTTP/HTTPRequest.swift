import Concurrency
import FoundationEssentials
import IPAddresses
import Quotation

/// The methods of a request.
public enum HTTPMethod: String, Sendable, Hashable {
    case get = "GET"
    case head = "HEAD"
    case post = "POST"
    case put = "PUT"
    case patch = "PATCH"
    case delete = "DELETE"

    /// Whether sending twice does what sending once does (RFC 9110, section 9.2.2).
    public var isIdempotent: Bool {
        switch self {
        case .get, .head, .put, .delete: true
        case .post, .patch: false
        }
    }
}

/// What to do with an answer 301, 302, 303, 307 or 308.
public enum RedirectPolicy: Sendable, Hashable {
    /// It is returned as the response.
    case refuse
    /// GET and HEAD follow it, at most so often. To another scheme, host or port only headers that describe the
    /// wanted content go along (`Accept`, `Range` and the like), never `Authorization` or cookies, and they do not
    /// come back on a later redirect. From https to http is refused.
    case follow(maximum: Int)
}

/// One call: a request, and the limits within which it must be answered.
public struct HTTPRequest: Sendable {
    /// The method.
    public var method: HTTPMethod
    /// An absolute `http` or `https` URL without user information.
    public var url: String { didSet { address = nil } }
    /// The URL as it was read, where whoever made the request has read it.
    private var address: HTTPURL?
    /// The header fields; `Host`, `Content-Length` and others that concern the connection are set by the client.
    public var headers: HTTPHeaders
    /// The body.
    public var body: [UInt8]?
    /// The largest body that is accepted: a larger one ends the transfer with `responseTooLarge`.
    public var maximumResponseBytes: Int
    /// When the call ends, whatever it is doing: queueing, sending, receiving, waiting for the next attempt.
    public var deadline: ContinuousClock.Instant
    /// Whether and how the call is tried again.
    public var retry: RetryPolicy
    /// What to do with redirects.
    public var redirects: RedirectPolicy
    /// Whether 429 and 5xx are answers like others, with their bodies, and not tried again: for callers to whom these
    /// bodies say something, and who try again themselves.
    public var answersEveryStatus: Bool
    /// Whether the URL's host may be at a private address.
    public var privateAddresses = PrivateAddresses.allowed
    /// Whether a redirect may lead to a private address. Even where it may not, a host may redirect to itself, and one
    /// in a private network to another one there: it has no need of us to get there.
    public var redirectsToPrivateAddresses = PrivateAddresses.allowed
    /// Who goes first when the host limits requests.
    public var place = Place()
    /// What else than the `Authorization` and the secret fields of a form only the receiver may know: no message
    /// repeats it, whatever the answer says.
    package var secrets: [String] = []

    /// A request's place among those that wait for the same host (``PacedHTTPClient``).
    public struct Place: Sendable, Hashable {
        /// Higher goes first: what ends work that has begun goes before what begins some.
        public var precedence = 2
        /// Whose request it is, as a repository's: of equal precedence, each group's first goes before any group's
        /// second.
        public var group = ""

        /// The usual place.
        public init() {}
    }

    /// A request.
    public init(
        _ method: HTTPMethod, _ url: String, headers: HTTPHeaders = .init(), body: [UInt8]? = nil,
        maximumResponseBytes: Int = 4 << 20, deadline: ContinuousClock.Instant, retry: RetryPolicy = .standard,
        redirects: RedirectPolicy = .refuse, answersEveryStatus: Bool = false
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.maximumResponseBytes = maximumResponseBytes
        self.deadline = deadline
        self.retry = retry
        self.redirects = redirects
        self.answersEveryStatus = answersEveryStatus
    }

    /// A request to a URL that was read already: nobody on its way reads it once more.
    public init(
        _ method: HTTPMethod, _ url: HTTPURL, headers: HTTPHeaders = .init(), body: [UInt8]? = nil,
        maximumResponseBytes: Int = 4 << 20, deadline: ContinuousClock.Instant, retry: RetryPolicy = .standard,
        redirects: RedirectPolicy = .refuse
    ) {
        self.init(
            method, url.text, headers: headers, body: body, maximumResponseBytes: maximumResponseBytes,
            deadline: deadline, retry: retry, redirects: redirects)
        address = url
    }

    /// The URL, read.
    package func parsedURL() throws(HTTPURLError) -> HTTPURL {
        if let address { return address }
        return try HTTPURL(parsing: url)
    }
}

/// An answer, of any status that is not thrown as an ``HTTPError``.
public struct HTTPResponse: Sendable {
    /// The status code.
    public var status: Int
    /// The header fields, without trailers.
    public var headers: HTTPHeaders
    /// The body as it came, not decompressed: digests are of these bytes.
    public var body: [UInt8]
    /// Where the answer came from, after redirects. Its query may be a secret (signed storage URLs): not for logs.
    public var url: String
    /// How many times the request was sent for this answer, redirects not counted.
    public var attempts: Int
    /// Where it came from; `nil` when a proxy alone knows.
    var address: IPAddress?
    /// The body's part of the budget for bodies in memory: free again with the response.
    var share: ResponseBodyBudget.Share?
    /// What was sent for it that no message may repeat: what the answer says is quoted through this.
    package var sent = SentSecrets()
    /// Whether it came from an address that is not of the public internet; `false` when a proxy alone knows.
    public var isFromPrivateAddress: Bool { address.map { AddressScope(of: $0) != .everyone } ?? false }

    /// A response: for stand-ins in tests as well.
    public init(status: Int, headers: HTTPHeaders = .init(), body: [UInt8] = [], url: String, attempts: Int = 1) {
        self.status = status
        self.headers = headers
        self.body = body
        self.url = url
        self.attempts = attempts
    }

    /// How long the host asks to wait before the next attempt (RFC 9110, section 10.2.3).
    public var retryAfter: Duration? { headers["Retry-After"].flatMap { RetryAfter.parse($0, now: Date()) } }
}

/// Sends requests: ``HTTPClient``, or a stand-in in a test.
public protocol HTTPSending: Sendable {
    /// Sends a request and returns its answer.
    ///
    /// - Throws: when there is no answer, and for 429 and 5xx that persist unless the request wants every status. Other
    ///   statuses are answers.
    func send(_ request: HTTPRequest) async throws(HTTPError) -> HTTPResponse

    /// What a host that limits requests is seen to allow now, in words; `nil` when none is known to.
    func limit(of host: String) -> String?
}

extension HTTPSending {
    /// Knows of none.
    public func limit(of host: String) -> String? { nil }
}
