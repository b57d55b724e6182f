import Logging
import NIOCore
import ServiceMetrics
import Synchronization

/// Who may open another connection, before anything is spent on it.
///
/// The number of open connections is limited, whatever they do: shake hands, send, or wait for an answer. Three
/// quarters are first come, first served. The rest is for sources that hold less than an eighth of all: a client that
/// opens connections without end, and cannot be told from Gatekeeper before the handshake, does not keep Gatekeeper
/// out.
final class OpenConnections: ConnectionAdmission {
    /// Why a connection is closed as soon as it is accepted.
    enum Refusal: String {
        /// There are as many as there may be.
        case full
        /// Most are taken, and its source has many.
        case source
    }

    private struct State {
        var open = 0
        var bySource: [Source: Int] = [:]
    }

    /// How many there may be.
    let maximum: Int
    private let state = Mutex(State())
    private let metrics: MetricsRegistry
    private let logger: Logger
    private let refusals = RefusalLog()

    init(maximum: Int, metrics: MetricsRegistry, logger: Logger) {
        self.maximum = max(1, maximum)
        self.metrics = metrics
        self.logger = logger
    }

    /// How many are open.
    var count: Int { state.withLock { $0.open } }

    /// From how many on the sources are told apart.
    private var crowded: Int { maximum - maximum / 4 }
    /// How many a source may then hold.
    private var share: Int { max(1, maximum / 8) }

    func admits(_ channel: any Channel) -> Bool {
        let source = Source(channel.remoteAddress)
        if let refusal = open(source) {
            refused(refusal, channel.remoteAddress)
            return false
        }
        channel.closeFuture.whenComplete { [self] _ in closed(source) }
        return true
    }

    /// One more of a source.
    func open(_ source: Source) -> Refusal? {
        state.withLock { state in
            guard state.open < maximum else { return .full }
            let held = state.bySource[source, default: 0]
            guard state.open < crowded || held < share else { return .source }
            state.open += 1
            state.bySource[source] = held + 1
            return nil
        }
    }

    /// One less.
    func closed(_ source: Source) {
        state.withLock { state in
            state.open -= 1
            let held = state.bySource[source, default: 0] - 1
            state.bySource[source] = held > 0 ? held : nil
        }
    }

    private func refused(_ refusal: Refusal, _ address: SocketAddress?) {
        metrics.count(
            "countersign_connections_refused_total", [("reason", refusal.rawValue)],
            help: "Connections closed when they were accepted: too many are open, or too many of one source.")
        let reason =
            switch refusal {
            case .full: "\(maximum) are open, which is all there may be"
            case .source: "most of \(maximum) are open, and this client holds \(share) or more of them"
            }
        refusals.record(
            "connection refused", reason: "\(reason): see who opens them, or raise --max-connections",
            from: address, logger: logger)
    }
}

extension OpenConnections {
    /// Where a connection comes from: an address, or the /64 of one, which is what a single machine is given.
    struct Source: Hashable, Sendable {
        private let network: UInt64

        init(_ address: SocketAddress?) {
            switch address {
            case .v4(let address):
                network = UInt64(address.address.sin_addr.s_addr)
            case .v6(let address):
                let bytes = withUnsafeBytes(of: address.address.sin6_addr) { Array($0) }
                // An IPv4 address as one of IPv6 says who it is at its end.
                let isMapped = bytes[0..<10].allSatisfy { $0 == 0 } && bytes[10] == 0xFF && bytes[11] == 0xFF
                network = (isMapped ? bytes[8..<16] : bytes[0..<8]).reduce(0) { $0 << 8 | UInt64($1) }
            default: network = 0
            }
        }
    }
}
