import NIOCore
import Synchronization

/// Collects the answers to the keys of one request until all are there or the deadline has passed.
///
/// A task group would not do: it waits for every child, and one that does not come back must not hold up the answer
/// to Gatekeeper, which counts a late answer as none.
final class FanOut<Answer: Sendable>: Sendable {
    /// An answer and how long it took.
    struct Timed: Sendable {
        let answer: Answer
        let duration: Duration
    }

    private struct State {
        var answers: [Timed?]
        var missing: Int
        var isClosed = false
        var waiter: CheckedContinuation<Void, Never>?

        /// Ends the waiting and hands out whoever waits for it, once.
        mutating func takeWaiter() -> CheckedContinuation<Void, Never>? {
            isClosed = true
            defer { waiter = nil }
            return waiter
        }
    }

    private let state: Mutex<State>

    private init(count: Int) { state = Mutex(State(answers: Array(repeating: nil, count: count), missing: count)) }

    /// Asks for every key at once, each in a task of its own.
    ///
    /// - Parameters:
    ///   - deadline: when to stop waiting; a key that is not answered by then has `nil`, and its task is cancelled.
    ///   - eventLoop: where the deadline's timer runs.
    static func ask<Key: Sendable>(
        _ keys: [Key], until deadline: ContinuousClock.Instant, on eventLoop: any EventLoop,
        _ question: @escaping @Sendable (Key) async -> Answer
    ) async -> [Timed?] {
        guard !keys.isEmpty else { return [] }
        let fanOut = FanOut(count: keys.count)
        let start = ContinuousClock.now
        let tasks = keys.enumerated().map { index, key in
            Task {
                let answer = await question(key)
                fanOut.put(Timed(answer: answer, duration: .now - start), at: index)
            }
        }
        let timer = eventLoop.scheduleTask(in: TimeAmount(deadline - start)) { fanOut.close() }
        await withTaskCancellationHandler {
            await fanOut.wait()
        } onCancel: {
            fanOut.close()
        }
        timer.cancel()
        let answers = fanOut.state.withLock { $0.answers }
        for (task, answer) in zip(tasks, answers) where answer == nil { task.cancel() }
        return answers
    }

    private func put(_ answer: Timed, at index: Int) {
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            // After the deadline an answer is late: the request has been told so already.
            guard !state.isClosed else { return nil }
            state.answers[index] = answer
            state.missing -= 1
            return state.missing == 0 ? state.takeWaiter() : nil
        }
        waiter?.resume()
    }

    private func close() { state.withLock { $0.takeWaiter() }?.resume() }

    private func wait() async {
        await withCheckedContinuation { continuation in
            let isDone = state.withLock { state in
                if state.isClosed || state.missing == 0 { return true }
                state.waiter = continuation
                return false
            }
            if isDone { continuation.resume() }
        }
    }
}
