import NIOCore
import Synchronization

/// Asks about all keys of one request at once, and collects the answers until all are there or the deadline has passed.
///
/// A task group would not do: it waits for every child. A key that hangs must not hold up the answer to the client, for
/// which a late answer is no answer.
///
/// It is `@inlinable` so that other modules specialise it for their answers.
@usableFromInline
package final class FanOut<Answer: Sendable>: Sendable {
    /// An answer and how long it took.
    @usableFromInline
    package struct Timed: Sendable {
        @usableFromInline package let answer: Answer
        @usableFromInline package let duration: Duration

        @inlinable
        package init(answer: Answer, duration: Duration) {
            self.answer = answer
            self.duration = duration
        }
    }

    @usableFromInline
    struct State {
        @usableFromInline var answers: [Timed?]
        @usableFromInline var missing: Int
        @usableFromInline var isClosed = false
        @usableFromInline var waiter: CheckedContinuation<Void, Never>?

        @inlinable
        init(count: Int) {
            answers = Array(repeating: nil, count: count)
            missing = count
        }

        /// Closes the collection, and returns the waiting continuation, once.
        @inlinable
        mutating func takeWaiter() -> CheckedContinuation<Void, Never>? {
            isClosed = true
            defer { waiter = nil }
            return waiter
        }
    }

    @usableFromInline let state: Mutex<State>

    @inlinable init(count: Int) { state = Mutex(State(count: count)) }

    /// Asks for every key at once, each in a task of its own.
    ///
    /// - Parameters:
    ///   - deadline: when to stop waiting; a key that is not answered by then has `nil`, and its task is cancelled.
    ///   - eventLoop: where the deadline's timer runs.
    @inlinable
    package static func ask<Key: Sendable>(
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

    @inlinable
    func put(_ answer: Timed, at index: Int) {
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            // After the deadline an answer is too late: the request has been answered without it.
            guard !state.isClosed else { return nil }
            state.answers[index] = answer
            state.missing -= 1
            return state.missing == 0 ? state.takeWaiter() : nil
        }
        waiter?.resume()
    }

    @inlinable
    func close() { state.withLock { $0.takeWaiter() }?.resume() }

    @inlinable
    func wait() async {
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
