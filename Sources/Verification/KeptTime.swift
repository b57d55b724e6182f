import FoundationEssentials

/// When something was found out, by a clock that nobody sets and by the one on the wall.
///
/// Dates were judged by the clock on the wall. When that has been set since, what had expired may have been admitted,
/// and what is valid denied: nothing from before counts any more, whichever way the clock went.
struct KeptTime: Sendable {
    let instant: ContinuousClock.Instant
    let time: Date

    /// Seconds by which the clocks may part while one of them is adjusted bit by bit.
    private static let tolerance = 5.0

    /// How old it is; `nil` when the clock on the wall was set since.
    func age(_ now: ContinuousClock.Instant, _ time: Date) -> Duration? {
        let age = instant.duration(to: now)
        return abs(time.timeIntervalSince(self.time) - age / .seconds(1)) < KeptTime.tolerance ? age : nil
    }
}
