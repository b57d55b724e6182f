import NIOCore
import Synchronization

/// The open connections, and among them those without a request: when these are too many, the longest idle is asked
/// to close.
final class IdleConnections: Sendable {
    /// Sent to a connection that is to close unless a request has come meanwhile.
    struct CloseIfIdle: Sendable {}

    private struct State {
        var open = 0
        var turn: UInt64 = 0
        /// Idle connections with the turn at which they became so.
        var idle: [ObjectIdentifier: (turn: UInt64, channel: any Channel)] = [:]
        /// The order in which they became idle. Entries whose turn is not the connection's any more are skipped.
        var order = CircularBuffer<(id: ObjectIdentifier, turn: UInt64)>()
    }

    private let maximum: Int
    private let state = Mutex(State())

    init(maximum: Int) { self.maximum = maximum }

    /// How many connections are open, and how many of them are idle.
    var counts: (open: Int, idle: Int) { state.withLock { ($0.open, $0.idle.count) } }

    func opened() { state.withLock { $0.open += 1 } }

    func closed(_ channel: any Channel) {
        state.withLock { state in
            state.open -= 1
            state.idle[ObjectIdentifier(channel)] = nil
            if state.idle.isEmpty { state.order.removeAll() }
        }
    }

    func becameBusy(_ channel: any Channel) {
        state.withLock { state in
            state.idle[ObjectIdentifier(channel)] = nil
            if state.idle.isEmpty { state.order.removeAll(keepingCapacity: true) }
        }
    }

    func becameIdle(_ channel: any Channel) {
        let id = ObjectIdentifier(channel)
        let victim = state.withLock { state -> (any Channel)? in
            state.turn += 1
            state.idle[id] = (state.turn, channel)
            state.order.append((id, state.turn))
            // A few busy connections would otherwise leave their old entries behind for ever.
            if state.order.count > 4 * maximum + 64 {
                let idle = state.idle
                state.order = CircularBuffer(state.order.filter { idle[$0.id]?.turn == $0.turn })
            }
            guard state.idle.count > maximum else { return nil }
            while let oldest = state.order.popFirst() {
                guard let entry = state.idle[oldest.id], entry.turn == oldest.turn else { continue }
                state.idle[oldest.id] = nil
                return entry.channel
            }
            return nil
        }
        victim?.pipeline.fireUserInboundEventTriggered(CloseIfIdle())
    }
}
