import NIOCore
import NIOHTTP1
import TestSupport
import Testing

@testable import ProviderServer

/// What holds whatever happens to a connection, in whatever order.
@Suite struct ConnectionPropertyTests {
    @Test(arguments: [false, true])
    func whateverHappensEachRequestHasOneAnswerAndEachConnectionEnds(isOrdered: Bool) throws {
        var (answers, ends) = (0, 0)
        for seed in 0..<2000 as Range<UInt64> {
            var connection = SimulatedConnection(seed: seed, isOrdered: isOrdered)
            for _ in 0..<60 {
                connection.step()
                try #require(connection.faults.isEmpty, "seed \(seed): \(connection.faults): \(connection.history)")
            }
            connection.windDown()
            try #require(connection.faults.isEmpty, "seed \(seed): \(connection.faults): \(connection.history)")
            answers += connection.answers
            if connection.hasEnded { ends += 1 }
        }
        #expect(ends == 2000)
        #expect(answers > 1000, "the events are such that something happens")
    }
}

/// A connection to which anything may happen, and what it does about it.
private struct SimulatedConnection {
    private var driver = ConnectionDriver()
    private var random: SeededGenerator
    private let isOrdered: Bool

    private(set) var faults: [String] = []
    private(set) var history: [String] = []
    private(set) var answers = 0
    /// The connection has been closed, or is about to be by the system.
    private(set) var hasEnded = false
    /// Nothing may be answered any more.
    private var isLast = false
    /// Requests that were taken and have no answer: one at most.
    private var open = 0
    private var hasDeadline = true
    private var isDelivering = false
    private var isLingering = false
    private enum Work { case admission, answer }
    private var work: Work?
    /// Whether the decoder is within a request.
    private var isInBody = false

    init(seed: UInt64, isOrdered: Bool) {
        random = SeededGenerator(seed: seed)
        self.isOrdered = isOrdered
    }

    private mutating func chance(_ one: Int) -> Bool { Int.random(in: 0..<one, using: &random) == 0 }

    mutating func step() {
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<55: receive()
        case 55..<63: tell("read completed") { $0.readCompleted() }
        case 63..<71: tell("read") { $0.readRequested() }
        case 71..<80: finishWork()
        case 80..<86:
            let isWritable = chance(2)
            tell("writable \(isWritable)") { $0.writabilityChanged(isWritable) }
        case 86..<88: tell("input closed") { $0.inputClosed() }
        case 88..<90: tell("quiesce") { $0.quiesce() }
        case 90: tell("cut") { $0.cut() }
        case 91..<93: tell("displaced") { $0.displaced() }
        case 93:
            if hasDeadline { tell("deadline") { $0.deadlinePassed() } }
        case 94: tell("failed") { $0.failed() }
        case 95:
            driver.machine.inputBroken(.invalidMethod)
            tell("broken") { $0.readCompleted() }
        case 96..<98: deliver()
        case 98: endLingering()
        default: if chance(10) { close() }
        }
    }

    /// Whatever happens: in the end there is an end.
    mutating func windDown() {
        for _ in 0..<100 where !hasEnded {
            if work != nil {
                finishWork()
            } else if isDelivering {
                deliver()
            } else if isLingering {
                endLingering()
            } else if hasDeadline {
                tell("deadline") { $0.deadlinePassed() }
            } else {
                faults.append("nothing ends it")
                return
            }
        }
        if !hasEnded { faults.append("it has no end") }
        close()
    }

    // MARK: Events

    private mutating func receive() {
        tell("bytes") { $0.bytesArrived() }
        let isHead = isOrdered ? !isInBody : chance(3)
        if isHead {
            isInBody = true
            let head =
                switch Int.random(in: 0..<8, using: &random) {
                case 0: ConnectionDriver.head(.http1_0)
                case 1: ConnectionDriver.head(hosts: [])
                case 2: ConnectionDriver.head(.http1_1, [("Connection", "close")])
                case 3: ConnectionDriver.head(.http1_1, [("Expect", "100-continue")])
                default: ConnectionDriver.head()
                }
            tell("head") { $0.received(.head(head)) }
        } else if chance(3) {
            let length = chance(10) ? 40 << 10 : 10
            tell("body") { $0.received(.body(ByteBuffer(repeating: 0x20, count: length))) }
        } else {
            isInBody = false
            tell("end") { $0.received(.end(nil)) }
        }
    }

    private mutating func finishWork() {
        switch work {
        case nil: break
        case .admission:
            work = nil
            let isAnswer = chance(2)
            tell("admitted") {
                $0.decided(isAnswer ? .answer(ConnectionDriver.answer()) : .body(ConnectionDriver.body()))
            }
        case .answer:
            work = nil
            tell("answered") { $0.answered(ConnectionDriver.answer()) }
        }
    }

    private mutating func deliver() {
        guard isDelivering else { return }
        isDelivering = false
        tell("delivered") { $0.delivered() }
    }

    private mutating func endLingering() {
        guard isLingering else { return }
        isLingering = false
        tell("lingering ended") { $0.lingeringEnded() }
    }

    private mutating func close() {
        hasEnded = true
        isLast = true
        tell("closed") { $0.closed() }
    }

    // MARK: Actions

    private mutating func tell(_ name: String, _ event: (inout ConnectionStateMachine) -> Void) {
        history.append(name)
        event(&driver.machine)
        carryOut()
        let isWaiting = hasDeadline || work != nil || isDelivering || isLingering
        if !hasEnded, !isWaiting { faults.append("after \(name) nothing ends it") }
    }

    private mutating func carryOut() {
        while let action = driver.machine.nextAction() {
            history.append("  " + ConnectionDriver.word(action))
            switch action {
            case .dispatch: dispatch()
            case .admit: begin(.admission)
            case .handOver:
                if chance(2) {
                    driver.machine.answered(ConnectionDriver.answer())
                } else {
                    driver.machine.answerTakesTime()
                    begin(.answer)
                }
            case .refuse:
                // Of a request whose body was coming, or of what is none.
                open = 1
                driver.machine.answered(ConnectionDriver.answer())
            case .write(let response): write(response)
            case .read: if work != nil, !hasEnded { faults.append("read while an answer is waited for") }
            case .enter(_, let time): hasDeadline = time != nil
            case .cancelWork: if work == nil { faults.append("there is no work to cancel") }
            case .end(let ending): end(ending)
            case .report, .writeContinue, .flush: break
            }
        }
    }

    private mutating func dispatch() {
        if open > 0 { faults.append("a request is taken before the one before it is answered") }
        open += 1
        switch Int.random(in: 0..<4, using: &random) {
        case 0: driver.machine.decided(.answer(ConnectionDriver.answer()))
        case 1: driver.machine.decided(.admission { .answer(ConnectionDriver.answer()) })
        default: driver.machine.decided(.body(ConnectionDriver.body()))
        }
    }

    private mutating func begin(_ work: Work) {
        if self.work != nil { faults.append("two answers are waited for") }
        self.work = work
    }

    private mutating func write(_ response: ConnectionAction.Response) {
        if isLast { faults.append("an answer after the last one") }
        if open != 1 { faults.append("\(open) requests are open when an answer is written") }
        open = 0
        answers += 1
        isLast = response.isLast
        driver.machine.willWrite(bytes: response.answer.body.count)
        // Writing may itself be what the client does not take, or takes again.
        if chance(4) {
            driver.machine.writabilityChanged(chance(2))
            carryOut()
        }
    }

    private mutating func end(_ ending: ConnectionAction.Ending) {
        isLast = true
        switch ending {
        case .whenDelivered: isDelivering = true
        case .linger: isLingering = true
        case .close, .idle, .displaced, .expired: hasEnded = true
        }
    }
}
