import FoundationEssentials

/// The time of a verdict, by the monotonic clock and by the wall clock.
///
/// Expiry dates were compared with the wall clock. If that has been set since, what had expired may have been admitted,
/// and what is valid denied: nothing from before counts any more, whichever way the clock went.
struct KeptTime: Sendable {
    let instant: ContinuousClock.Instant
    let time: Date

    /// The seconds by which the clocks may drift apart while the wall clock is adjusted gradually.
    private static let tolerance = 5.0

    /// How old the verdict is; `nil` when the wall clock was set since.
    func age(_ now: ContinuousClock.Instant, _ time: Date) -> Duration? {
        let age = instant.duration(to: now)
        return abs(time.timeIntervalSince(self.time) - age / .seconds(1)) < KeptTime.tolerance ? age : nil
    }
}
