import Logging
import NIOCore
import NIOSSL
import Verification

/// What the timeouts of connections share.
struct ConnectionLimits: Sendable {
    let handshake: TimeAmount
    let idle: TimeAmount
    let header: TimeAmount
    let body: TimeAmount
    let isTLS: Bool
    let connections: IdleConnections
    let metrics: MetricsRegistry
    let logger: Logger
    let refusals: RefusalLog
    /// Connections that had to go for others: with clients that never close one, each does.
    let displaced: MetricCounter
    /// What the bodies of all requests may take.
    var room = RequestRoom.process

    init(
        handshake: TimeAmount, idle: TimeAmount, header: TimeAmount, body: TimeAmount, isTLS: Bool,
        connections: IdleConnections, metrics: MetricsRegistry, logger: Logger, refusals: RefusalLog
    ) {
        (self.handshake, self.idle, self.header, self.body) = (handshake, idle, header, body)
        self.isTLS = isTLS
        self.connections = connections
        self.metrics = metrics
        self.logger = logger
        self.refusals = refusals
        displaced = metrics.counter(
            ConnectionLimits.closings, [("reason", "displaced")], help: ConnectionLimits.closingsHelp)
    }

    static let closings = "countersign_connections_closed_total"
    static let closingsHelp =
        "Connections closed because the client took too long, or because too many were idle."
}

/// Closes a connection whose client takes too long over the handshake, a request's head or its body, or has not asked
/// for long.
///
/// Each phase has an end that nothing moves: a client that sends a byte now and then would otherwise keep a connection
/// for ever.
final class ConnectionTimeouts {
    enum Phase: String {
        case handshake, idle, head, body, answer, delivery, closed
    }

    private let limits: ConnectionLimits
    private(set) var phase = Phase.closed
    private var entry: IdleConnections.Entry?
    /// Whether a request has come at all.
    private var hasAsked = false
    private var isQuiescing = false
    /// The end of the present phase, if it has one.
    private var deadline: NIODeadline?
    /// One timer at a time. It looks at `deadline` when it fires: cheaper than one per phase.
    private var timer: (task: Scheduled<Void>, time: NIODeadline)?

    init(limits: ConnectionLimits) { self.limits = limits }

    // MARK: What happens to the connection

    func opened(_ context: ChannelHandlerContext) {
        guard phase == .closed else { return }
        entry = limits.connections.opened(context.channel)
        if limits.isTLS { enter(.handshake, for: limits.handshake, context) } else { becomeIdle(context) }
    }

    func handshakeCompleted(_ context: ChannelHandlerContext) {
        if phase == .handshake { becomeIdle(context) }
    }

    /// Bytes of a request have come: the first one starts the time for its head.
    func bytesArrived(_ context: ChannelHandlerContext) {
        guard phase == .idle else { return }
        if let entry { limits.connections.becameBusy(entry) }
        enter(.head, for: limits.header, context)
    }

    func headArrived(_ context: ChannelHandlerContext) {
        hasAsked = true
        enter(.body, for: limits.body, context)
    }

    /// The request is whole, and its answer is not ready: nothing is expected of the client.
    func requestArrived(_ context: ChannelHandlerContext) { enter(.answer, for: nil, context) }

    /// There is more to answer, and the client does not take what is answered.
    func isNotTaking(_ context: ChannelHandlerContext) { enter(.delivery, for: limits.idle, context) }

    /// Nothing more of the request is to come, and its answer is written.
    func becomeIdle(_ context: ChannelHandlerContext) {
        guard context.channel.isActive else { return }
        enter(.idle, for: isQuiescing ? min(limits.idle, ConnectionTimeouts.lastChance) : limits.idle, context)
        if let entry { limits.connections.becameIdle(entry, hasAsked: hasAsked) }
    }

    /// How long a connection that has not asked yet is waited for when the provider stops.
    private static let lastChance = TimeAmount.seconds(1)

    /// The provider stops. A client that has connected and not asked yet is about to: it is given a moment.
    func quiesce(_ context: ChannelHandlerContext) {
        isQuiescing = true
        if phase == .idle, !hasAsked { enter(.idle, for: min(limits.idle, ConnectionTimeouts.lastChance), context) }
    }

    /// Whether a request is on its way although nothing whole has come of it, or is about to be sent.
    var mayStillAsk: Bool {
        switch phase {
        case .handshake, .head: true
        case .idle: !hasAsked
        case .body, .answer, .delivery, .closed: false
        }
    }

    /// There are too many idle connections, and this one is idle for longest.
    ///
    /// - Returns: whether it is idle, and has to go.
    func isDisplaced() -> Bool {
        guard phase == .idle else { return false }
        limits.displaced.count()
        return true
    }

    func failed(_ error: any Error, _ context: ChannelHandlerContext) {
        guard phase == .handshake else { return }
        limits.metrics.count(
            "countersign_handshake_failures_total", [],
            help: "TLS handshakes that failed: no certificate, one that was refused, an old version, a timeout.")
        limits.refusals.record(error, from: context.remoteAddress, logger: limits.logger)
    }

    func closed(_ context: ChannelHandlerContext) {
        guard phase != .closed else { return }
        if let entry { limits.connections.closed(entry) }
        entry = nil
        phase = .closed
        deadline = nil
        timer?.task.cancel()
        timer = nil
    }

    // MARK: Time

    private func enter(_ phase: Phase, for time: TimeAmount?, _ context: ChannelHandlerContext) {
        self.phase = phase
        deadline = time.map { context.eventLoop.now + $0 }
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
            guard deadline <= context.eventLoop.now else { return self.schedule(deadline, context) }
            self.expired(context)
        }
        timer = (task, time)
    }

    private func expired(_ context: ChannelHandlerContext) {
        if phase == .idle {
            // Gatekeeper up to 3.21 never closes a connection: this is the usual end of one.
            return context.closeAtOnce()
        }
        count("\(phase.rawValue) timeout")
        // The end of a handshake that has not been made cannot be negotiated with the client.
        failed(HandshakeTimeout(), context)
        limits.logger.debug(
            "connection closed", metadata: ["reason": "the client took too long over the \(phase.rawValue)"])
        context.close(promise: nil)
    }

    private func count(_ reason: String) {
        limits.metrics.count(
            ConnectionLimits.closings, [("reason", reason)], help: ConnectionLimits.closingsHelp)
    }
}

@available(*, unavailable)
extension ConnectionTimeouts: Sendable {}

/// A client that connected and did not finish its handshake.
struct HandshakeTimeout: Error, CustomStringConvertible {
    var description: String { "the client did not finish the handshake in time" }
}

extension ChannelHandlerContext {
    /// Ends a connection on which nothing is under way: tells the client so where TLS has a word for it, and does not wait for
    /// the client's own. That would be another round through the event loop for each connection, and a timer.
    ///
    /// Where the client has not taken everything yet, it is waited for as in any other close.
    func closeAtOnce() {
        guard let tls = try? pipeline.syncOperations.context(handlerType: NIOSSLServerHandler.self) else {
            return close(promise: nil)
        }
        close(mode: .output, promise: nil)
        let isTaken = try? channel.syncOptions?.getOption(.bufferedWritableBytes) == 0
        if isTaken == true { tls.close(promise: nil) } else { close(promise: nil) }
    }
}

extension ConnectionLimits {
    /// Logs a request that is not answered as it was asked; not each of many.
    func refused(_ refusal: Refusal, traceID: String, from address: SocketAddress?) {
        refusals.record(
            "request refused", kind: refusal.kind, reason: "\(refusal.kind): \(refusal.reason)", from: address,
            ["operation": "\(refusal.operation)", "trace-id": "\(traceID)"], logger: logger)
    }

    /// Logs and counts requests that are not answered at all.
    func refused(_ fault: RequestFault, from address: SocketAddress?) {
        count(fault)
        refusals.record(
            "request refused", kind: fault.kind.rawValue, reason: "\(fault.kind.rawValue): \(fault.reason)",
            from: address, logger: logger)
    }

    /// Counts what is not taken as a request.
    func count(_ fault: RequestFault) {
        metrics.count(
            "countersign_http_errors_total", [("reason", fault.kind.rawValue)],
            help: "What was not taken as a request, because of HTTP itself or its limits.")
    }
}
