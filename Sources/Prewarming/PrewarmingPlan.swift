import Verification

/// Which image is verified next, and when: it neither sleeps nor asks, so it needs no cluster to be tested.
struct PrewarmingPlan<Key: Hashable & Sendable>: Sendable {
    /// What to do now.
    enum Step: Sendable, Equatable {
        /// Look after an image, then tell what came of it.
        case look(Key)
        /// Nothing is due before this moment; `nil`: nothing at all is known.
        case wait(ContinuousClock.Instant?)
    }

    private struct Entry {
        var due: ContinuousClock.Instant
        /// Among those that became due together, chance decides: replicas that share verdicts then meet different
        /// images first, and find each other's.
        var order: UInt64
        var isUnderWay = false
        var faults = 0
    }

    private var entries: [Key: Entry] = [:]
    /// When the next verification may begin.
    private var next: ContinuousClock.Instant?

    /// How long a verdict is kept.
    private let lifetime: Duration

    /// A verdict that holds for longer than this is left alone. By chance it is verified again up to a third of that
    /// later.
    var ahead: Duration { lifetime / 4 }

    private static var firstRetry: Duration { .seconds(5) }
    private static var longestRetry: Duration { .seconds(300) }
    /// Whoever was turned away by requests or by a registry that limits them comes back after this.
    private static var postponement: Duration { .seconds(2) }

    init(lifetime: Duration) { self.lifetime = lifetime }

    /// How many images are known.
    var count: Int { entries.count }

    /// How many wait for their turn.
    func waiting(now: ContinuousClock.Instant) -> Int { entries.values.count { $0.due <= now } }

    /// Whether nobody is looked after or waits.
    func isResting(now: ContinuousClock.Instant) -> Bool {
        entries.values.allSatisfy { !$0.isUnderWay && $0.due > now }
    }

    /// Takes a new list of images. Those that were known keep their time.
    ///
    /// - Returns: how many are new.
    @discardableResult
    mutating func set(
        _ keys: Set<Key>, now: ContinuousClock.Instant, using generator: inout some RandomNumberGenerator
    ) -> Int {
        entries = entries.filter { keys.contains($0.key) || $0.value.isUnderWay }
        var added = 0
        for key in keys where entries[key] == nil {
            entries[key] = Entry(due: now, order: generator.next())
            added += 1
        }
        return added
    }

    /// What to do now.
    mutating func step(now: ContinuousClock.Instant) -> Step {
        let first = entries.filter { !$0.value.isUnderWay }.min {
            ($0.value.due, $0.value.order) < ($1.value.due, $1.value.order)
        }
        guard let (key, entry) = first else { return .wait(nil) }
        guard entry.due <= now else { return .wait(entry.due) }
        entries[key]?.isUnderWay = true
        return .look(key)
    }

    /// The moment from which a verification may begin; the one after it has to wait for the next.
    mutating func turn(every interval: Duration, now: ContinuousClock.Instant) -> ContinuousClock.Instant {
        let turn = max(next ?? now, now)
        next = turn + interval
        return turn
    }

    /// Takes what came of an image.
    mutating func finish(
        _ key: Key, _ outcome: PrewarmingOutcome, now: ContinuousClock.Instant,
        using generator: inout some RandomNumberGenerator
    ) {
        guard var entry = entries[key] else { return }
        entry.isUnderWay = false
        entry.order = generator.next()
        let chance = Double(generator.next() % 1000) / 1000
        switch outcome {
        case .kept(_, let life):
            entry.faults = 0
            // Not before a while even where what a verdict rests on ends soon: nothing lasting can be had there.
            entry.due = now + max(life - ahead * (1 - chance / 3), min(lifetime / 4, .seconds(5)))
        case .postponed: entry.due = now + Self.postponement * (0.5 + chance)
        case .fault:
            var wait = Self.firstRetry
            for _ in 0..<min(entry.faults, 16) where wait < Self.longestRetry { wait *= 2 }
            entry.faults += 1
            entry.due = now + min(wait, Self.longestRetry) * (0.5 + chance / 2)
        }
        entries[key] = entry
    }
}
