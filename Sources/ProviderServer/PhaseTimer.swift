import NIOCore

/// The deadline of the current phase of a connection, if it has one.
///
/// There is one timer at a time, which compares with the deadline when it fires: cheaper than one timer per phase.
struct PhaseTimer {
    private var deadline: NIODeadline?
    private var timer: (task: Scheduled<Void>, time: NIODeadline)?

    /// A phase begins.
    ///
    /// - Returns: when a timer is to be scheduled for, if there is none that fires early enough.
    mutating func set(_ time: TimeAmount?, now: NIODeadline) -> NIODeadline? {
        deadline = time.map { now + $0 }
        guard let deadline else { return nil }
        if let timer {
            // A timer that fires before the deadline is good enough: it starts the next one.
            guard timer.time > deadline else { return nil }
            timer.task.cancel()
        }
        return deadline
    }

    mutating func scheduled(_ task: Scheduled<Void>, for time: NIODeadline) { timer = (task, time) }

    /// What is to be done when the timer fires.
    enum Firing {
        case nothing, expired
        /// The phase has begun later: there is time left.
        case schedule(NIODeadline)
    }

    mutating func fired(now: NIODeadline) -> Firing {
        timer = nil
        guard let deadline else { return .nothing }
        guard deadline <= now else { return .schedule(deadline) }
        self.deadline = nil
        return .expired
    }

    mutating func stop() {
        deadline = nil
        timer?.task.cancel()
        timer = nil
    }
}

@available(*, unavailable)
extension PhaseTimer: Sendable {}
