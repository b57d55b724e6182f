import FoundationEssentials

/// How long certificates live, and how long the old and the new overlap.
package struct RotationPolicy: Sendable {
    /// How long an authority lives, in seconds.
    package var authorityLife: TimeInterval = 10 * 365 * 86_400
    /// How long a server's certificate lives, in seconds.
    package var servingLife: TimeInterval = 365 * 86_400
    /// How far back validity begins: clocks differ.
    package var backdating: TimeInterval = 3600
    /// How long clients have to take up a new authority before something that it signed is served.
    package var settling: TimeInterval = 60
    /// How long the former authority stays trusted after nothing that it signed is served any more.
    package var overlap: TimeInterval = 86_400
    /// How often time is looked at; changes in the cluster are seen at once.
    package var interval: Duration = .seconds(30)
    /// Waits between repairs of a bundle that somebody else keeps changing.
    package var repairs = Backoff(base: .milliseconds(100), maximum: .seconds(30))

    /// Usual values.
    package init() {}

    /// Whether less than a third of a life is left.
    func isDue(_ validity: (from: Date, to: Date), at now: Date) -> Bool {
        let life = validity.to.timeIntervalSince(validity.from)
        return validity.to.timeIntervalSince(now) < life / 3
    }
}
