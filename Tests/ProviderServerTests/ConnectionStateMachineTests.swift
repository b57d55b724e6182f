import NIOCore
import NIOHTTP1
import Testing

@testable import ProviderServer

/// What a connection decides about sequences of events: without a network, without a clock.
@Suite struct ConnectionStateMachineTests {
    typealias Driver = ConnectionDriver

    // MARK: Requests

    @Test func aRequestIsDispatchedHandedOverAndAnswered() {
        var driver = Driver()
        #expect(driver.after { $0.bytesArrived() } == ["head 3 s"])
        #expect(driver.receive(.head(Driver.head())) == ["dispatch", "body 4 s"])
        #expect(driver.after { $0.decided(.body(Driver.body())) } == [])
        #expect(driver.receive(.body(ByteBuffer(string: "ab"))) == [])
        #expect(driver.receive(.body(ByteBuffer(string: "c"))) == [])
        #expect(driver.receive(.end(nil)) == ["hand over 3"])
        #expect(driver.after { $0.answered(Driver.answer()) } == ["write yes", "idle 30 s"])
        #expect(driver.after { $0.readCompleted() } == ["flush"])
        #expect(driver.after { $0.readCompleted() } == [])
    }

    @Test func anAnswerThatTakesTimeIsSentWhenItIsThere() {
        var driver = Driver()
        driver.receiveRequest()
        #expect(driver.after { $0.answerTakesTime() } == ["answer -"])
        #expect(driver.after { $0.readRequested() } == [])
        #expect(driver.after { $0.answered(Driver.answer()) } == ["write yes", "idle 30 s", "flush", "read"])
    }

    @Test func nothingIsReadOrTakenWhileItIsFoundOutWhoAsks() {
        var driver = Driver()
        _ = driver.receive(.head(Driver.head()))
        #expect(driver.after { $0.decided(.admission { .answer(Driver.answer()) }) } == ["admit", "answer -"])
        #expect(driver.receive(.body(ByteBuffer(string: "abc"))) == [])
        #expect(driver.receive(.end(nil)) == [])
        #expect(driver.after { $0.readRequested() } == [])
        #expect(driver.after { $0.decided(.body(Driver.body())) } == ["body 4 s", "hand over 3"])
    }

    @Test func theBodyOfAnAnsweredRequestIsDropped() {
        var driver = Driver()
        _ = driver.receive(.head(Driver.head()))
        #expect(driver.after { $0.decided(.answer(Driver.answer())) } == ["write yes", "flush"])
        #expect(driver.receive(.body(ByteBuffer(string: "abc"))) == [])
        #expect(driver.receive(.end(nil)) == ["idle 30 s"])
    }

    @Test func aClientThatWaitsForItIsToldToSendTheBody() {
        var driver = Driver()
        _ = driver.receive(.head(Driver.head(.http1_1, [("Expect", "100-continue")])))
        #expect(driver.after { $0.decided(.body(Driver.body())) } == ["continue"])
        var older = Driver()
        _ = older.receive(.head(Driver.head(.http1_0, [("Expect", "100-continue")])))
        #expect(older.after { $0.decided(.body(Driver.body())) } == [])
    }

    @Test func anOlderClientIsToldWhetherTheConnectionStays() {
        var driver = Driver()
        _ = driver.receive(.head(Driver.head(.http1_0, [("Connection", "keep-alive")])))
        #expect(driver.after { $0.decided(.answer(Driver.answer())) }.first == "write yes, keepAlive")
        _ = driver.receive(.end(nil))
        _ = driver.receive(.head(Driver.head(.http1_0)))
        #expect(driver.after { $0.decided(.answer(Driver.answer())) }.first == "write yes, close")
        #expect(driver.receive(.end(nil)) == ["idle 30 s", "end: whenDelivered"])
        #expect(driver.after { $0.delivered() } == ["end: close"])
    }

    @Test func pipelinedRequestsAreAnsweredInTheirOrder() {
        var driver = Driver()
        driver.receiveRequest()
        _ = driver.after { $0.answerTakesTime() }
        for _ in 0..<2 {
            #expect(driver.receive(.head(Driver.head())) == [])
            #expect(driver.receive(.end(nil)) == [])
        }
        #expect(driver.after { $0.answered(Driver.answer("1")) } == ["write 1", "dispatch", "body 4 s", "flush"])
        #expect(driver.after { $0.decided(.body(Driver.body())) } == ["hand over 0"])
        #expect(driver.after { $0.answered(Driver.answer("2")) } == ["write 2", "dispatch", "body 4 s"])
        #expect(driver.after { $0.decided(.body(Driver.body())) } == ["hand over 0"])
        #expect(driver.after { $0.answered(Driver.answer("3")) } == ["write 3", "idle 30 s"])
    }

    @Test func bytesOfTheNextRequestStartTheTimeForItsHead() {
        var driver = Driver()
        driver.receiveRequest()
        _ = driver.after { $0.answered(Driver.answer()) }
        // Nothing is known of a body: it had none.
        #expect(driver.after { $0.bytesDecoded(1) } == [])
        _ = driver.receive(.head(Driver.head()))
        _ = driver.after { $0.decided(.body(Driver.body())) }
        _ = driver.receive(.body(ByteBuffer(string: "12345678")))
        _ = driver.receive(.end(nil))
        _ = driver.after { $0.answered(Driver.answer()) }
        let end = ByteBuffer(string: "12345678").lastBytes
        #expect(driver.after { $0.bytesDecoded(end) } == [])
        #expect(driver.after { $0.bytesDecoded(end.map { $0 + 1 }) } == ["head 3 s"])
    }

    // MARK: Limits

    @Test func aBodyThatIsTooLargeIsAnsweredAtOnce() {
        var driver = Driver()
        _ = driver.receive(.head(Driver.head(.http1_1, [("Content-Length", "11")])))
        #expect(driver.after { $0.decided(.body(Driver.body(maximum: 10))) } == ["write too large", "flush"])
        #expect(driver.receive(.end(nil)) == ["idle 30 s"])
        _ = driver.receive(.head(Driver.head()))
        _ = driver.after { $0.decided(.body(Driver.body(maximum: 10))) }
        #expect(driver.receive(.body(ByteBuffer(string: "0123456789"))) == [])
        #expect(driver.receive(.body(ByteBuffer(string: "0"))) == ["write too large", "flush"])
        #expect(driver.receive(.body(ByteBuffer(string: "0"))) == [])
        #expect(driver.receive(.end(nil)) == ["idle 30 s"])
    }

    @Test func aBodyWithoutRoomIsRefused() {
        var driver = Driver()
        _ = driver.receive(.head(Driver.head()))
        _ = driver.after { $0.decided(.body(Driver.body(maximum: 1 << 20))) }
        let actions = driver.receive(.body(ByteBuffer(repeating: 0x20, count: 65 << 10)))
        #expect(actions == ["refuse no room for its body"])
        #expect(driver.machine.isDiscardingInput)
        #expect(
            driver.after { $0.answered(Driver.answer("no")) } == [
                "write no, close", "idle 30 s", "flush", "end: whenDelivered",
            ])
        // The client may be sending still.
        #expect(driver.after { $0.delivered() } == ["end: linger"])
        #expect(driver.after { $0.readRequested() } == ["read"])
        #expect(driver.after { $0.lingeringEnded() } == ["end: close"])
    }

    @Test func tooManyRequestsAtOnceAreNotTaken() {
        var driver = Driver()
        driver.receiveRequest()
        _ = driver.after { $0.answerTakesTime() }
        for _ in 0..<ConnectionStateMachine.mostWaiting {
            #expect(driver.receive(.head(Driver.head())) == [])
            #expect(driver.receive(.end(nil)) == [])
        }
        #expect(driver.receive(.head(Driver.head())) == ["report too many requests at once"])
        #expect(driver.receive(.head(Driver.head())) == [])
        var actions = driver.after { $0.answered(Driver.answer()) }
        for _ in 0..<ConnectionStateMachine.mostWaiting {
            #expect(actions.first == "write yes")
            _ = driver.after { $0.decided(.body(Driver.body())) }
            actions = driver.after { $0.answered(Driver.answer()) }
        }
        #expect(actions == ["write yes, close", "idle 30 s", "flush", "end: whenDelivered"])
    }

    @Test func muchThatWasWrittenIsSentBeforeMoreIsAnswered() {
        var driver = Driver()
        driver.receiveRequest()
        let large = Driver.answer(String(repeating: "x", count: 65 << 10))
        #expect(driver.after { $0.answered(large) }.suffix(2) == ["idle 30 s", "flush"])
    }

    @Test func aRequestWithoutAHostIsRefused() {
        var driver = Driver()
        #expect(driver.receive(.head(Driver.head(hosts: []))) == ["refuse host", "body 4 s"])
        var twice = Driver()
        #expect(twice.receive(.head(Driver.head(hosts: ["a", "b"]))) == ["refuse host", "body 4 s"])
    }

    @Test func whatIsNotHTTPIsToldSoWhenAllThatWasReadIsKnown() {
        var driver = Driver()
        driver.machine.inputBroken(.invalidMethod)
        #expect(driver.machine.isDiscardingInput)
        #expect(driver.after { $0.readCompleted() } == ["refuse not HTTP"])
        #expect(driver.after { $0.answered(Driver.answer("no")) }.contains("write no, close"))
    }

    @Test func whatIsNotHTTPIsToldSoAfterTheAnswersThatAreDue() {
        var driver = Driver()
        driver.receiveRequest()
        _ = driver.after { $0.answerTakesTime() }
        driver.machine.inputBroken(.invalidMethod)
        #expect(driver.after { $0.readCompleted() } == [])
        #expect(
            driver.after { $0.answered(Driver.answer()) } == ["write yes", "idle 30 s", "refuse not HTTP", "flush"])
        #expect(driver.after { $0.answered(Driver.answer("no")) }.first == "write no, close")
    }

    /// It has its answer.
    @Test func aBodyThatIsNotHTTPIsNotAnsweredTwice() {
        var driver = Driver()
        _ = driver.receive(.head(Driver.head()))
        _ = driver.after { $0.decided(.answer(Driver.answer())) }
        driver.machine.inputBroken(.invalidChunkSize)
        #expect(driver.after { $0.readCompleted() } == ["idle 30 s", "end: whenDelivered"])
        #expect(driver.after { $0.delivered() } == ["end: linger"])
    }

    @Test func aClientThatDoesNotTakeItsAnswersGetsNoMore() {
        var driver = Driver()
        driver.receiveRequest()
        _ = driver.after { $0.answerTakesTime() }
        _ = driver.receive(.head(Driver.head()))
        _ = driver.receive(.end(nil))
        #expect(driver.after { $0.writabilityChanged(false) } == [])
        #expect(driver.after { $0.answered(Driver.answer()) } == ["write yes", "backpressure 30 s", "flush"])
        #expect(driver.after { $0.readRequested() } == [])
        #expect(driver.after { $0.writabilityChanged(true) } == ["dispatch", "body 4 s"])
    }

    /// What is written may itself be what the client does not take.
    @Test func theTimeToTakeAnAnswerBeginsWhenItIsNotTaken() {
        var driver = Driver()
        driver.receiveRequest()
        _ = driver.after { $0.answerTakesTime() }
        _ = driver.receive(.head(Driver.head()))
        driver.machine.answered(Driver.answer())
        guard case .write = driver.machine.nextAction() else {
            Issue.record("the answer comes first")
            return
        }
        #expect(driver.after { $0.writabilityChanged(false) } == ["backpressure 30 s"])
        #expect(driver.after { $0.deadlinePassed() } == ["end: expired(ProviderServer.ConnectionPhase.backpressure)"])
    }

    // MARK: Time

    @Test(arguments: [
        (ConnectionPhase.handshake, "handshake 1 s"), (.idle, "idle 30 s"), (.head, "head 3 s"), (.body, "body 4 s"),
    ])
    func aPhaseThatTakesTooLongEndsTheConnection(phase: ConnectionPhase, word: String) {
        var driver = Driver()
        switch phase {
        case .handshake:
            driver.machine = Driver.closedMachine()
            #expect(driver.after { $0.opened(isTLS: true) } == [word])
        case .head: #expect(driver.after { $0.bytesArrived() } == [word])
        case .body: #expect(driver.receive(.head(Driver.head())).last == word)
        case .idle, .answer, .backpressure, .closed: break
        }
        #expect(driver.machine.phase == phase)
        let ending = phase == .idle ? "idle" : "expired(ProviderServer.ConnectionPhase.\(phase))"
        #expect(driver.after { $0.deadlinePassed() } == ["end: \(ending)"])
        #expect(driver.after { $0.deadlinePassed() } == [])
        #expect(driver.receive(.head(Driver.head())) == [], "nothing is answered after the end")
    }

    @Test func aHandshakeIsFollowedByTheTimeForARequest() {
        var driver = Driver()
        #expect(driver.after { $0.handshakeCompleted() } == [], "there was none")
        driver.machine = Driver.closedMachine()
        #expect(driver.after { $0.opened(isTLS: true) } == ["handshake 1 s"])
        #expect(driver.after { $0.handshakeCompleted() } == ["idle 30 s"])
    }

    @Test func onlyAnIdleConnectionMakesRoom() {
        var driver = Driver()
        driver.receiveRequest()
        #expect(driver.after { $0.displaced() } == [])
        _ = driver.after { $0.answered(Driver.answer()) }
        #expect(driver.after { $0.displaced() } == ["flush", "end: displaced"])
    }

    // MARK: Ends

    @Test func aClientMayCloseItsSideWhenItHasAsked() {
        var driver = Driver()
        driver.receiveRequest()
        _ = driver.after { $0.answerTakesTime() }
        #expect(driver.after { $0.inputClosed() } == [])
        #expect(
            driver.after { $0.answered(Driver.answer()) } == [
                "write yes, close", "idle 30 s", "flush", "end: whenDelivered",
            ])
        #expect(driver.after { $0.delivered() } == ["end: close"])
    }

    @Test func aClientThatClosesBetweenRequestsIsLetGo() {
        var driver = Driver()
        #expect(driver.after { $0.inputClosed() } == ["end: whenDelivered"])
    }

    @Test func theProviderStopsAfterWhatWasAsked() {
        var driver = Driver()
        driver.receiveRequest()
        _ = driver.after { $0.answerTakesTime() }
        #expect(driver.after { $0.quiesce() } == [])
        #expect(driver.after { $0.answered(Driver.answer()) }.first == "write yes, close")
        var idle = Driver()
        idle.receiveRequest()
        _ = idle.after { $0.answered(Driver.answer()) }
        #expect(idle.after { $0.quiesce() } == ["flush", "end: whenDelivered"])
    }

    @Test func whoHasNotAskedYetIsGivenAMomentWhenTheProviderStops() {
        var driver = Driver()
        #expect(driver.after { $0.quiesce() } == ["idle 1 s"])
        _ = driver.after { $0.bytesArrived() }
        #expect(driver.receive(.head(Driver.head())) == ["dispatch", "body 4 s"])
        #expect(driver.after { $0.decided(.answer(Driver.answer())) }.first == "write yes, close")
    }

    @Test func whenTimeIsUpWhatIsUnderWayIsAnsweredAndTheRestIsNot() {
        var answering = Driver()
        answering.receiveRequest()
        _ = answering.after { $0.answerTakesTime() }
        _ = answering.receive(.head(Driver.head()))
        #expect(answering.after { $0.cut() } == ["cancel"])
        #expect(answering.after { $0.answered(Driver.answer("late")) }.first == "write late, close")
        var receiving = Driver()
        _ = receiving.receive(.head(Driver.head()))
        _ = receiving.after { $0.decided(.body(Driver.body())) }
        #expect(receiving.after { $0.cut() } == ["end: close"])
        var admitting = Driver()
        _ = admitting.receive(.head(Driver.head()))
        _ = admitting.after { $0.decided(.admission { .answer(Driver.answer()) }) }
        #expect(admitting.after { $0.cut() } == ["cancel"])
        #expect(admitting.after { $0.decided(.body(Driver.body())) } == ["body 4 s", "end: close"])
    }

    @Test func anAnswerToWhoHasLeftGoesNowhere() {
        var driver = Driver()
        driver.receiveRequest()
        _ = driver.after { $0.answerTakesTime() }
        #expect(driver.after { $0.closed() } == ["closed -"])
        #expect(driver.after { $0.answered(Driver.answer()) } == [])
        #expect(driver.after { $0.closed() } == [])
        #expect(driver.after { $0.opened(isTLS: false) } == [])
    }

    @Test func aFailureEndsTheConnection() {
        var driver = Driver()
        driver.receiveRequest()
        _ = driver.after { $0.answered(Driver.answer()) }
        #expect(driver.after { $0.failed() } == ["flush", "end: close"])
        #expect(driver.after { $0.failed() } == [])
    }
}
