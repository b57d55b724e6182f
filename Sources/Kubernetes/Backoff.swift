/// How long to wait after failures in a row: exponentially longer, jittered, so that many clients do not return at
/// once when an API server is back.
package struct Backoff: Sendable {
    private let base: Duration
    private let maximum: Duration
    /// The longest wait that a host may ask for: it may not keep us away for good.
    let longestPause: Duration
    private var failures = 0

    /// A wait around `base` after the first failure, doubling up to `maximum`.
    package init(
        base: Duration = .milliseconds(500), maximum: Duration = .seconds(30), longestPause: Duration = .seconds(300)
    ) {
        self.base = base
        self.maximum = maximum
        self.longestPause = longestPause
    }

    /// For a peer that is away: however long it was, it is asked within two seconds of its return, and who has changed
    /// something there need not wait for long. Nothing is lost by asking often: who is away is not burdened, and the
    /// replicas do not ask at the same moments.
    package static let absence = Backoff(maximum: .seconds(2), longestPause: .seconds(2))

    /// The wait before a peer that may be back is asked again: what it asks for, and a little more by chance; else as
    /// ``next(retryAfter:)``. One that says when to come has come back: failures before that count for nothing.
    package mutating func nextAttempt(retryAfter: Duration?) -> Duration {
        let wait = next()
        guard let retryAfter, retryAfter > .zero else { return wait }
        return min(retryAfter, longestPause) * Double.random(in: 1...1.25)
    }

    /// The wait after one more failure: half of it certain, half by chance; not shorter than the host asks for.
    package mutating func next(retryAfter: Duration? = nil) -> Duration {
        var ceiling = base
        for _ in 0..<min(failures, 32) where ceiling < maximum { ceiling = min(ceiling * 2, maximum) }
        failures += 1
        let wait = ceiling * Double.random(in: 0.5...1)
        return max(wait, min(retryAfter ?? .zero, longestPause))
    }

    /// Something succeeded.
    package mutating func reset() { failures = 0 }
}
