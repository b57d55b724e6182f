import NIOCore
import NIOHTTP1

/// The events of a connection, one method each. After each, ``nextAction()`` returns what to do about it.
extension ConnectionStateMachine {
    mutating func opened(isTLS: Bool) {
        guard phase == .closed, case .idle = state else { return }
        enter(isTLS ? .handshake : .idle)
    }

    mutating func handshakeCompleted() {
        if phase == .handshake { enter(.idle) }
    }

    /// The connection is closed, by either side. Work under way goes on: its verdict is cached for the next request.
    mutating func closed() {
        guard phase != .closed else { return }
        state = .closed
        discardInput()
        pending = nil
        ending = nil
        isReadHeld = false
        enter(.closed)
    }

    /// The client has closed its side: it sends nothing more.
    mutating func inputClosed() {
        if case .lingering = state { end(.close) } else { input.isClosed = true }
    }

    mutating func failed() {
        if case .closed = state { return }
        end(.close)
    }

    /// The provider stops. A client that has connected and not sent a request yet is about to: it is given a moment.
    mutating func quiesce() {
        guard shutdown == .none else { return }
        shutdown = .quiescing
        if phase == .idle, !hasAsked { enter(.idle) }
    }

    /// The grace period of the shutdown is over: work under way is cancelled, and the connection ends.
    mutating func cut() {
        shutdown = .cut
        input.isClosed = true
        backlog.removeAll()
        switch state {
        case .admitting, .answering: pending = .cancelWork
        case .idle, .receivingBody, .discardingBody, .delivering, .lingering: end(.close)
        case .closed: break
        }
    }

    /// There are too many idle connections, and this one has been idle for the longest time.
    mutating func displaced() {
        if phase == .idle { end(.displaced) }
    }

    /// The current phase has taken too long.
    mutating func deadlinePassed() {
        if case .closed = state { return }
        guard timeout != nil else { return }
        // Gatekeeper up to 3.21 never closes a connection: this is the usual end of one.
        end(phase == .idle ? .idle : .expired(phase))
    }

    // MARK: Input

    /// The pipeline asks for a read. It is held until more may be read.
    mutating func readRequested() { isReadHeld = true }

    /// Everything that one read brought has been received.
    mutating func readCompleted() { output.isFlushDue = true }

    /// Bytes have arrived, not decoded yet: the first ones of a request start the deadline of its head.
    mutating func bytesArrived() {
        guard phase == .idle, !input.isDiscarded else { return }
        input.firstLine = FirstLine()
        enter(.head)
    }

    /// The bytes so far of a head that is incomplete or not HTTP: its first line is kept for the error message.
    mutating func see(_ bytes: ByteBufferView) { input.firstLine.take(bytes) }

    /// The bytes that arrived are decoded. Those beyond the end of a request begin the next one.
    ///
    /// - Parameter last: the last eight bytes of what arrived; `nil` when there are fewer.
    mutating func bytesDecoded(_ last: UInt64?) {
        if phase == .idle, let end = input.bodyEnd, let last, end != last, !last.endsHead { bytesArrived() }
    }

    mutating func received(_ part: HTTPServerRequestPart) {
        // The decoder finishes the bytes that it already has.
        guard !input.isDiscarded else { return }
        if backlog.isEmpty, !mustWait { return take(part) }
        // Everything that one read brings is decoded before any of it can be answered, and a decoded head takes many
        // times its bytes. So the number of pipelined requests is limited. Those that were taken are answered, the last
        // one with `Connection: close`, which says that the others will not be (RFC 9112, section 9.3.2).
        if case .head = part, backlog.requests == ConnectionStateMachine.mostWaiting {
            input.isDiscarded = true
            input.isClosed = true
            pending = .report(.pipelined(ConnectionStateMachine.mostWaiting))
        } else {
            backlog.append(part)
        }
    }

    /// The input is not HTTP. The answer waits until the bytes have been read, or the client has closed, for the first
    /// line tells what they are.
    mutating func inputBroken(_ error: HTTPParserError) {
        guard !input.isDiscarded else { return }
        input.broken = BrokenHead(error: error, isInBody: backlog.last.map { !$0.isEnd } ?? state.isInBody)
        input.isDiscarded = true
    }

    // MARK: Answers

    /// The routes have decided what to do with the request whose head was dispatched.
    mutating func decided(_ disposition: RequestDisposition) {
        guard case .admitting(let request) = state else { return }
        if phase == .answer {
            enter(.body)
            output.isFlushDue = true
        }
        switch disposition {
        case .answer(let answer): respond(answer, to: request, isWhole: false)
        case .body where shutdown == .cut: end(.close)
        case .body(let wanted):
            if let length = request.length, length > wanted.maximum {
                return respond(wanted.tooLarge(), to: request, isWhole: false)
            }
            var bytes: [UInt8] = []
            bytes.reserveCapacity(min(request.length ?? 0, ConnectionStateMachine.reserved))
            state = .receivingBody(request, wanted, bytes)
            if request.expectsContinue, !request.isHTTP10 { pending = .writeContinue }
        case .admission(let admit):
            enter(.answer)
            pending = .admit(admit)
        }
    }

    /// The answer to the request that was handed over comes later.
    mutating func answerTakesTime() {
        if case .answering = state { enter(.answer) }
    }

    mutating func answered(_ answer: HTTPAnswer) {
        guard case .answering(let request) = state else { return }
        if phase == .answer { output.isFlushDue = true }
        respond(answer, to: request, isWhole: true)
    }

    // MARK: Output

    mutating func willWrite(bytes: Int) { output.unflushedBytes += bytes }

    mutating func writabilityChanged(_ isWritable: Bool) {
        output.isWritable = isWritable
        if isWritable {
            output.isFlushDue = true
        } else if case .idle = state, !backlog.isEmpty {
            // There are more requests to answer, and the client does not read its answers.
            enter(.backpressure)
        }
    }

    /// The last answer was handed to the system, or writing it has failed.
    mutating func delivered() {
        guard case .delivering(let lingers) = state else { return }
        if lingers {
            // If we closed at once, more input would make our system reset the connection, and the client's system
            // could discard the answer unread (RFC 9112, section 9.6). So our side is closed, and input is dropped.
            state = .lingering
            ending = .linger
        } else {
            end(.close)
        }
    }

    /// The client has not closed its side in time.
    mutating func lingeringEnded() {
        if case .lingering = state { end(.close) }
    }
}
