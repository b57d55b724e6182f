import NIOCore
import NIOExtras
import NIOHTTP1
import NIOTLS

/// One connection: takes its requests one after the other, and writes their answers in that order.
///
/// A request whose answer is at hand is answered where its last byte is read. While another is waited for, nothing more
/// is read from the connection; what has been read already waits in ``parts``, at most what one read brings.
final class ProviderConnection: ChannelDuplexHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Sent to a connection when time is up: what is waited for is not waited for any longer.
    struct Cut: Sendable {}

    private enum State {
        /// Between two requests.
        case between
        /// It is being found out who asks.
        case admitting(Request)
        /// The body is coming.
        case receiving(Request, AwaitedBody, [UInt8])
        /// The answer is written, and the rest of the body is read and dropped.
        case dropping(isLast: Bool)
        /// The request is whole, its answer takes a while.
        case answering(Request)
        /// Nothing more is answered.
        case closing
    }

    /// What is kept of a head.
    private struct Request {
        let isHead: Bool
        let isKeepAlive: Bool
        let isHTTP10: Bool
        let expectsContinue: Bool
        let length: Int?

        init(_ head: HTTPRequestHead) {
            isHead = head.method == .HEAD
            isKeepAlive = head.isKeepAlive
            isHTTP10 = head.version == .http1_0
            expectsContinue = head.expectsContinue
            length = head.headers.first(name: "content-length").flatMap { Int($0) }
        }
    }

    private let responder: any ProviderResponder
    private let timeouts: ConnectionTimeouts
    private var state = State.between
    /// What has been read and not looked at.
    private var parts = CircularBuffer<HTTPServerRequestPart>()
    /// What an answer is made by that takes a while.
    private var task: Task<Void, Never>?
    /// Something wants to be read, and must wait.
    private var isReadHeld = false
    private var needsFlush = false
    /// The client sends nothing more, or is not listened to any more.
    private var isInputClosed = false
    /// Time is up.
    private var isCut = false
    /// The provider is stopping: what has been asked is answered, and then the connection ends.
    private var isQuiescing = false
    /// Done when the answer that is the last one of the connection has been handed over.
    private var lastWrite: EventLoopFuture<Void>?
    /// What came after ``parts`` is not HTTP.
    private var isBroken = false

    init(responder: any ProviderResponder, limits: ConnectionLimits) {
        self.responder = responder
        timeouts = ConnectionTimeouts(limits: limits)
    }

    // MARK: The connection

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { timeouts.opened(context) }
    }

    func channelActive(context: ChannelHandlerContext) {
        timeouts.opened(context)
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        end(context)
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) { end(context) }

    private func end(_ context: ChannelHandlerContext) {
        timeouts.closed(context)
        state = .closing
        parts.removeAll()
        // Whatever is under way goes on: its verdict is kept for who asks next.
        task = nil
    }

    fileprivate func bytesArrived(_ context: ChannelHandlerContext) { timeouts.bytesArrived(context) }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case TLSUserEvent.handshakeCompleted: timeouts.handshakeCompleted(context)
        case is IdleConnections.CloseIfIdle:
            if timeouts.isDisplaced() {
                state = .closing
                flush(context)
                context.closeAtOnce()
            }
        case ChannelEvent.inputClosed:
            isInputClosed = true
            proceed(context)
        case is ChannelShouldQuiesceEvent:
            isQuiescing = true
            timeouts.quiesce(context)
            proceed(context)
        case is Cut:
            isCut = true
            isInputClosed = true
            parts.removeAll()
            task?.cancel()
            if task == nil { close(context) }
        default: break
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        timeouts.failed(error, context)
        switch error {
        case is HTTPParserError:
            isBroken = true
            proceed(context)
        // More has come after what is not HTTP.
        case is ByteToMessageDecoderError: break
        default: close(context)
        }
    }

    private func close(_ context: ChannelHandlerContext) {
        state = .closing
        parts.removeAll()
        flush(context)
        context.close(promise: nil)
    }

    // MARK: Reading

    func read(context: ChannelHandlerContext) {
        if mustWait(context) { isReadHeld = true } else { context.read() }
    }

    /// Whether nothing more is to be read now: the present request is not answered, or the client does not take its
    /// answers.
    private func mustWait(_ context: ChannelHandlerContext) -> Bool {
        switch state {
        case .admitting, .answering: true
        case .between, .receiving, .dropping: !context.channel.isWritable
        // Where the connection ends, its end must be seen.
        case .closing: false
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let part = unwrapInboundIn(data)
        if parts.isEmpty, !mustWait(context) {
            take(part, context)
        } else {
            parts.append(part)
        }
        proceed(context)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        flush(context)
        context.fireChannelReadComplete()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { resume(context) }
        context.fireChannelWritabilityChanged()
    }

    /// Goes on after something was waited for.
    private func resume(_ context: ChannelHandlerContext) {
        proceed(context)
        flush(context)
        if isReadHeld, !mustWait(context) {
            isReadHeld = false
            context.read()
        }
    }

    /// Takes what has been read, as far as nothing must be waited for.
    private func proceed(_ context: ChannelHandlerContext) {
        while !parts.isEmpty, !mustWait(context) { take(parts.removeFirst(), context) }
        guard parts.isEmpty else { return }
        if isBroken { refuse(context) }
        guard case .between = state else { return }
        if isInputClosed || (isQuiescing && !timeouts.mayStillAsk) { finish(context) }
    }

    private func take(_ part: HTTPServerRequestPart, _ context: ChannelHandlerContext) {
        switch part {
        case .head(let head): take(head, context)
        case .body(let buffer): take(buffer, context)
        case .end: takeEnd(context)
        }
    }

    private func take(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        guard case .between = state else { return }
        timeouts.headArrived(context)
        receive(responder.receive(head, on: context.channel), Request(head), context)
    }

    private func receive(_ reception: Reception, _ request: Request, _ context: ChannelHandlerContext) {
        switch reception {
        case .answer(let answer): write(answer, request, isWhole: false, context)
        case .body where isCut: close(context)
        case .body(let wanted):
            if let length = request.length, length > wanted.maximum {
                return write(wanted.tooLarge(), request, isWhole: false, context)
            }
            var bytes: [UInt8] = []
            bytes.reserveCapacity(min(request.length ?? 0, ProviderConnection.reserved))
            state = .receiving(request, wanted, bytes)
            guard request.expectsContinue, !request.isHTTP10 else { return }
            context.writeAndFlush(
                wrapOutboundOut(ByteBuffer(staticString: "HTTP/1.1 100 Continue\r\n\r\n")), promise: nil)
        case .admission(let admit):
            state = .admitting(request)
            timeouts.requestArrived(context)
            wait(context, for: admit) {
                self.timeouts.headArrived(context)
                self.receive($0, request, context)
            }
        }
    }

    private func take(_ buffer: ByteBuffer, _ context: ChannelHandlerContext) {
        guard case .receiving(let request, let wanted, var bytes) = state else { return }
        guard bytes.count + buffer.readableBytes <= wanted.maximum else {
            return write(wanted.tooLarge(), request, isWhole: false, context)
        }
        // The only reference to the bytes is here while they grow.
        state = .between
        bytes.append(contentsOf: buffer.readableBytesView)
        state = .receiving(request, wanted, bytes)
    }

    private func takeEnd(_ context: ChannelHandlerContext) {
        switch state {
        case .receiving(let request, let wanted, let bytes):
            switch wanted.answer(bytes, context.eventLoop) {
            case .now(let answer): write(answer, request, isWhole: true, context)
            case .later(let make):
                state = .answering(request)
                timeouts.requestArrived(context)
                wait(context, for: make) { self.write($0, request, isWhole: true, context) }
            }
        case .dropping(let isLast): becomeFree(isLast: isLast, context)
        case .between, .admitting, .answering, .closing: break
        }
    }

    /// Goes on with the outcome of some work, unless the connection has ended by then.
    private func wait<Outcome: Sendable>(
        _ context: ChannelHandlerContext, for work: @escaping @Sendable () async -> Outcome,
        then: @escaping (Outcome) -> Void
    ) {
        let promise = context.eventLoop.makePromise(of: Outcome.self)
        task = Task { promise.succeed(await work()) }
        promise.futureResult.assumeIsolated().whenSuccess { outcome in
            switch self.state {
            case .admitting, .answering: break
            case .between, .receiving, .dropping, .closing: return
            }
            self.task = nil
            then(outcome)
            self.resume(context)
        }
    }

    // MARK: Writing

    /// Writes an answer.
    ///
    /// - Parameter isWhole: whether nothing more of the request is to come.
    private func write(
        _ answer: JSONAnswer, _ request: Request, isWhole: Bool, _ context: ChannelHandlerContext
    ) {
        let isLast = !request.isKeepAlive || ((isInputClosed || isQuiescing) && parts.isEmpty)
        // HTTP/1.0 knows no connection that stays unless both sides say so (RFC 9112, section 9.3).
        let connection: StaticString? = isLast ? "close" : request.isHTTP10 ? "keep-alive" : nil
        let message = answer.message(isHead: request.isHead, connection: connection, context.channel.allocator)
        let promise = isLast ? context.eventLoop.makePromise(of: Void.self) : nil
        lastWrite = promise?.futureResult
        // Writing may tell us that the client takes its answers again, and lead back to here: the state comes first.
        state = isWhole ? .between : .dropping(isLast: isLast)
        needsFlush = true
        context.write(wrapOutboundOut(message), promise: promise)
        if isWhole { becomeFree(isLast: isLast, context) } else { flush(context) }
    }

    private func flush(_ context: ChannelHandlerContext) {
        guard needsFlush else { return }
        needsFlush = false
        context.flush()
    }

    /// The present request is answered and read to its end.
    private func becomeFree(isLast: Bool, _ context: ChannelHandlerContext) {
        state = .between
        if isLast {
            finish(context)
        } else if parts.isEmpty {
            timeouts.becomeIdle(context)
        } else if !context.channel.isWritable {
            timeouts.isNotTaking(context)
        }
    }

    /// Closes the connection when all that was written is on its way.
    private func finish(_ context: ChannelHandlerContext) {
        guard case .between = state else { return }
        state = .closing
        parts.removeAll()
        // A client that does not take the answer is not waited for longer than one that does not ask.
        if timeouts.phase != .idle { timeouts.becomeIdle(context) }
        needsFlush = false
        context.flush()
        let written = lastWrite ?? context.writeAndFlush(wrapOutboundOut(ByteBuffer()))
        written.assumeIsolated().whenComplete { _ in context.close(promise: nil) }
    }

    /// Answers what is not HTTP, and closes.
    private func refuse(_ context: ChannelHandlerContext) {
        switch state {
        case .between, .receiving:
            let promise = context.eventLoop.makePromise(of: Void.self)
            lastWrite = promise.futureResult
            context.write(wrapOutboundOut(ByteBuffer(staticString: ProviderConnection.badRequest)), promise: promise)
        case .dropping: break
        case .admitting, .answering, .closing: return
        }
        state = .between
        finish(context)
    }

    /// The room for a body that is made before it comes: what a client announces costs it nothing.
    private static let reserved = 16 << 10

    private static let badRequest: StaticString =
        "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
}

@available(*, unavailable)
extension ProviderConnection: Sendable {}

/// Reads HTTP/1.1, and tells a connection that bytes have come, before they make a whole head.
struct RequestDecoder: ByteToMessageDecoder {
    typealias InboundOut = HTTPServerRequestPart

    private let decoder: HTTPRequestDecoder
    private let connection: ProviderConnection

    init(_ connection: ProviderConnection, limits: NIOHTTPDecoderLimitConfiguration = .init()) {
        self.connection = connection
        decoder = HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes, limitConfiguration: limits)
    }

    func decoderAdded(context: ChannelHandlerContext) { decoder.decoderAdded(context: context) }

    func decoderRemoved(context: ChannelHandlerContext) { decoder.decoderRemoved(context: context) }

    func decode(context: ChannelHandlerContext, buffer: inout ByteBuffer) throws -> DecodingState {
        connection.bytesArrived(context)
        return try decoder.decode(context: context, buffer: &buffer)
    }

    func decodeLast(
        context: ChannelHandlerContext, buffer: inout ByteBuffer, seenEOF: Bool
    ) throws -> DecodingState {
        try decoder.decodeLast(context: context, buffer: &buffer, seenEOF: seenEOF)
    }
}

@available(*, unavailable)
extension RequestDecoder: Sendable {}
