import NIOCore
import Synchronization

/// The open connections, and among them the idle ones: when too many are idle, the one that has been for the longest
/// time is asked to close.
///
/// A connection without a first request is about to get one: Gatekeeper opens a connection for a call. Closing it would
/// fail that call, and a burst of pods is a burst of such connections. So these have a limit of their own, far above
/// any burst. Connections whose request was answered pile up, because Gatekeeper up to 3.21 never closes one; few of
/// them are kept.
final class IdleConnections: Sendable {
    /// Sent to a connection that is to close unless a request has come meanwhile.
    struct CloseIfIdle: Sendable {}

    /// An open connection, as it is known here.
    ///
    /// `@unchecked Sendable`: everything that changes is read and written under the lock of ``IdleConnections`` alone.
    final class Entry: @unchecked Sendable {
        /// `nil` when it has been closed: where an entry is forgotten later than its connection, it keeps nothing.
        fileprivate var channel: (any Channel)?
        /// The turn at which it became idle; 0 while it is busy.
        fileprivate var turn: UInt64 = 0
        fileprivate var hasAsked = false

        fileprivate init(_ channel: any Channel) { self.channel = channel }
    }

    private struct Pool {
        let maximum: Int
        /// How many are idle.
        var count = 0
        /// The order in which they became idle. Those whose turn is another one by now are skipped.
        var order = CircularBuffer<(entry: Entry, turn: UInt64)>()

        mutating func remove(_ entry: Entry) {
            entry.turn = 0
            count -= 1
            if count == 0 { order.removeAll(keepingCapacity: true) }
        }

        /// Adds a connection, and gives the one that has to go for it.
        mutating func add(_ entry: Entry, turn: UInt64) -> (any Channel)? {
            entry.turn = turn
            count += 1
            order.append((entry, turn))
            // Connections that became busy again leave stale entries behind; these are dropped before they pile up.
            if order.count > 4 * maximum + 64 { order = CircularBuffer(order.filter { $0.entry.turn == $0.turn }) }
            guard count > maximum else { return nil }
            while let oldest = order.popFirst() {
                guard oldest.entry.turn == oldest.turn else { continue }
                remove(oldest.entry)
                return oldest.entry.channel
            }
            return nil
        }
    }

    private struct State {
        var open: [ObjectIdentifier: Entry] = [:]
        var isCut = false
        var turn: UInt64 = 0
        /// Those that have not asked yet.
        var fresh: Pool
        /// Those whose requests were answered.
        var answered: Pool

        mutating func becameBusy(_ entry: Entry) {
            guard entry.turn != 0 else { return }
            if entry.hasAsked { answered.remove(entry) } else { fresh.remove(entry) }
        }
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
        state.withLock { ($0.open.count, $0.fresh.count + $0.answered.count) }
    }

    func opened(_ channel: any Channel) -> Entry {
        let entry = Entry(channel)
        let isCut = state.withLock { state in
            state.open[ObjectIdentifier(entry)] = entry
            return state.isCut
        }
        if isCut { channel.close(promise: nil) }
        return entry
    }

    /// Time is up: what is waited for is not waited for any longer.
    func cut() {
        let open = state.withLock { state in
            state.isCut = true
            return state.open.values.compactMap(\.channel)
        }
        for channel in open { channel.pipeline.fireUserInboundEventTriggered(ProviderConnection.Cut()) }
    }

    func closed(_ entry: Entry) {
        state.withLock { state in
            state.becameBusy(entry)
            state.open[ObjectIdentifier(entry)] = nil
            entry.channel = nil
        }
    }

    func becameBusy(_ entry: Entry) { state.withLock { $0.becameBusy(entry) } }

    /// - Parameter hasAsked: whether a request has come on this connection before.
    func becameIdle(_ entry: Entry, hasAsked: Bool) {
        let victim = state.withLock { state -> (any Channel)? in
            guard entry.channel != nil else { return nil }
            state.becameBusy(entry)
            state.turn += 1
            entry.hasAsked = hasAsked
            return hasAsked
                ? state.answered.add(entry, turn: state.turn) : state.fresh.add(entry, turn: state.turn)
        }
        victim?.pipeline.fireUserInboundEventTriggered(CloseIfIdle())
    }
}
