import NIOCore
import Synchronization

/// The open connections, and among them those without a request: when these are too many, the longest idle is asked
/// to close.
///
/// One that has not asked yet is about to: Gatekeeper opens a connection for a call. Closing it would fail that call, and
/// a burst of pods is a burst of such connections. So those have a limit of their own, far above any burst; those
/// whose request was answered are what piles up (gatekeeper-contract.md), and few of them are kept.
final class IdleConnections: Sendable {
    /// Sent to a connection that is to close unless a request has come meanwhile.
    struct CloseIfIdle: Sendable {}

    private struct Pool {
        let maximum: Int
        /// Idle connections with the turn at which they became so.
        var idle: [ObjectIdentifier: (turn: UInt64, channel: any Channel)] = [:]
        /// The order in which they became idle. Entries whose turn is not the connection's any more are skipped.
        var order = CircularBuffer<(id: ObjectIdentifier, turn: UInt64)>()

        mutating func remove(_ id: ObjectIdentifier) {
            idle[id] = nil
            if idle.isEmpty { order.removeAll(keepingCapacity: true) }
        }

        /// Adds a connection, and gives the one that has to go for it.
        mutating func add(_ channel: any Channel, turn: UInt64) -> (any Channel)? {
            let id = ObjectIdentifier(channel)
            idle[id] = (turn, channel)
            order.append((id, turn))
            // A few busy connections would otherwise leave their old entries behind for ever.
            if order.count > 4 * maximum + 64 {
                let idle = idle
                order = CircularBuffer(order.filter { idle[$0.id]?.turn == $0.turn })
            }
            guard idle.count > maximum else { return nil }
            while let oldest = order.popFirst() {
                guard let entry = idle[oldest.id], entry.turn == oldest.turn else { continue }
                idle[oldest.id] = nil
                return entry.channel
            }
            return nil
        }
    }

    private struct State {
        var open: [ObjectIdentifier: any Channel] = [:]
        var isCut = false
        var turn: UInt64 = 0
        /// Those that have not asked yet.
        var fresh: Pool
        /// Those whose requests were answered.
        var answered: Pool
    }

    private let state: Mutex<State>

    /// How many times more connections may be without a first request than idle after one.
    static let freshFactor = 16

    /// - Parameter maximum: how many connections whose requests were answered are kept.
    init(maximum: Int) {
        state = Mutex(
            State(
                fresh: Pool(maximum: maximum * IdleConnections.freshFactor), answered: Pool(maximum: maximum)))
    }

    /// How many connections are open, and how many of them are idle.
    var counts: (open: Int, idle: Int) {
        state.withLock { ($0.open.count, $0.fresh.idle.count + $0.answered.idle.count) }
    }

    func opened(_ channel: any Channel) {
        let isCut = state.withLock { state in
            state.open[ObjectIdentifier(channel)] = channel
            return state.isCut
        }
        if isCut { channel.close(promise: nil) }
    }

    /// Time is up: what is waited for is not waited for any longer.
    func cut() {
        let open = state.withLock { state in
            state.isCut = true
            return Array(state.open.values)
        }
        for channel in open { channel.pipeline.fireUserInboundEventTriggered(ProviderConnection.Cut()) }
    }

    func closed(_ channel: any Channel) {
        state.withLock { state in
            state.open[ObjectIdentifier(channel)] = nil
            state.fresh.remove(ObjectIdentifier(channel))
            state.answered.remove(ObjectIdentifier(channel))
        }
    }

    func becameBusy(_ channel: any Channel) {
        state.withLock { state in
            state.fresh.remove(ObjectIdentifier(channel))
            state.answered.remove(ObjectIdentifier(channel))
        }
    }

    /// - Parameter hasAsked: whether a request has come on this connection before.
    func becameIdle(_ channel: any Channel, hasAsked: Bool) {
        let victim = state.withLock { state -> (any Channel)? in
            state.turn += 1
            return hasAsked
                ? state.answered.add(channel, turn: state.turn) : state.fresh.add(channel, turn: state.turn)
        }
        victim?.pipeline.fireUserInboundEventTriggered(CloseIfIdle())
    }
}
