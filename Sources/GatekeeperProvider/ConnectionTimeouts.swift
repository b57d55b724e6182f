import HummingbirdCore
import Logging
import NIOCore
import NIOHTTPTypes
import NIOTLS
import Verification

/// Tells the handlers after it that bytes have come: the first one of a request starts the time for its head.
final class ByteArrival: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    /// Bytes have come.
    struct Arrived: Sendable {}

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        context.fireUserInboundEventTriggered(Arrived())
        context.fireChannelRead(data)
    }
}

/// What the timeouts of connections share.
struct ConnectionLimits: Sendable {
    let handshake: TimeAmount
    let header: TimeAmount
    let body: TimeAmount
    let isTLS: Bool
    let connections: IdleConnections
    let metrics: MetricsRegistry
    let logger: Logger
    let refusals: RefusalLog
}

/// Closes a connection whose client takes too long over the handshake, a request's head or its body.
///
/// Hummingbird's own idle timeout starts anew with every part of a request, so a client that sends a byte now and
/// then would keep a connection for ever. Here each phase has an end that nothing moves.
final class ConnectionTimeouts: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private enum Phase: String {
        case handshake, idle, head, body, answer, closed
    }

    private let limits: ConnectionLimits
    private var phase = Phase.closed
    /// Requests whose head has come and whose answer has not been written.
    private var unanswered = 0
    /// Whether a request has come at all.
    private var hasAsked = false
    /// The end of the present phase, if it has one.
    private var deadline: NIODeadline?
    /// One timer at a time. It looks at `deadline` when it fires: cheaper than one per phase.
    private var timer: (task: Scheduled<Void>, time: NIODeadline)?

    init(limits: ConnectionLimits) { self.limits = limits }

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { begin(context) }
    }

    func channelActive(context: ChannelHandlerContext) {
        begin(context)
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        end(context)
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) { end(context) }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case is ByteArrival.Arrived:
            if phase == .idle {
                limits.connections.becameBusy(context.channel)
                enter(.head, for: limits.header, context)
            }
        case TLSUserEvent.handshakeCompleted:
            if phase == .handshake { becomeIdle(context) }
            context.fireUserInboundEventTriggered(event)
        case is IdleConnections.CloseIfIdle:
            guard phase == .idle else { return }
            count("displaced")
            context.close(promise: nil)
        default:
            context.fireUserInboundEventTriggered(event)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head:
            unanswered += 1
            hasAsked = true
            enter(.body, for: limits.body, context)
        case .body: break
        case .end:
            // A request may have been answered before it was whole: one that is too large.
            if unanswered > 0 { enter(.answer, for: nil, context) } else { becomeIdle(context) }
        }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if case .end = unwrapOutboundIn(data) {
            unanswered = max(0, unanswered - 1)
            if phase == .answer && unanswered == 0 { becomeIdle(context) }
        }
        context.write(data, promise: promise)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if phase == .handshake {
            limits.metrics.count(
                "countersign_handshake_failures_total", [],
                help: "TLS handshakes that failed: no certificate, one that was refused, an old version, a timeout.")
            limits.refusals.record(error, from: context.remoteAddress, logger: limits.logger)
        }
        context.fireErrorCaught(error)
    }

    private func begin(_ context: ChannelHandlerContext) {
        guard phase == .closed else { return }
        limits.connections.opened()
        if limits.isTLS { enter(.handshake, for: limits.handshake, context) } else { becomeIdle(context) }
    }

    private func end(_ context: ChannelHandlerContext) {
        guard phase != .closed else { return }
        limits.connections.closed(context.channel)
        phase = .closed
        deadline = nil
        timer?.task.cancel()
        timer = nil
    }

    private func becomeIdle(_ context: ChannelHandlerContext) {
        enter(.idle, for: nil, context)
        limits.connections.becameIdle(context.channel, hasAsked: hasAsked)
    }

    private func enter(_ phase: Phase, for time: TimeAmount?, _ context: ChannelHandlerContext) {
        self.phase = phase
        deadline = time.map { .now() + $0 }
        guard let deadline else { return }
        if let timer {
            // A timer that fires before the deadline is good enough: it starts the next one.
            guard timer.time > deadline else { return }
            timer.task.cancel()
        }
        schedule(deadline, context)
    }

    private func schedule(_ time: NIODeadline, _ context: ChannelHandlerContext) {
        let task = context.eventLoop.assumeIsolated().scheduleTask(deadline: time) {
            self.timer = nil
            guard let deadline = self.deadline else { return }
            guard deadline <= .now() else { return self.schedule(deadline, context) }
            self.count("\(self.phase.rawValue) timeout")
            if self.phase == .handshake {
                // The end of a handshake that has not been made cannot be negotiated with the client.
                self.errorCaught(context: context, error: HandshakeTimeout())
            }
            self.limits.logger.debug(
                "connection closed", metadata: ["reason": "the client took too long over the \(self.phase.rawValue)"])
            context.close(promise: nil)
        }
        timer = (task, time)
    }

    private func count(_ reason: String) {
        limits.metrics.count(
            "countersign_connections_closed_total", [("reason", reason)],
            help: "Connections closed because the client took too long, or because too many were idle.")
    }
}

@available(*, unavailable)
extension ConnectionTimeouts: Sendable {}

/// A client that connected and did not finish its handshake.
struct HandshakeTimeout: Error, CustomStringConvertible {
    var description: String { "the client did not finish the handshake in time" }
}
