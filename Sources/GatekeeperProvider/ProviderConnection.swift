import NIOCore
import NIOExtras
import NIOHTTP1
import NIOTLS

/// One connection: takes its requests one after the other, and writes their answers in that order.
///
/// A request whose answer is at hand is answered where its last byte is read. While another is waited for, nothing more
/// is read from the connection; what has been read already waits in ``parts``: what one read brings, and few requests of that.
final class ProviderConnection: ChannelDuplexHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Sent to a connection when time is up: what is waited for is not waited for any longer.
    struct Cut: Sendable {}

    typealias Request = RequestHead

    private let responder: any ProviderResponder
    private let limits: ConnectionLimits
    private let heads: NIOHTTPDecoderLimitConfiguration
    private let timeouts: ConnectionTimeouts
    private var state = State.between
    /// What has been read and not looked at.
    private var parts = CircularBuffer<HTTPServerRequestPart>()
    /// How many requests begin in ``parts``.
    private var waiting = 0
    /// What an answer is made by that takes a while.
    private var task: Task<Void, Never>?
    /// Something wants to be read, and must wait.
    private var isReadHeld = false
    /// How many bytes were written and not flushed.
    private var unflushed = 0
    /// The client sends nothing more, or is not listened to any more.
    private var isInputClosed = false
    /// Time is up.
    private var isCut = false
    /// The provider is stopping: what has been asked is answered, and then the connection ends.
    private var isQuiescing = false
    /// Done when the answer that is the last one of the connection has been handed over.
    private var lastWrite: EventLoopFuture<Void>?
    /// What came after ``parts`` is not HTTP.
    private var broken: BrokenHead?
    /// Whatever comes is dropped, before it is decoded.
    private(set) var isDiscardingInput = false
    /// The answer is on its way, and the client's end is waited for.
    private var isLingering = false
    private var firstLine = FirstLine()
    /// The last bytes of the body that is coming.
    private var tail: UInt64?

    /// - Parameter heads: the limits of the decoder before this handler.
    init(
        responder: any ProviderResponder, limits: ConnectionLimits,
        heads: NIOHTTPDecoderLimitConfiguration = NIOHTTPDecoderLimitConfiguration()
    ) {
        self.responder = responder
        self.limits = limits
        self.heads = heads
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
        forgetParts()
        // Whatever is under way goes on: its verdict is kept for who asks next.
        task = nil
    }

    /// Bytes are about to be decoded.
    func bytesArrived(_ context: ChannelHandlerContext) {
        if timeouts.phase == .idle { firstLine = FirstLine() }
        timeouts.bytesArrived(context)
    }

    /// Whether a head has begun and is not whole.
    var isInHead: Bool { timeouts.phase == .head }

    /// What has come of a head that is not whole, or of what is none.
    func see(_ bytes: ByteBufferView) { firstLine.take(bytes) }

    /// What was read is decoded: the next request may have begun with it.
    ///
    /// - Parameter last: the last bytes of it.
    func bytesDecoded(_ last: UInt64?, _ context: ChannelHandlerContext) {
        if timeouts.phase == .idle, let tail, let last, tail != last, !last.endsHead { bytesArrived(context) }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case TLSUserEvent.handshakeCompleted: timeouts.handshakeCompleted(context)
        case is IdleConnections.CloseIfIdle:
            if timeouts.isDisplaced() {
                state = .closing
                isDiscardingInput = true
                flush(context)
                context.closeAtOnce()
            }
        case ChannelEvent.inputClosed where isLingering: context.close(promise: nil)
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
            forgetParts()
            task?.cancel()
            if task == nil { close(context) }
        default: break
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        timeouts.failed(error, context)
        switch error {
        case let error as HTTPParserError:
            guard !isDiscardingInput else { return }
            // What is said of it waits until all is known of the bytes: until they have been read, or the client has closed.
            broken = BrokenHead(
                error: error, isInBody: parts.last.map { !$0.isEnd } ?? state.isInBody)
            isDiscardingInput = true
        // More has come after what is not HTTP.
        case is ByteToMessageDecoderError: break
        default: close(context)
        }
    }

    private func close(_ context: ChannelHandlerContext) {
        state = .closing
        isDiscardingInput = true
        forgetParts()
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
        // The rest of what is being decoded.
        guard !isDiscardingInput else { return }
        let part = unwrapInboundIn(data)
        if parts.isEmpty, !mustWait(context) {
            take(part, context)
        } else {
            if case .head = part {
                // All that one read brings is decoded before anything of it can be answered, and a head is many times larger
                // than its bytes.
                guard waiting < ProviderConnection.mostWaiting else { return stopListening(context) }
                waiting += 1
            }
            parts.append(part)
        }
        proceed(context)
    }

    /// Takes no more requests from a client that sends too many without waiting for an answer. Those that were taken are
    /// answered; the last answer says that the others will not be (RFC 9112, section 9.3.2).
    private func stopListening(_ context: ChannelHandlerContext) {
        isDiscardingInput = true
        isInputClosed = true
        limits.refused(.pipelined(ProviderConnection.mostWaiting), from: context.remoteAddress)
    }

    private func forgetParts() {
        parts.removeAll()
        waiting = 0
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if broken != nil { proceed(context) }
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
        while !parts.isEmpty, !mustWait(context) {
            let part = parts.removeFirst()
            if case .head = part { waiting -= 1 }
            take(part, context)
        }
        guard parts.isEmpty else { return }
        if let broken {
            refuse(
                RequestFault(broken, limits: heads, length: firstLine.length, isTLS: firstLine.isTLS), context)
        }
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
        let request = Request(head)
        tail = nil
        if let fault = request.fault { return refuse(fault, context) }
        receive(responder.receive(head, on: context.channel), request, context)
    }

    private func receive(_ disposition: RequestDisposition, _ request: Request, _ context: ChannelHandlerContext) {
        switch disposition {
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
        guard case .receiving(let request, var wanted, var bytes) = state else { return }
        guard bytes.count + buffer.readableBytes <= wanted.maximum else {
            return write(wanted.tooLarge(), request, isWhole: false, context)
        }
        guard wanted.hasRoom(for: bytes.count + buffer.readableBytes, in: limits.room) else {
            return refuse(.crowded, context)
        }
        tail = buffer.lastBytes
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
                let answer = { @Sendable [room = wanted.room] in
                    defer { withExtendedLifetime(room) {} }
                    return await make()
                }
                wait(context, for: answer) { self.write($0, request, isWhole: true, context) }
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
        var isLast = !request.isKeepAlive || ((isInputClosed || isQuiescing) && parts.isEmpty)
        if let refusal = answer.refusal {
            limits.refused(refusal, traceID: answer.traceID, from: context.remoteAddress)
            if refusal.isLast { isLast = true }
        }
        // HTTP/1.0 knows no connection that stays unless both sides say so (RFC 9112, section 9.3).
        let connection: StaticString? = isLast ? "close" : request.isHTTP10 ? "keep-alive" : nil
        let message = answer.message(isHead: request.isHead, connection: connection, context.channel.allocator)
        let promise = isLast ? context.eventLoop.makePromise(of: Void.self) : nil
        lastWrite = promise?.futureResult
        // Writing may tell us that the client takes its answers again, and lead back to here: the state comes first.
        state = isWhole ? .between : .dropping(isLast: isLast)
        unflushed += message.readableBytes
        context.write(wrapOutboundOut(message), promise: promise)
        // Only what is flushed counts for whether the client takes its answers.
        if unflushed > ProviderConnection.mostUnflushed { flush(context) }
        if isWhole { becomeFree(isLast: isLast, context) } else { flush(context) }
    }

    private func flush(_ context: ChannelHandlerContext) {
        guard unflushed > 0 else { return }
        unflushed = 0
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
        forgetParts()
        // A client that does not take the answer is not waited for longer than one that does not ask.
        if timeouts.phase != .idle { timeouts.becomeIdle(context) }
        unflushed = 0
        context.flush()
        let written = lastWrite ?? context.writeAndFlush(wrapOutboundOut(ByteBuffer()))
        let lingers = isDiscardingInput
        isDiscardingInput = true
        written.assumeIsolated().whenComplete { _ in
            if lingers { self.linger(context) } else { context.close(promise: nil) }
        }
    }

    /// Closes a connection whose client may be sending still: closed at once, the client's system would throw the answer
    /// away when that arrives (RFC 9112, section 9.6). What comes is dropped.
    private func linger(_ context: ChannelHandlerContext) {
        guard context.channel.isActive else { return }
        isLingering = true
        context.close(mode: .output, promise: nil)
        context.eventLoop.assumeIsolated().scheduleTask(in: ProviderConnection.lingering) {
            context.close(promise: nil)
        }
        if isReadHeld {
            isReadHeld = false
            context.read()
        }
    }

    /// Answers what cannot be taken as a request, and closes.
    private func refuse(_ fault: RequestFault, _ context: ChannelHandlerContext) {
        switch state {
        case .between, .receiving:
            limits.count(fault)
            isDiscardingInput = true
            forgetParts()
            write(responder.refuse(fault, traceID: TraceID.generated()), .none, isWhole: true, context)
        case .dropping:
            // It has its answer.
            state = .between
            finish(context)
        case .admitting, .answering, .closing: break
        }
    }

    /// The room for a body that is made before it comes: what a client announces costs it nothing.
    private static let reserved = 16 << 10

    /// How many requests of a client may wait for one before them. Gatekeeper and Kyverno wait for each answer.
    private static let mostWaiting = 16
    private static let mostUnflushed = 64 << 10
    private static let lingering = TimeAmount.seconds(1)
}

@available(*, unavailable)
extension ProviderConnection: Sendable {}
