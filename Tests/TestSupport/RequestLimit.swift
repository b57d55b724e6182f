/// A registry's throttling: so many requests, then none until the time is over that it tells those it refuses.
///
/// It counts requests rather than their rate, so that it throttles on a slow machine as on a quick one.
package struct RequestLimit: Sendable {
    private let budget: Int
    private let pause: Duration
    private var count = 0
    private var resumes: ContinuousClock.Instant?
    /// How many requests were refused so far.
    package private(set) var refused = 0

    /// A limit that has counted nothing yet.
    package init(_ budget: Int, pause: Duration) {
        self.budget = budget
        self.pause = pause
    }

    /// Counts a request.
    ///
    /// - Returns: `nil` when it is within the budget, otherwise how many seconds to wait (`Retry-After`).
    package mutating func take(now: ContinuousClock.Instant = .now) -> Int64? {
        if let resumes, now >= resumes { (self.resumes, count) = (nil, 0) }
        guard count >= budget else {
            count += 1
            return nil
        }
        refused += 1
        let end = resumes ?? now + pause
        resumes = end
        let rest = end - now
        return max(1, rest.components.seconds + (rest.components.attoseconds > 0 ? 1 : 0))
    }
}

/// A registry's throttling by rate: so many requests at once, then as many as come back evenly in a time.
///
/// None comes back before the first refusal, so that it throttles on a slow machine as on a quick one.
package struct RequestRate: Sendable {
    private let budget: Double
    private let time: Duration
    private var left: Double
    private var last: ContinuousClock.Instant?
    /// How many requests were refused so far.
    package private(set) var refused = 0

    /// A rate of which nothing is used.
    package init(_ budget: Int, per time: Duration) {
        self.budget = Double(budget)
        self.time = time
        left = Double(budget)
    }

    /// Counts a request.
    ///
    /// - Returns: `nil` when it is within the rate, otherwise how many seconds to wait (`Retry-After`): until all are
    ///   back.
    package mutating func take(now: ContinuousClock.Instant = .now) -> Int64? {
        if let last {
            left = min(budget, left + (now - last) / time * budget)
            self.last = now
        }
        guard left < 1 else {
            left -= 1
            return nil
        }
        refused += 1
        last = now
        return max(1, time.components.seconds)
    }
}
