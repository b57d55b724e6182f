import NIOCore
import Synchronization

/// What there is to ask, handed out one by one to all connections together.
///
/// Closed loop: each connection asks as soon as it is answered, so a slow server is asked less. Open loop: each
/// question has a time at which it is due, whatever became of those before, as pods arrive in a cluster. Its latency
/// counts from that time: what had to wait for a free connection waited for the server, and must not be left out
/// (coordinated omission).
final class Workload: Sendable {
    struct Job: Sendable {
        let question: Question
        /// When it is due, and its latency begins; `nil` for now.
        let due: NIODeadline?
    }

    private let questions: [Question]
    private let limit: Int
    /// Between two that are due, in nanoseconds; `nil` for a closed loop.
    private let interval: Double?
    /// When the first is due.
    let start: NIODeadline
    /// Nothing is handed out from here on.
    let end: NIODeadline
    /// How long an answer may take.
    let timeout: TimeAmount
    /// Whether each answer is parsed, instead of a quick look at it.
    let isThorough: Bool
    private let taken = Atomic<Int>(0)
    private let givenUp = Atomic<Int>(0)

    private init(
        _ questions: [Question], limit: Int, interval: Double?, start: NIODeadline, for time: TimeAmount,
        isThorough: Bool, timeout: TimeAmount
    ) {
        self.questions = questions
        self.limit = limit
        self.interval = interval
        self.start = start
        self.end = start + time
        self.timeout = timeout
        self.isThorough = isThorough
    }

    /// A closed loop over questions in turn, for so many or so long.
    static func closed(
        _ questions: [Question], limit: Int = .max, for time: TimeAmount = .seconds(60), isThorough: Bool = false,
        timeout: TimeAmount = .seconds(15)
    ) -> Workload {
        Workload(
            questions, limit: limit, interval: nil, start: .now(), for: time, isThorough: isThorough, timeout: timeout)
    }

    /// An open loop at a rate per second.
    static func open(
        _ questions: [Question], rate: Double, for time: TimeAmount, timeout: TimeAmount = .seconds(15)
    ) -> Workload {
        // A moment for the connections to be waiting when the first is due.
        Workload(
            questions, limit: Int(rate * Double(time.nanoseconds) / 1e9), interval: 1e9 / rate,
            start: .now() + .milliseconds(20), for: time, isThorough: false, timeout: timeout)
    }

    /// The next question, or `nil` when there is none any more.
    ///
    /// One that has been due for longer than an answer may take is given up instead, and counted: an overload ends.
    func next() -> Job? {
        while true {
            let number = taken.add(1, ordering: .relaxed).oldValue
            guard number < limit else { return nil }
            let question = questions[number % questions.count]
            guard let interval else { return NIODeadline.now() < end ? Job(question: question, due: nil) : nil }
            let due = start + .nanoseconds(Int64(Double(number) * interval))
            guard NIODeadline.now() - due > timeout else { return Job(question: question, due: due) }
            givenUp.add(1, ordering: .relaxed)
        }
    }

    /// Adds what was given up to what was found.
    func complete(_ outcome: Outcome) -> Outcome {
        let count = givenUp.load(ordering: .relaxed)
        guard count > 0 else { return outcome }
        var outcome = outcome
        outcome.failures += count
        let seconds = (Double(timeout.nanoseconds) / 1e9).short
        outcome.firstFailure =
            outcome.firstFailure ?? "not asked within \(seconds) s, because all connections were busy"
        return outcome
    }
}
