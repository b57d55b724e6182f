import Logging
import NIOCore
import ServiceMetrics

/// What the connections of a listener share: timeouts, the memory for bodies, metrics and the log of refusals.
struct ConnectionLimits: Sendable {
    let timeouts: PhaseTimeouts
    let isTLS: Bool
    let connections: IdleConnections
    let metrics: MetricsRegistry
    let logger: Logger
    let refusals: RefusalLog
    /// Counts the idle connections that made room for others. Clients that never close a connection lose each one so.
    let displaced: MetricCounter
    /// The memory that the bodies of all requests share.
    var room = RequestBodyBudget.process

    init(
        handshake: TimeAmount, idle: TimeAmount, header: TimeAmount, body: TimeAmount, isTLS: Bool,
        connections: IdleConnections, metrics: MetricsRegistry, logger: Logger, refusals: RefusalLog
    ) {
        timeouts = PhaseTimeouts(handshake: handshake, idle: idle, header: header, body: body)
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

extension ConnectionLimits {
    /// Logs a refused request, at a limited rate.
    func refused(_ refusal: Refusal, traceID: String, from address: SocketAddress?) {
        refusals.record(
            "request refused", kind: refusal.kind, reason: "\(refusal.kind): \(refusal.reason)", from: address,
            ["operation": "\(refusal.operation)", "trace-id": "\(traceID)"], logger: logger)
    }

    /// Logs and counts requests that get no answer.
    func refused(_ fault: RequestFault, from address: SocketAddress?) {
        count(fault)
        refusals.record(
            "request refused", kind: fault.kind.rawValue, reason: "\(fault.kind.rawValue): \(fault.reason)",
            from: address, logger: logger)
    }

    /// Counts input that is not an acceptable request.
    func count(_ fault: RequestFault) {
        metrics.count(
            "countersign_http_errors_total", [("reason", fault.kind.rawValue)],
            help: "What was not taken as a request, because of HTTP itself or its limits.")
    }

    /// Logs and counts a TLS handshake that failed.
    func handshakeFailed(_ error: any Error, from address: SocketAddress?) {
        metrics.count(
            "countersign_handshake_failures_total", [],
            help: "TLS handshakes that failed: no certificate, one that was refused, an old version, a timeout.")
        refusals.record(error, from: address, logger: logger)
    }

    /// Logs and counts a connection that is closed because its client took too long over a phase.
    func expired(_ phase: ConnectionPhase, from address: SocketAddress?) {
        metrics.count(
            ConnectionLimits.closings, [("reason", "\(phase.rawValue) timeout")], help: ConnectionLimits.closingsHelp)
        // A handshake that takes too long counts as a failed one, too.
        if phase == .handshake { handshakeFailed(HandshakeTimeout(), from: address) }
        logger.debug(
            "connection closed", metadata: ["reason": "the client took too long over the \(phase.rawValue)"])
    }
}

/// A client that connected and did not finish its handshake.
struct HandshakeTimeout: Error, CustomStringConvertible {
    var description: String { "the client did not finish the handshake in time" }
}
