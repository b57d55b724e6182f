import NIOPosix
import Synchronization
import TestSupport
import Testing

@testable import ProviderServer

@Suite struct FanOutTests {
    private let eventLoop = MultiThreadedEventLoopGroup.singleton.any()

    @Test func everyKeyIsAskedAtOnceAndAnsweredInItsPlace() async {
        let running = Mutex(0)
        let answers = await FanOut<String>.ask(["a", "b", "c"], until: .now + .seconds(10), on: eventLoop) { key in
            running.withLock { $0 += 1 }
            while running.withLock({ $0 }) < 3 { await Task.yield() }
            return key + key
        }
        #expect(answers.map { $0?.answer } == ["aa", "bb", "cc"])
    }

    @Test func whatIsNotThereByTheDeadlineIsMissing() async {
        let gate = Gate()
        let start = ContinuousClock.now
        let answers = await FanOut<String>.ask(["quick", "stuck"], until: start + .seconds(3), on: eventLoop) {
            key in
            if key == "stuck" { await gate.wait() }
            return key
        }
        #expect(answers.map { $0?.answer } == ["quick", nil])
        #expect(ContinuousClock.now - start < .seconds(20))
    }

    @Test func aLateTaskIsCancelled() async {
        let cancelled = Gate()
        _ = await FanOut<Bool>.ask(["slow"], until: .now + .milliseconds(50), on: eventLoop) { _ in
            try? await Task.sleep(for: .seconds(60))
            if Task.isCancelled { cancelled.open() }
            return true
        }
        await cancelled.wait()
    }

    @Test func aPastDeadlineAnswersAtOnce() async {
        let answers = await FanOut<Bool>.ask(["a"], until: .now - .seconds(1), on: eventLoop) { _ in
            try? await Task.sleep(for: .seconds(60))
            return true
        }
        #expect(answers.map { $0?.answer } == [nil])
    }

    @Test func noKeysNoAnswers() async {
        let answers = await FanOut<Bool>.ask([String](), until: .now, on: eventLoop) { _ in true }
        #expect(answers.isEmpty)
    }
}
