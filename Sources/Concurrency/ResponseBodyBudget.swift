import Synchronization

/// A memory budget for the bodies of HTTP responses, shared fairly between the hosts that send them.
///
/// Each response has a limit and each host a limit of connections, but the number of hosts has none. So one budget
/// covers all bodies that are being received or wait to be verified. Where there is no room for a host, a host that
/// holds more than it gives way: the largest transfer of the one that holds most is ended. Nobody gains by answering
/// slowly, by many connections, or by being first.
///
/// A body for which there is no room waits: it is not read until others have ended. Of one host only as many large
/// bodies are read at once as fit whole, the oldest first. A host that has lost much more than it has delivered makes
/// nobody else give way. Otherwise hosts that send as fast as they can would evict each other in turn, and what they
/// send would be read for nothing.
///
/// A quarter of the budget is for hosts that deliver: of it each may use as many bytes as it has lately sent in whole
/// bodies, less those of bodies that were broken off. And each host may always hold ``alwaysGranted`` bytes, so that
/// the usual manifest and signature of some kilobytes never wait.
package final class ResponseBodyBudget: Sendable {
    /// The budget of the process: all clients share it unless told otherwise.
    package static let process = ResponseBodyBudget()
    /// 64 MiB.
    package static let usualBytes = 64 << 20
    /// What every host may hold, whatever the others do. There are as many hosts as connections at most.
    package static let alwaysGranted = 64 << 10
    /// Room is asked for in multiples of this: bytes arrive in pieces of 16 KiB.
    package static let step = 16 << 10
    /// The expected size of a body without a `Content-Length`.
    package static let usualBodyBytes = 1 << 20
    /// How many hosts are remembered for what they delivered.
    static let maximumRemembered = 512
    /// How long it takes until half of what a host delivered is forgotten.
    static let halfLife = Duration.seconds(60)

    /// The answer to a request for room.
    package enum Answer: Equatable {
        case granted
        /// There is no room now. ``Orders/goOn`` is called when it is worth asking again.
        case wait
        case refused
    }

    /// The callbacks of a transfer. They are called on any thread.
    package struct Orders: Sendable {
        /// The transfer must end: its bytes were given to others.
        package var giveWay: @Sendable () -> Void
        /// The transfer waited, and there may be room now.
        package var goOn: @Sendable () -> Void

        /// The callbacks of a transfer.
        package init(giveWay: @escaping @Sendable () -> Void, goOn: @escaping @Sendable () -> Void) {
            (self.giveWay, self.goOn) = (giveWay, goOn)
        }
    }

    /// The bytes of one body. They are released when the last reference to the share is.
    package final class Share: Sendable {
        fileprivate let budget: ResponseBodyBudget
        fileprivate let host: String
        fileprivate let number: UInt64

        fileprivate init(_ budget: ResponseBodyBudget, _ host: String, _ number: UInt64) {
            (self.budget, self.host, self.number) = (budget, host, number)
        }

        deinit { budget.release(self) }
    }

    private let state: Mutex<State>

    /// A budget.
    package init(maximumBytes: Int = usualBytes) { state = Mutex(State(maximum: maximumBytes)) }

    /// The size of the budget. Lowering it evicts nothing that is held already.
    package var maximumBytes: Int {
        get { state.withLock { $0.maximum } }
        set {
            change { state, _ in state.maximum = newValue }
        }
    }

    /// The bytes held now, the most that were ever held, how many transfers gave way to others, and how many were
    /// refused for want of room.
    package var counts: (bytes: Int, largest: Int, evictions: UInt64, refusals: UInt64) {
        state.withLock { ($0.bytes, $0.largest, $0.evictions, $0.refusals) }
    }

    /// Changes the state under the lock, then calls the callbacks that follow from it outside of the lock.
    ///
    /// - Parameter frees: whether the change may make room for waiting bodies; an eviction always does.
    @discardableResult private func change<Value: Sendable>(
        frees: Bool = true, _ body: (inout State, inout [@Sendable () -> Void]) -> Value
    ) -> Value {
        let (value, told) = state.withLock { state in
            var told: [@Sendable () -> Void] = []
            let value = body(&state, &told)
            if frees || !told.isEmpty { state.wake(&told) }
            return (value, told)
        }
        for tell in told { tell() }
        return value
    }

    /// The share of a body that is about to be received; it holds no bytes yet.
    ///
    /// - Parameters:
    ///   - expected: how many bytes the body will have, as far as that is known.
    ///   - orders: the callbacks of its transfer.
    package func begin(_ host: String, expected: Int = usualBodyBytes, _ orders: Orders) -> Share {
        let number = state.withLock { state in
            state.number += 1
            let number = state.number
            let now = ContinuousClock.now
            state.change(host) { host in
                host.record.fade(now)
                host.holdings[number] = Holding(expected: expected, isUnderWay: true, orders: orders)
            }
            return number
        }
        return Share(self, host, number)
    }

    /// Asks for room for bytes that have arrived, before they are stored.
    ///
    /// - Parameter mayWait: whether the bytes can stay unread until there is room; otherwise no room is a refusal.
    package func take(_ share: Share, _ more: Int, mayWait: Bool = false) -> Answer {
        change(frees: false) { state, told in
            guard let holding = state.hosts[share.host]?.holdings[share.number], !holding.hasGivenWay else {
                return .refused
            }
            guard state.makeRoom(for: share.host, share.number, more, &told) else {
                guard mayWait else {
                    state.refusals += 1
                    return .refused
                }
                state.wait(share.host, share.number, for: more)
                return .wait
            }
            state.change(share.host) { host in
                host.holdings[share.number]?.bytes += more
                host.bytes += more
            }
            return .granted
        }
    }

    /// Calls ``Orders/goOn`` of the waiting bodies for which there is room now.
    package func wake() { change { _, _ in } }

    /// Reserves room for a whole body that waits to be processed. Such a body cannot give way; so all of them together
    /// have half of the budget at most.
    ///
    /// - Returns: `nil` when there is no room. The bytes are released with the last reference to the share.
    package func hold(_ host: String, _ bytes: Int) -> Share? {
        let number = change(frees: false) { state, told -> UInt64? in
            let own = state.hosts[host]?.bytes ?? 0
            guard own + bytes <= Self.alwaysGranted || state.held + bytes <= state.maximum / 2,
                state.makeRoom(for: host, nil, bytes, &told)
            else {
                state.refusals += 1
                return nil
            }
            state.number += 1
            let number = state.number
            state.held += bytes
            state.change(host) { host in
                host.holdings[number] = Holding(bytes: bytes, expected: bytes, isUnderWay: false, isHeld: true)
                host.bytes += bytes
            }
            return number
        }
        return number.map { Share(self, host, $0) }
    }

    /// A body was received whole: it cannot give way any more, and its bytes count as delivered by its host.
    package func complete(_ share: Share, _ bytes: Int) {
        change { state, _ in
            let now = ContinuousClock.now
            state.change(share.host) { host in
                guard let holding = host.holdings[share.number], !holding.hasGivenWay else { return }
                host.bytes += bytes - holding.bytes
                if holding.isAdmitted { host.admitted += bytes - holding.expected }
                host.holdings[share.number]?.expected = bytes
                host.holdings[share.number]?.bytes = bytes
                host.holdings[share.number]?.isUnderWay = false
                host.record.fade(now)
                host.record.delivered += Double(bytes)
            }
        }
    }

    /// Whether a host has lately delivered more bytes than it lost.
    package func delivers(_ host: String) -> Bool {
        state.withLock { ($0.hosts[host]?.record ?? $0.remembered[host]).map { $0.credit > 0 } ?? false }
    }

    private func release(_ share: Share) {
        change { state, _ in
            state.wait(share.host, share.number, for: 0)
            let held = state.change(share.host) { host -> Int in
                host.dismiss(share.number)
                guard let holding = host.holdings.removeValue(forKey: share.number) else { return 0 }
                host.bytes -= holding.bytes
                // Broken off before it was whole.
                if holding.isUnderWay { host.record.lost += Double(holding.bytes) }
                return holding.isHeld ? holding.bytes : 0
            }
            state.held -= held
        }
    }
}
