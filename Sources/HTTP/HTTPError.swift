/// Why a call has no answer: what happened, with which host, after how many attempts, and what to do about it.
///
/// It holds no secrets: no path, no query, no header, no user information.
public struct HTTPError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What happened.
    public enum Kind: Sendable, Hashable {
        /// The URL is not an absolute http or https URL in the strict form that is accepted.
        case invalidURL
        /// A header or a limit of the request is not acceptable.
        case invalidRequest
        /// The client cannot be set up as configured: CA bundle, proxy settings, libcurl.
        case configuration
        /// The host's name could not be resolved.
        case dns
        /// No connection could be made.
        case connect
        /// The connection was lost before the answer was complete.
        case connectionLost
        /// The TLS handshake failed or the host's certificate was refused.
        case tls
        /// The proxy could not be reached or refused to connect.
        case proxy
        /// The deadline passed.
        case timeout
        /// The task was cancelled, or the client shut down.
        case cancelled
        /// 429, still after the last attempt or with a wait longer than the deadline allows.
        case throttled
        /// A server error (5xx), still after the last attempt.
        case status(Int)
        /// The body comes more slowly than is waited for.
        case tooSlow
        /// There is no room for the body: too many bytes of others are in memory.
        case overBudget
        /// The body is larger than the request accepts: so many bytes.
        case responseTooLarge(Int)
        /// More redirects than the request follows.
        case tooManyRedirects
        /// A redirect that is not followed: from https to http, of a method that sends something, to no valid URL.
        case redirectRefused
        /// The host is at an address that the request must not go to.
        case addressRefused
        /// The peer does not speak HTTP as it should.
        case protocolFault
    }

    /// What happened.
    public var kind: Kind
    /// The host, with its port unless it is the scheme's own. Empty when the URL could not be read.
    public var host: String
    /// The method of the request.
    public var method: HTTPMethod
    /// How many times the request was sent, redirects not counted.
    public var attempts: Int
    /// What happened, in words.
    public var detail: String
    /// How long the host asks to wait, when it did.
    public var retryAfter: Duration?

    /// An error; for stand-ins in tests as well.
    public init(
        kind: Kind, host: String, method: HTTPMethod, attempts: Int, detail: String, retryAfter: Duration? = nil
    ) {
        self.kind = kind
        self.host = host
        self.method = method
        self.attempts = attempts
        self.detail = detail
        self.retryAfter = retryAfter
    }

    /// Whether the same call may succeed in a moment: a fault of the way or of the host's present state, which is
    /// never a verdict. A refused certificate counts as transient too: it says nothing about what was asked for.
    public var isTransient: Bool {
        switch kind {
        case .dns, .connect, .connectionLost, .tls, .proxy, .timeout, .cancelled, .throttled, .status, .tooSlow,
            .overBudget, .protocolFault:
            true
        case .invalidURL, .invalidRequest, .configuration, .responseTooLarge, .tooManyRedirects, .redirectRefused,
            .addressRefused:
            false
        }
    }

    /// What happened, where, after how many attempts and what to do, in one line without an ending period.
    public var description: String {
        var text = kind == .configuration ? "" : method.rawValue + (host.isEmpty ? ": " : " \(host): ")
        text += detail
        if let retryAfter { text += "; the host asks to wait \(retryAfter.components.seconds) s" }
        if attempts > 1 { text += "; after \(attempts) attempts" }
        if let remedy { text += "; \(remedy)" }
        return text
    }

    /// What a person can do.
    private var remedy: String? {
        switch kind {
        case .dns: "check the host name and the name servers this process uses"
        case .connect: "check that the host is up and reachable from here (firewall, network policy, proxy)"
        case .tls:
            "check the host's certificate; if a private authority issued it, add that authority to the CA bundle"
        case .proxy: "check HTTPS_PROXY, HTTP_PROXY and NO_PROXY"
        case .addressRefused:
            "URLs that others supply are followed to public addresses only, unless the configuration allows more with allowPrivateAddresses"
        case .throttled: "the host limits requests: lower the rate, or raise the limit of the account used"
        case .connectionLost, .status, .tooSlow, .overBudget:
            "ask again in a moment; if it stays so, ask whoever runs the host"
        case .invalidURL, .invalidRequest, .configuration, .timeout, .cancelled, .responseTooLarge, .tooManyRedirects,
            .redirectRefused, .protocolFault:
            nil
        }
    }
}
