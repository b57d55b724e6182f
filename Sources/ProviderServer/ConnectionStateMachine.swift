import NIOCore
import NIOHTTP1

/// Decides what a connection does about what happens to it: takes requests one after the other, and has their answers
/// written in that order.
///
/// It does nothing itself, so that tests need neither a network nor a clock. Each method tells it one event;
/// ``nextAction()`` then tells what to do, one thing at a time, until there is nothing more. Carrying something out may
/// itself be an event, whose actions are asked for there and then: what was decided is never decided twice.
struct ConnectionStateMachine {
    var state = State.idle
    private(set) var phase = ConnectionPhase.closed
    var input = Input()
    var backlog = Backlog()
    var output = Output()
    var shutdown = Shutdown.none
    /// Whether a request has come at all.
    private(set) var hasAsked = false
    /// Something wants to be read, and must wait.
    var isReadHeld = false

    // What is to be done, in the order of `nextAction`.
    var pending: ConnectionAction?
    private var hasEnteredPhase = false
    var ending: ConnectionAction.Ending?

    private let timeouts: PhaseTimeouts
    private let heads: NIOHTTPDecoderLimitConfiguration
    private let room: RequestRoom

    /// A connection that is not open yet.
    ///
    /// - Parameters:
    ///   - heads: the limits of the decoder that finds the requests.
    ///   - room: what the bodies of all requests may take.
    init(timeouts: PhaseTimeouts, heads: NIOHTTPDecoderLimitConfiguration, room: RequestRoom) {
        self.timeouts = timeouts
        self.heads = heads
        self.room = room
    }

    /// The room for a body that is made before it comes: what a client announces costs it nothing.
    static let reserved = 16 << 10
    /// How many requests of a client may wait for one before them. Gatekeeper and Kyverno wait for each answer.
    static let mostWaiting = 16
    private static let mostUnflushed = 64 << 10
    /// How long a connection that has not asked yet is waited for when the provider stops.
    static let lastChance = TimeAmount.seconds(1)

    /// Whether whatever comes is dropped, before it is decoded.
    var isDiscardingInput: Bool { input.isDiscarded }

    // MARK: What to do

    /// What to do next; `nil` until the next event.
    mutating func nextAction() -> ConnectionAction? {
        repeat {
            if let action = pending {
                pending = nil
                return action
            }
            if hasEnteredPhase {
                hasEnteredPhase = false
                return .enter(phase, timeout)
            }
            // Only what is flushed counts for whether the client takes its answers.
            if output.unflushedBytes > ConnectionStateMachine.mostUnflushed { return flush() }
        } while advance()
        if output.isFlushDue || ending != nil {
            output.isFlushDue = false
            if output.unflushedBytes > 0 { return flush() }
        }
        if let ending {
            self.ending = nil
            return .end(ending)
        }
        if isReadHeld, !mustWait {
            isReadHeld = false
            return .read
        }
        return nil
    }

    private mutating func flush() -> ConnectionAction {
        output.unflushedBytes = 0
        return .flush
    }

    /// Looks at the next thing that was read, or ends the connection, as far as nothing must be waited for.
    ///
    /// - Returns: whether something has changed.
    private mutating func advance() -> Bool {
        if !mustWait, let part = backlog.popFirst() {
            take(part)
            return true
        }
        guard backlog.isEmpty else { return false }
        if let broken = input.broken {
            return refuse(
                RequestFault(broken, limits: heads, length: input.firstLine.length, isTLS: input.firstLine.isTLS))
        }
        if case .idle = state, phase == .answer {
            // What was left began no request: there is always a time that ends the connection.
            enter(.idle)
            return true
        }
        guard case .idle = state, input.isClosed || (shutdown != .none && !mayStillAsk) else { return false }
        finish()
        return true
    }

    /// Whether nothing more is to be looked at now: the present request is not answered, or the client does not take
    /// its answers.
    var mustWait: Bool {
        switch state {
        case .admitting, .answering: true
        case .idle, .receivingBody, .discardingBody: !output.isWritable
        // Where the connection ends, its end must be seen.
        case .delivering, .lingering, .closed: false
        }
    }

    /// Whether a request is on its way although nothing whole has come of it, or is about to be sent.
    private var mayStillAsk: Bool {
        switch phase {
        case .handshake, .head: true
        case .idle: !hasAsked
        case .body, .answer, .delivery, .closed: false
        }
    }

    // MARK: Phases

    mutating func enter(_ phase: ConnectionPhase) {
        self.phase = phase
        hasEnteredPhase = true
    }

    /// How long the present phase may take. Nothing moves its end: a client that sends a byte now and then would
    /// otherwise keep a connection for ever.
    var timeout: TimeAmount? {
        switch phase {
        case .handshake: timeouts.handshake
        case .head: timeouts.header
        case .body: timeouts.body
        case .idle where shutdown != .none: min(timeouts.idle, ConnectionStateMachine.lastChance)
        case .idle, .delivery: timeouts.idle
        // The request is whole: nothing is expected of the client.
        case .answer, .closed: nil
        }
    }

    // MARK: Requests

    mutating func take(_ part: HTTPServerRequestPart) {
        switch part {
        case .head(let head): take(head)
        case .body(let buffer): take(buffer)
        case .end: takeEnd()
        }
    }

    private mutating func take(_ head: HTTPRequestHead) {
        guard case .idle = state else { return }
        hasAsked = true
        enter(.body)
        input.bodyEnd = nil
        let request = RequestHead(head)
        if let fault = request.fault {
            _ = refuse(fault)
        } else {
            state = .admitting(request)
            pending = .dispatch(head)
        }
    }

    private mutating func take(_ buffer: ByteBuffer) {
        guard case .receivingBody(let request, var wanted, var bytes) = state else { return }
        guard bytes.count + buffer.readableBytes <= wanted.maximum else {
            return respond(wanted.tooLarge(), to: request, isWhole: false)
        }
        guard wanted.hasRoom(for: bytes.count + buffer.readableBytes, in: room) else {
            _ = refuse(.crowded)
            return
        }
        input.bodyEnd = buffer.lastBytes
        // The only reference to the bytes is here while they grow.
        state = .idle
        bytes.append(contentsOf: buffer.readableBytesView)
        state = .receivingBody(request, wanted, bytes)
    }

    private mutating func takeEnd() {
        switch state {
        case .receivingBody(let request, let wanted, let bytes):
            state = .answering(request)
            pending = .handOver(wanted, bytes)
        case .discardingBody(let isLast): becomeFree(isLast: isLast)
        case .idle, .admitting, .answering, .delivering, .lingering, .closed: break
        }
    }

    mutating func respond(_ answer: JSONAnswer, to request: RequestHead, isWhole: Bool) {
        let isLast =
            !request.isKeepAlive || answer.refusal?.isLast == true
            || ((input.isClosed || shutdown != .none) && backlog.isEmpty)
        // HTTP/1.0 knows no connection that stays unless both sides say so (RFC 9112, section 9.3).
        pending = .write(
            ConnectionAction.Response(
                answer: answer, isHead: request.isHead,
                connection: isLast ? .close : request.isHTTP10 ? .keepAlive : nil))
        if isWhole {
            becomeFree(isLast: isLast)
        } else {
            state = .discardingBody(isLast: isLast)
            output.isFlushDue = true
        }
    }

    /// Has what cannot be taken as a request answered, and the connection closed.
    ///
    /// - Returns: whether something has changed.
    private mutating func refuse(_ fault: RequestFault) -> Bool {
        switch state {
        case .idle, .receivingBody:
            discardInput()
            state = .answering(.none)
            pending = .refuse(fault)
            return true
        case .discardingBody:
            // It has its answer.
            finish()
            return true
        case .admitting, .answering, .delivering, .lingering, .closed: return false
        }
    }

    /// The present request is answered and read to its end.
    private mutating func becomeFree(isLast: Bool) {
        state = .idle
        if isLast {
            finish()
        } else if backlog.isEmpty {
            enter(.idle)
        } else if !output.isWritable {
            enter(.delivery)
        }
    }

    // MARK: The end

    mutating func discardInput() {
        input.isDiscarded = true
        input.broken = nil
        backlog.removeAll()
    }

    /// Closes the connection when all that was written is on its way.
    private mutating func finish() {
        state = .delivering(lingers: input.isDiscarded)
        discardInput()
        // A client that does not take the answer is not waited for longer than one that does not ask.
        if phase != .idle { enter(.idle) }
        ending = .whenDelivered
    }

    mutating func end(_ ending: ConnectionAction.Ending) {
        state = .closed
        discardInput()
        self.ending = ending
    }
}
