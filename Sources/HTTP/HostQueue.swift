/// Who waits to ask one host, in which order, and who may go now. It neither sleeps nor sends: times are passed in.
struct HostQueue: Sendable {
    /// One that waits.
    struct Waiter: Sendable {
        let id: UInt64
        let precedence: Int
        /// Of equal precedence, everybody's first request goes before anybody's second.
        let round: Int
        let group: String
        let deadline: ContinuousClock.Instant

        func isBefore(_ other: Waiter) -> Bool {
            (-precedence, round, id) < (-other.precedence, other.round, other.id)
        }
    }

    /// What a look at the queue gave.
    struct Step: Sendable {
        /// Those whose turn it is.
        var go: [UInt64] = []
        /// Those whose turn cannot come in time because the host limits requests.
        var throttled: [UInt64] = []
        /// Those whose deadline has passed.
        var late: [UInt64] = []
        /// When to look again, if nothing happens before.
        var wake: ContinuousClock.Instant?
    }

    /// How many requests may be under way at once. More would only wait in the connections' queue, beyond recall when
    /// the host refuses one.
    private let maximumInFlight: Int
    private(set) var inFlight = 0
    private(set) var waiters: [Waiter] = []
    /// `nil` as long as the host takes what comes.
    private(set) var pace: HostPace?
    /// How many waiters each group has had in a row.
    private var rounds: [String: Int] = [:]
    /// The round that was served last.
    private var round = 0
    /// No waiter's deadline is before this; `nil` when there is none.
    private var earliest: ContinuousClock.Instant?
    /// When it was last seen to that everybody's turn can come in time.
    private var checked: ContinuousClock.Instant?
    private var answered = 0
    private var counting: ContinuousClock.Instant

    /// How far back the rate of a host that never refused is measured: as far as limits of a minute reach.
    private static let longestCount = Duration.seconds(60)
    /// How often the whole queue is looked through while the host limits requests: others come before those that wait.
    private static let checkInterval = Duration.milliseconds(100)

    init(maximumInFlight: Int, now: ContinuousClock.Instant) {
        self.maximumInFlight = maximumInFlight
        counting = now
    }

    /// Whether nothing would be lost with it.
    var isIdle: Bool { !isInUse && pace == nil }
    /// Whether anybody is being answered or waits.
    var isInUse: Bool { inFlight > 0 || !waiters.isEmpty }

    /// Whether nothing would be lost with it: nobody asks, and the host does not limit requests any more.
    func isIdle(now: ContinuousClock.Instant) -> Bool { !isInUse && pace.map { $0.isOver(now: now) } ?? true }

    /// Adds one that waits.
    mutating func add(_ id: UInt64, precedence: Int, group: String, deadline: ContinuousClock.Instant) {
        let own = max(round, (rounds[group] ?? round - 1) + 1)
        rounds[group] = own
        let waiter = Waiter(id: id, precedence: precedence, round: own, group: group, deadline: deadline)
        var (low, high) = (0, waiters.count)
        while low < high {
            let middle = (low + high) / 2
            if waiters[middle].isBefore(waiter) { low = middle + 1 } else { high = middle }
        }
        waiters.insert(waiter, at: low)
        earliest = min(earliest ?? deadline, deadline)
        // Whether it fits itself is seen at once.
        if let pace, pace.turn(behind: low) >= deadline { checked = nil }
    }

    /// Whether one that asks now may go at once; it counts as under way then.
    mutating func goAtOnce() -> Bool {
        guard pace == nil, waiters.isEmpty, inFlight < maximumInFlight else { return false }
        inFlight += 1
        return true
    }

    /// Removes one that gave up; false when it does not wait any more.
    mutating func remove(_ id: UInt64) -> Bool {
        guard let index = waiters.firstIndex(where: { $0.id == id }) else { return false }
        waiters.remove(at: index)
        return true
    }

    /// Takes the end of a request.
    ///
    /// - Parameter refusal: the host refused (429), and how long it asks to wait.
    mutating func finish(
        sent: ContinuousClock.Instant, isAnswered: Bool, refusal: (retryAfter: Duration?, Void)?,
        now: ContinuousClock.Instant
    ) {
        inFlight -= 1
        if let refusal {
            if pace == nil {
                pace = HostPace(answered: answered, since: counting, retryAfter: refusal.retryAfter, now: now)
                answered = 0
            } else if pace?.refuse(sent: sent, answered: answered, retryAfter: refusal.retryAfter, now: now) == true {
                answered = 0
            }
            checked = nil
        } else if isAnswered {
            if pace == nil, now - counting > Self.longestCount { (counting, answered) = (now, 0) }
            answered += 1
        }
    }

    /// Says who may go, and who need not wait any longer.
    mutating func step(now: ContinuousClock.Instant) -> Step {
        var step = Step()
        if pace?.isOver(now: now) == true { (pace, counting, answered) = (nil, now, 0) }
        pace?.grow(now: now)
        var served = 0
        while served < waiters.count, inFlight < maximumInFlight, pace.map({ $0.turn(behind: 0) <= now }) ?? true {
            let waiter = waiters[served]
            served += 1
            guard waiter.deadline > now else {
                step.late.append(waiter.id)
                continue
            }
            pace?.take(now: now)
            inFlight += 1
            round = max(round, waiter.round)
            step.go.append(waiter.id)
        }
        waiters.removeFirst(served)
        dropHopeless(&step, now: now)
        if waiters.isEmpty {
            (rounds, round, earliest) = ([:], 0, nil)
            return step
        }
        step.wake = earliest
        if let pace, inFlight < maximumInFlight { step.wake = min(step.wake ?? now, pace.turn(behind: 0)) }
        return step
    }

    private mutating func dropHopeless(_ step: inout Step, now: ContinuousClock.Instant) {
        let isDue = pace != nil && checked.map { now - $0 >= Self.checkInterval } ?? true
        guard isDue || earliest.map({ $0 <= now }) ?? false else { return }
        checked = now
        var kept: [Waiter] = []
        for waiter in waiters {
            if let pace, pace.turn(behind: kept.count) >= waiter.deadline {
                step.throttled.append(waiter.id)
            } else if waiter.deadline <= now {
                step.late.append(waiter.id)
            } else {
                kept.append(waiter)
            }
        }
        waiters = kept
        earliest = kept.map(\.deadline).min()
    }
}
