/// Whether and how a call is tried again: after a lost connection, a failed name resolution, 429, and the statuses
/// 500, 502, 503 and 504.
///
/// Waits grow exponentially and are jittered, so that many callers do not return at once. `Retry-After` is honoured
/// (RFC 9110, section 10.2.3); a wait never outlives the request's deadline: when it would, the call fails at once
/// with what happened, not later with a timeout.
public struct RetryPolicy: Sendable, Hashable {
    /// How many times a request is sent at most, the first time included.
    public var maximumAttempts: Int
    /// The wait before the second attempt; it doubles for each further one.
    public var baseBackoff: Duration
    /// The longest wait that is not asked for by `Retry-After`.
    public var maximumBackoff: Duration
    /// Ends one attempt after this time, so that a silent peer leaves time for another; `nil`: only the deadline does.
    public var attemptTimeout: Duration?
    /// Whether POST and PATCH may be sent again too. Otherwise they are also kept off pooled connections, which
    /// may turn out closed after the request was written.
    public var retriesNonIdempotent: Bool
    /// Whether 429 is tried again here. Not where someone else decides when (``PacedHTTPClient``).
    public var retriesThrottled = true

    /// A policy.
    public init(
        maximumAttempts: Int, baseBackoff: Duration = .milliseconds(200), maximumBackoff: Duration = .seconds(5),
        attemptTimeout: Duration? = nil, retriesNonIdempotent: Bool = false
    ) {
        self.maximumAttempts = maximumAttempts
        self.baseBackoff = baseBackoff
        self.maximumBackoff = maximumBackoff
        self.attemptTimeout = attemptTimeout
        self.retriesNonIdempotent = retriesNonIdempotent
    }

    /// One attempt.
    public static let none = RetryPolicy(maximumAttempts: 1)
    /// Up to four attempts of idempotent methods, with waits around 0.2, 0.4 and 0.8 seconds.
    public static let standard = RetryPolicy(maximumAttempts: 4)

    /// Whether a request of this method may be sent again at all.
    func covers(_ method: HTTPMethod) -> Bool { maximumAttempts > 1 && (method.isIdempotent || retriesNonIdempotent) }

    /// The wait after so many attempts: half of it certain, half by chance.
    func backoff(afterAttempt attempt: Int, using generator: inout some RandomNumberGenerator) -> Duration {
        var ceiling = min(baseBackoff, maximumBackoff)
        for _ in 1..<max(1, min(attempt, 32)) where ceiling < maximumBackoff {
            ceiling = min(ceiling * 2, maximumBackoff)
        }
        return ceiling * Double.random(in: 0.5...1, using: &generator)
    }

    /// Whether an answer of this status is worth another attempt.
    func isRetried(_ status: Int) -> Bool {
        status == 429 ? retriesThrottled : [500, 502, 503, 504].contains(status)
    }
}
