import Concurrency

/// When answers must be there.
package struct AnswerDeadlines: Sendable {
    /// How much of a timeout is kept for writing the answer.
    let margin: Duration

    /// - Parameter margin: how much of a timeout is kept for writing the answer.
    package init(margin: Duration) { self.margin = margin }

    /// When the answers must be there, so that the rest of the timeout suffices to write them. The grace is how much
    /// longer to wait for the service, which knows best what was slow. The margin is at most a fifth of the timeout.
    package func deadline(
        _ arrival: ContinuousClock.Instant, timeout: Duration
    ) -> (deadline: ContinuousClock.Instant, grace: Duration) {
        let margin = min(margin, timeout / 5)
        return (arrival + timeout - margin, margin / 2)
    }

    /// The message about a key without an answer by the deadline.
    package func unanswered(_ arrival: ContinuousClock.Instant) -> String {
        "waiting for a verdict: no answer within \(Int64((.now - arrival).milliseconds)) ms"
    }
}
