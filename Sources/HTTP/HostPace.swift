/// How fast a host lets itself be asked, learnt from its refusals (429).
///
/// A host that allows so many requests in so much time says with its refusal when the next ones are welcome. What it
/// answered since it last let us in, over the time until then, is the rate that it allows: at that rate, evenly,
/// requests go on. The rate then grows slowly, so that a host that allows more, or does so again, is not asked slowly
/// for ever.
struct HostPace: Sendable {
    /// Nothing is sent before this moment: as the host asked.
    private(set) var resumes: ContinuousClock.Instant
    /// When the next request may go.
    private(set) var next: ContinuousClock.Instant
    /// The time between two requests.
    private(set) var interval: Duration
    /// The time over which the rate was measured.
    private var period: Duration
    private var lastGrowth: ContinuousClock.Instant

    /// How often in a row the host refused without answering anything.
    private var refusals = 1

    /// A timer that comes late must not lower the rate: requests that were due while it slept follow at once.
    private static let slack = Duration.milliseconds(50)
    private static let longestInterval = Duration.seconds(1)
    private static let shortestInterval = Duration.milliseconds(1)
    private static let longestBackoff = Duration.seconds(30)
    /// A host that asks for more is tried again after this: one answer must not silence a host for hours.
    private static let longestPause = Duration.seconds(60)
    /// Fewer answers than this say little of the rate.
    private static let fewAnswers = 10
    private static let usualInterval = Duration.milliseconds(50)

    /// A pace after a first refusal.
    ///
    /// - Parameters:
    ///   - answered: how many requests were answered since `start`.
    ///   - retryAfter: the wait that the host asks for.
    init(answered: Int, since start: ContinuousClock.Instant, retryAfter: Duration?, now: ContinuousClock.Instant) {
        let wait = min(retryAfter ?? .seconds(1), Self.longestPause)
        period = max(now - start, .zero) + wait
        interval = Self.interval(period, answered, atMost: Self.usualInterval)
        resumes = now + wait
        next = resumes
        lastGrowth = resumes
    }

    private static func interval(_ period: Duration, _ answered: Int, atMost guess: Duration) -> Duration {
        let measured = min(max(period / max(answered, 1), shortestInterval), longestInterval)
        return answered < fewAnswers ? min(measured, guess) : measured
    }

    /// Takes another refusal.
    ///
    /// - Parameters:
    ///   - sent: when the refused request was sent. One that was under way at the last refusal says nothing new but how
    ///     long to wait.
    ///   - answered: how many requests were answered since the last refusal.
    /// - Returns: whether it was a new refusal, after which counting begins anew.
    mutating func refuse(
        sent: ContinuousClock.Instant, answered: Int, retryAfter: Duration?, now: ContinuousClock.Instant
    ) -> Bool {
        guard sent >= resumes else {
            if let retryAfter { resumes = max(resumes, now + min(retryAfter, Self.longestPause)) }
            next = max(next, resumes)
            return false
        }
        refusals = answered == 0 ? refusals + 1 : 1
        let backoff = min(Duration.seconds(1) * (1 << min(refusals - 1, 6)), Self.longestBackoff)
        let wait = min(retryAfter ?? backoff, Self.longestPause)
        period = max(now - resumes, .zero) + wait
        interval = Self.interval(period, answered, atMost: max(interval * 2, Self.usualInterval))
        resumes = now + wait
        next = resumes
        lastGrowth = resumes
        return true
    }

    /// Takes a turn, which must be due.
    mutating func take(now: ContinuousClock.Instant) {
        next = max(next, now - Self.slack) + interval
    }

    /// Lets the rate grow with time: by a ninth in each quarter of the measured period.
    mutating func grow(now: ContinuousClock.Instant) {
        let step = max(period / 4, .milliseconds(250))
        while lastGrowth + step <= now, interval > .zero {
            interval = interval * 0.9
            lastGrowth += step
        }
    }

    /// When the turn of the request comes that has so many before it.
    func turn(behind count: Int) -> ContinuousClock.Instant { max(next, resumes) + interval * count }

    /// Whether the host has not refused for so long that it need not be asked slowly any more.
    func isOver(now: ContinuousClock.Instant) -> Bool {
        now >= resumes + max(period * 2, .seconds(10)) || interval < Self.shortestInterval / 4
    }
}
