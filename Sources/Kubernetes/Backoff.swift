/// How long to wait after failures in a row: exponentially longer, jittered, so that many clients do not return at
/// once when an API server is back.
package struct Backoff: Sendable {
    private let base: Duration
    private let maximum: Duration
    private var failures = 0

    /// A wait around `base` after the first failure, doubling up to `maximum`.
    package init(base: Duration = .milliseconds(500), maximum: Duration = .seconds(30)) {
        self.base = base
        self.maximum = maximum
    }

    /// The wait after one more failure: half of it certain, half by chance; not shorter than the host asks for.
    package mutating func next(retryAfter: Duration? = nil) -> Duration {
        var ceiling = base
        for _ in 0..<min(failures, 32) where ceiling < maximum { ceiling = min(ceiling * 2, maximum) }
        failures += 1
        let wait = ceiling * Double.random(in: 0.5...1)
        // A host may not keep us away for good.
        return max(wait, min(retryAfter ?? .zero, .seconds(300)))
    }

    /// Something succeeded.
    package mutating func reset() { failures = 0 }
}
