import NIOCore
import NIOExtras
import NIOHTTP1
import NIOTLS

/// The channel handler of one connection: feeds events to ``ConnectionStateMachine``, and carries out its actions.
///
/// A request that can be answered from memory is answered in the same call that reads its last byte. While an answer
/// takes longer, nothing more is read from the connection.
final class ProviderConnection: ChannelDuplexHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// The event that ends a connection when the grace period of the shutdown is over.
    struct Cut: Sendable {}

    private let responder: any ProviderResponder
    private let limits: ConnectionLimits
    private var machine: ConnectionStateMachine
    private var timer = PhaseTimer()
    private var entry: IdleConnections.Entry?
    /// The task of an answer, or of an admission, that takes longer.
    private var work: Task<Void, Never>?
    /// Completes when the last answer of the connection has been written.
    private var lastWrite: EventLoopFuture<Void>?

    /// - Parameter heads: the limits of the decoder before this handler.
    init(
        responder: any ProviderResponder, limits: ConnectionLimits,
        heads: NIOHTTPDecoderLimitConfiguration = NIOHTTPDecoderLimitConfiguration()
    ) {
        self.responder = responder
        self.limits = limits
        machine = ConnectionStateMachine(timeouts: limits.timeouts, heads: heads, room: limits.room)
    }

    // MARK: What happens

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { opened(context) }
    }

    func channelActive(context: ChannelHandlerContext) {
        opened(context)
        context.fireChannelActive()
    }

    private func opened(_ context: ChannelHandlerContext) {
        guard entry == nil else { return }
        entry = limits.connections.opened(context.channel)
        machine.opened(isTLS: limits.isTLS)
        carryOutActions(context)
    }

    func channelInactive(context: ChannelHandlerContext) {
        closed(context)
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) { closed(context) }

    private func closed(_ context: ChannelHandlerContext) {
        // The task is not cancelled: its verdict is cached for the next request.
        work = nil
        machine.closed()
        carryOutActions(context)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case TLSUserEvent.handshakeCompleted: machine.handshakeCompleted()
        case is IdleConnections.CloseIfIdle: machine.displaced()
        case ChannelEvent.inputClosed: machine.inputClosed()
        case is ChannelShouldQuiesceEvent: machine.quiesce()
        case is Cut: machine.cut()
        default: break
        }
        carryOutActions(context)
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if machine.phase == .handshake { limits.handshakeFailed(error, from: context.remoteAddress) }
        switch error {
        // The actions are carried out once the whole read has been received.
        case let error as HTTPParserError: machine.inputBroken(error)
        // More bytes after those that were not HTTP.
        case is ByteToMessageDecoderError: break
        default:
            machine.failed()
            carryOutActions(context)
        }
    }

    func read(context: ChannelHandlerContext) {
        machine.readRequested()
        carryOutActions(context)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isDiscardingInput else { return }
        machine.received(unwrapInboundIn(data))
        carryOutActions(context)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        machine.readCompleted()
        carryOutActions(context)
        context.fireChannelReadComplete()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        machine.writabilityChanged(context.channel.isWritable)
        carryOutActions(context)
        context.fireChannelWritabilityChanged()
    }

    // MARK: What the decoder sees

    /// Whether all further input is dropped, before it is decoded.
    var isDiscardingInput: Bool { machine.isDiscardingInput }

    /// Whether a head has begun and is incomplete.
    var isInHead: Bool { machine.phase == .head }

    /// Bytes are about to be decoded.
    func bytesArrived(_ context: ChannelHandlerContext) {
        guard machine.phase == .idle else { return }
        machine.bytesArrived()
        carryOutActions(context)
    }

    /// The bytes so far of a head that is incomplete or not HTTP.
    func see(_ bytes: ByteBufferView) { machine.see(bytes) }

    /// The bytes that arrived are decoded. Those beyond the end of a request begin the next one.
    ///
    /// - Parameter last: the last eight bytes of what arrived; `nil` when there are fewer.
    func bytesDecoded(_ last: UInt64?, _ context: ChannelHandlerContext) {
        guard machine.phase == .idle else { return }
        machine.bytesDecoded(last)
        carryOutActions(context)
    }

    // MARK: What to do

    private func carryOutActions(_ context: ChannelHandlerContext) {
        while let action = machine.nextAction() { carryOut(action, context) }
    }

    private func carryOut(_ action: ConnectionAction, _ context: ChannelHandlerContext) {
        switch action {
        case .dispatch(let head): machine.decided(responder.receive(head, on: context.channel))
        case .admit(let admit): wait(context, for: admit) { self.machine.decided($0) }
        case .handOver(let wanted, let bytes): handOver(wanted, bytes, context)
        case .refuse(let fault):
            limits.count(fault)
            machine.answered(responder.refuse(fault, traceID: TraceID.generated()))
        case .report(let fault): limits.refused(fault, from: context.remoteAddress)
        case .writeContinue:
            context.writeAndFlush(
                wrapOutboundOut(ByteBuffer(staticString: "HTTP/1.1 100 Continue\r\n\r\n")), promise: nil)
        case .write(let response): write(response, context)
        case .flush: context.flush()
        case .read: context.read()
        case .enter(let phase, let time): enter(phase, time, context)
        case .cancelWork: work?.cancel()
        case .end(let ending): end(ending, context)
        }
    }

    private func handOver(_ wanted: AwaitedBody, _ bytes: [UInt8], _ context: ChannelHandlerContext) {
        switch wanted.answer(bytes, context.eventLoop) {
        case .now(let answer): machine.answered(answer)
        case .later(let make):
            machine.answerTakesTime()
            let answer = { @Sendable [room = wanted.room] in
                defer { withExtendedLifetime(room) {} }
                return await make()
            }
            wait(context, for: answer) { self.machine.answered($0) }
        }
    }

    /// Runs some work in a task, and continues with its outcome on the event loop.
    private func wait<Outcome: Sendable>(
        _ context: ChannelHandlerContext, for work: @escaping @Sendable () async -> Outcome,
        then: @escaping (Outcome) -> Void
    ) {
        let promise = context.eventLoop.makePromise(of: Outcome.self)
        self.work = Task { promise.succeed(await work()) }
        promise.futureResult.assumeIsolated().whenSuccess { outcome in
            self.work = nil
            then(outcome)
            self.carryOutActions(context)
        }
    }

    private func write(_ response: ConnectionAction.Response, _ context: ChannelHandlerContext) {
        let answer = response.answer
        if let refusal = answer.refusal {
            limits.refused(refusal, traceID: answer.traceID, from: context.remoteAddress)
        }
        let message = answer.message(
            isHead: response.isHead, connection: response.connection?.field, context.channel.allocator)
        let promise = response.isLast ? context.eventLoop.makePromise(of: Void.self) : nil
        lastWrite = promise?.futureResult
        machine.willWrite(bytes: message.readableBytes)
        context.write(wrapOutboundOut(message), promise: promise)
    }

    private func enter(_ phase: ConnectionPhase, _ time: TimeAmount?, _ context: ChannelHandlerContext) {
        guard phase != .closed else {
            if let entry { limits.connections.closed(entry) }
            return timer.stop()
        }
        guard context.channel.isActive else { return }
        if let deadline = timer.set(time, now: context.eventLoop.now) { schedule(deadline, context) }
        guard let entry else { return }
        switch phase {
        case .idle: limits.connections.becameIdle(entry, hasAsked: machine.hasAsked)
        case .head: limits.connections.becameBusy(entry)
        case .handshake, .body, .answer, .backpressure, .closed: break
        }
    }

    private func schedule(_ time: NIODeadline, _ context: ChannelHandlerContext) {
        let task = context.eventLoop.assumeIsolated().scheduleTask(deadline: time) {
            switch self.timer.fired(now: context.eventLoop.now) {
            case .nothing: break
            case .schedule(let time): self.schedule(time, context)
            case .expired:
                self.machine.deadlinePassed()
                self.carryOutActions(context)
            }
        }
        timer.scheduled(task, for: time)
    }

    // MARK: The end

    private func end(_ ending: ConnectionAction.Ending, _ context: ChannelHandlerContext) {
        switch ending {
        case .whenDelivered:
            let written = lastWrite ?? context.writeAndFlush(wrapOutboundOut(ByteBuffer()))
            written.assumeIsolated().whenComplete { _ in
                self.machine.delivered()
                self.carryOutActions(context)
            }
        case .linger:
            guard context.channel.isActive else { return }
            context.close(mode: .output, promise: nil)
            context.eventLoop.assumeIsolated().scheduleTask(in: ProviderConnection.lingering) {
                self.machine.lingeringEnded()
                self.carryOutActions(context)
            }
        case .close: context.close(promise: nil)
        case .idle: context.closeAtOnce()
        case .displaced:
            limits.displaced.count()
            context.closeAtOnce()
        case .expired(let phase):
            limits.expired(phase, from: context.remoteAddress)
            context.close(promise: nil)
        }
    }

    /// How long a client that may still be sending has to close its side.
    private static let lingering = TimeAmount.seconds(1)
}

@available(*, unavailable)
extension ProviderConnection: Sendable {}

extension ConnectionAction.Connection {
    fileprivate var field: StaticString {
        switch self {
        case .close: "close"
        case .keepAlive: "keep-alive"
        }
    }
}
