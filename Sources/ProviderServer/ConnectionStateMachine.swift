import NIOCore
import NIOHTTP1

/// The state machine of one HTTP/1.1 connection: it takes requests one after the other, and has their answers written
/// in that order.
///
/// It performs no I/O, so that tests need neither a network nor a clock. Each method is one event. After it,
/// ``nextAction()`` is called until it returns `nil`, and each action is carried out. Carrying out an action may be an
/// event itself; then ``nextAction()`` is called again inside it, and no action is returned twice.
struct ConnectionStateMachine {
    var state = State.idle
    private(set) var phase = ConnectionPhase.closed
    var input = Input()
    var backlog = Backlog()
    var output = Output()
    var shutdown = Shutdown.none
    /// Whether a request has come on this connection.
    private(set) var hasAsked = false
    /// Whether a `read` of the pipeline is held back until more may be read.
    var isReadHeld = false

    // What is to be done, in the order of `nextAction`.
    var pending: ConnectionAction?
    private var hasEnteredPhase = false
    var ending: ConnectionAction.Ending?

    private let timeouts: PhaseTimeouts
    private let heads: NIOHTTPDecoderLimitConfiguration
    private let room: RequestBodyBudget

    /// A connection that is not open yet.
    ///
    /// - Parameters:
    ///   - heads: the limits of the HTTP decoder, for messages about requests that exceed them.
    ///   - room: the memory that the bodies of all requests share.
    init(timeouts: PhaseTimeouts, heads: NIOHTTPDecoderLimitConfiguration, room: RequestBodyBudget) {
        self.timeouts = timeouts
        self.heads = heads
        self.room = room
    }

    /// How much of an announced body is allocated before it arrives: to announce bytes costs a client nothing.
    static let reserved = 16 << 10
    /// How many pipelined requests may wait for an earlier one. Gatekeeper and Kyverno do not pipeline.
    static let mostWaiting = 16
    private static let mostUnflushed = 64 << 10
    /// How long a connection without a request stays open after the provider was told to stop.
    static let lastChance = TimeAmount.seconds(1)

    /// Whether all further input is dropped, before it is decoded.
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
            // TLS buffers writes until they are flushed; only then they count for the channel's writability.
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

    /// Takes the next part from the backlog, or ends the connection, unless something must be waited for.
    ///
    /// - Returns: whether the state has changed.
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
            // No further request was in the backlog: the deadline of an idle connection starts.
            enter(.idle)
            return true
        }
        guard case .idle = state, input.isClosed || (shutdown != .none && !mayStillAsk) else { return false }
        finish()
        return true
    }

    /// Whether no more input is taken now: the current request is not answered, or the client does not read its
    /// answers.
    var mustWait: Bool {
        switch state {
        case .admitting, .answering: true
        case .idle, .receivingBody, .discardingBody: !output.isWritable
        // While the connection ends, the client's end must be read.
        case .delivering, .lingering, .closed: false
        }
    }

    /// Whether a request is being received, or is about to be sent.
    private var mayStillAsk: Bool {
        switch phase {
        case .handshake, .head: true
        case .idle: !hasAsked
        case .body, .answer, .backpressure, .closed: false
        }
    }

    // MARK: Phases

    mutating func enter(_ phase: ConnectionPhase) {
        self.phase = phase
        hasEnteredPhase = true
    }

    /// How long the current phase may take; `nil` when we do not wait for the client. Nothing extends it: a client that
    /// sends a byte now and then would otherwise keep a connection for ever.
    var timeout: TimeAmount? {
        switch phase {
        case .handshake: timeouts.handshake
        case .head: timeouts.header
        case .body: timeouts.body
        case .idle where shutdown != .none: min(timeouts.idle, ConnectionStateMachine.lastChance)
        case .idle, .backpressure: timeouts.idle
        // The request is complete: we do not wait for the client.
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
        // The state gives up its reference, so that appending does not copy the bytes.
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

    mutating func respond(_ answer: HTTPAnswer, to request: RequestHead, isWhole: Bool) {
        let isLast =
            !request.isKeepAlive || answer.refusal?.isLast == true
            || ((input.isClosed || shutdown != .none) && backlog.isEmpty)
        // In HTTP/1.0 a connection persists only if both sides say so (RFC 9112, section 9.3).
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

    /// Answers input that is not an acceptable request, and closes the connection.
    ///
    /// - Returns: whether the state has changed.
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

    /// The current request is answered and read to its end.
    private mutating func becomeFree(isLast: Bool) {
        state = .idle
        if isLast {
            finish()
        } else if backlog.isEmpty {
            enter(.idle)
        } else if !output.isWritable {
            enter(.backpressure)
        }
    }

    // MARK: The end

    mutating func discardInput() {
        input.isDiscarded = true
        input.broken = nil
        backlog.removeAll()
    }

    /// Closes the connection once everything written has been handed to the system.
    private mutating func finish() {
        state = .delivering(lingers: input.isDiscarded)
        discardInput()
        // A client that does not read the answer gets as long as an idle one.
        if phase != .idle { enter(.idle) }
        ending = .whenDelivered
    }

    mutating func end(_ ending: ConnectionAction.Ending) {
        state = .closed
        discardInput()
        self.ending = ending
    }
}
