import Synchronization

/// Lets a warning through now and then: whoever can cause it as often as he likes must not fill the log.
final class WarningPace: Sendable {
    private let interval: Duration
    private let next = Mutex<ContinuousClock.Instant>(.now)

    /// - Parameter interval: the least time between two warnings.
    init(every interval: Duration) { self.interval = interval }

    /// Whether a warning may be logged now; if so, the next one has to wait.
    func isDue() -> Bool {
        next.withLock { next in
            let now = ContinuousClock.now
            guard now >= next else { return false }
            next = now + interval
            return true
        }
    }
}
