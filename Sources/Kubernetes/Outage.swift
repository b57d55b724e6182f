/// Something that fails again and again, as a log is to tell of it: once that it fails, now and then that it still does
/// or why it does now, and once that it is over.
package struct Outage: Sendable {
    /// Whether and how a failure is to be told.
    package enum Telling: Sendable, Hashable {
        /// It has begun to fail.
        case begun
        /// It still fails: after a long time, or for another cause.
        case goesOn
        /// It was told a moment ago.
        case quiet
    }

    private var since: ContinuousClock.Instant?
    private var told: (at: ContinuousClock.Instant, cause: String)?
    private var isTold = false

    /// The least time between two lines. What fails and recovers in turns does not fill a log either.
    private static let rest = Duration.seconds(30)
    /// How often one that lasts is told.
    private static let interval = Duration.seconds(300)

    /// Nothing has failed yet.
    package init() {}

    /// Whether it fails now.
    package var isUnderWay: Bool { since != nil }

    /// Takes a failure.
    package mutating func fails(_ cause: String, at now: ContinuousClock.Instant = .now) -> Telling {
        if since == nil { since = now }
        if let told {
            let silence = now - told.at
            guard silence >= Outage.rest, !isTold || told.cause != cause || silence >= Outage.interval else {
                return .quiet
            }
        }
        told = (now, cause)
        defer { isTold = true }
        return isTold ? .goesOn : .begun
    }

    /// Takes a success.
    ///
    /// - Returns: how long it had failed, when that was told.
    package mutating func ends(at now: ContinuousClock.Instant = .now) -> Duration? {
        defer {
            since = nil
            isTold = false
        }
        guard let since, isTold else { return nil }
        return now - since
    }
}

extension Duration {
    /// Whole seconds, for a person.
    package var inSeconds: String { "\(components.seconds) s" }
}
