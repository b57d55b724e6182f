import NIOCore
import NIOHTTP1

/// What happens to the connection. Each method is one event; ``nextAction()`` tells what to do about it.
extension ConnectionStateMachine {
    mutating func opened(isTLS: Bool) {
        guard phase == .closed, case .idle = state else { return }
        enter(isTLS ? .handshake : .idle)
    }

    mutating func handshakeCompleted() {
        if phase == .handshake { enter(.idle) }
    }

    /// It is closed, whoever closed it. Whatever is under way goes on: its verdict is kept for who asks next.
    mutating func closed() {
        guard phase != .closed else { return }
        state = .closed
        discardInput()
        pending = nil
        ending = nil
        isReadHeld = false
        enter(.closed)
    }

    /// The client sends nothing more.
    mutating func inputClosed() {
        if case .lingering = state { end(.close) } else { input.isClosed = true }
    }

    mutating func failed() {
        if case .closed = state { return }
        end(.close)
    }

    /// The provider stops. A client that has connected and not asked yet is about to: it is given a moment.
    mutating func quiesce() {
        guard shutdown == .none else { return }
        shutdown = .quiescing
        if phase == .idle, !hasAsked { enter(.idle) }
    }

    /// Time is up: what is waited for is not waited for any longer.
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

    /// There are too many idle connections, and this one is idle for longest.
    mutating func displaced() {
        if phase == .idle { end(.displaced) }
    }

    /// The present phase has taken too long.
    mutating func deadlinePassed() {
        if case .closed = state { return }
        guard timeout != nil else { return }
        // Gatekeeper up to 3.21 never closes a connection: this is the usual end of one.
        end(phase == .idle ? .idle : .expired(phase))
    }

    // MARK: Input

    /// Something wants to read.
    mutating func readRequested() { isReadHeld = true }

    /// All that one read brings has been told.
    mutating func readCompleted() { output.isFlushDue = true }

    /// Bytes of a request have come: the first one starts the time for its head.
    mutating func bytesArrived() {
        guard phase == .idle, !input.isDiscarded else { return }
        input.firstLine = FirstLine()
        enter(.head)
    }

    /// What has come of a head that is not whole, or of what is none.
    mutating func see(_ bytes: ByteBufferView) { input.firstLine.take(bytes) }

    /// What was read is decoded: the next request may have begun with it.
    ///
    /// - Parameter last: the last bytes of it.
    mutating func bytesDecoded(_ last: UInt64?) {
        if phase == .idle, let end = input.bodyEnd, let last, end != last, !last.endsHead { bytesArrived() }
    }

    mutating func received(_ part: HTTPServerRequestPart) {
        // The rest of what is being decoded.
        guard !input.isDiscarded else { return }
        if backlog.isEmpty, !mustWait { return take(part) }
        // All that one read brings is decoded before anything of it can be answered, and a head is many times larger
        // than its bytes. The requests that were taken are answered; the last answer says that the others will not be
        // (RFC 9112, section 9.3.2).
        if case .head = part, backlog.requests == ConnectionStateMachine.mostWaiting {
            input.isDiscarded = true
            input.isClosed = true
            pending = .report(.pipelined(ConnectionStateMachine.mostWaiting))
        } else {
            backlog.append(part)
        }
    }

    /// What came is not HTTP. What is said of it waits until all is known of the bytes: until they have been read, or
    /// the client has closed.
    mutating func inputBroken(_ error: HTTPParserError) {
        guard !input.isDiscarded else { return }
        input.broken = BrokenHead(error: error, isInBody: backlog.last.map { !$0.isEnd } ?? state.isInBody)
        input.isDiscarded = true
    }

    // MARK: Answers

    /// What becomes of the request whose head has come.
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

    /// The answer to the request that was handed over is not at hand.
    mutating func answerTakesTime() {
        if case .answering = state { enter(.answer) }
    }

    mutating func answered(_ answer: JSONAnswer) {
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
            // There is more to answer, and the client does not take what is answered.
            enter(.delivery)
        }
    }

    /// The last answer is on its way, or will never be.
    mutating func delivered() {
        guard case .delivering(let lingers) = state else { return }
        if lingers {
            // Closed at once, the system of a client that is sending still would throw the answer away when that
            // arrives (RFC 9112, section 9.6). What comes is dropped.
            state = .lingering
            ending = .linger
        } else {
            end(.close)
        }
    }

    /// The client's end was waited for long enough.
    mutating func lingeringEnded() {
        if case .lingering = state { end(.close) }
    }
}
