import Synchronization

/// How many bytes of answers may be in the process's memory at once, and whose they are.
///
/// Each answer has a limit, each host a number of connections, and there is any number of hosts: the product of these
/// has no limit that a process could bear. So there is one budget for all bodies that are under way or wait to be
/// judged, and it is shared fairly: where there is no room for a host, whoever holds more than it gives way, its
/// largest transfer first. Nobody gains by answering slowly, by many connections, or by being first.
///
/// A body for which there is no room is not read for a while: it waits, and goes on when others have ended. Of one host
/// no more large bodies are read at once than can be had whole, the oldest first. A host whose bodies gave way or were
/// broken off before makes nobody else give way: hosts that send as fast as they can would else take turns in that, and
/// what they send would be read for nothing.
///
/// A quarter is kept for hosts that deliver: of it each may use as many bytes as it has lately sent in whole bodies,
/// less those of bodies that it broke off. And ``alwaysGranted`` bytes are there for every host that can be asked at
/// all, so that what is usual, a manifest and a signature of some kilobytes, never waits for anybody.
package final class BodyBudget: Sendable {
    /// The budget of the process: all clients share it unless told otherwise.
    package static let process = BodyBudget()
    /// 64 MiB.
    package static let usualBytes = 64 << 20
    /// What every host may hold, whatever the others do. There are as many hosts as connections at most.
    package static let alwaysGranted = 64 << 10
    /// Less is asked for at once: bytes come in pieces of 16 KiB.
    package static let step = 16 << 10
    /// How large a body is taken to become that does not say so.
    package static let usualBodyBytes = 1 << 20
    /// How many hosts are remembered for what they delivered.
    static let maximumRemembered = 512
    /// How long it takes until half of what a host delivered is forgotten.
    static let halfLife = Duration.seconds(60)

    /// What was asked for.
    package enum Answer: Equatable {
        case granted
        /// There is none now: whoever asked is told when it is worth asking again.
        case wait
        case refused
    }

    /// What a transfer is told, from any thread.
    package struct Orders: Sendable {
        /// It is to end: its bytes are free for others.
        package var giveWay: @Sendable () -> Void
        /// It waited, and there may be room now.
        package var goOn: @Sendable () -> Void

        /// Orders.
        package init(giveWay: @escaping @Sendable () -> Void, goOn: @escaping @Sendable () -> Void) {
            (self.giveWay, self.goOn) = (giveWay, goOn)
        }
    }

    /// The bytes of one body. They are free again when nobody holds this any more.
    package final class Share: Sendable {
        fileprivate let budget: BodyBudget
        fileprivate let host: String
        fileprivate let number: UInt64

        fileprivate init(_ budget: BodyBudget, _ host: String, _ number: UInt64) {
            (self.budget, self.host, self.number) = (budget, host, number)
        }

        deinit { budget.release(self) }
    }

    private let state: Mutex<State>

    /// A budget.
    package init(maximumBytes: Int = usualBytes) { state = Mutex(State(maximum: maximumBytes)) }

    /// How many bytes there may be. What is there already stays.
    package var maximumBytes: Int {
        get { state.withLock { $0.maximum } }
        set {
            change { state, _ in state.maximum = newValue }
        }
    }

    /// How many bytes there are now and were at most, how many transfers gave way to other hosts, and how many were
    /// ended because there was no room for them.
    package var counts: (bytes: Int, largest: Int, evictions: UInt64, refusals: UInt64) {
        state.withLock { ($0.bytes, $0.largest, $0.evictions, $0.refusals) }
    }

    /// Changes the state, and then tells whom it concerns.
    ///
    /// - Parameter frees: whether others may find room afterwards; whoever gave way left some in any case.
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

    /// The share of a body that is about to come, with nothing in it yet.
    ///
    /// - Parameters:
    ///   - expected: how many bytes it will have, as far as that is known.
    ///   - orders: what it is told.
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

    /// Asks for room for bytes that have come, before they are kept.
    ///
    /// - Parameter mayWait: whether the bytes can stay where they are until there is room.
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

    /// Has those asked again that wait, if there is room for them.
    package func wake() { change { _, _ in } }

    /// Room for a body that has come and waits for what is to be done with it. It cannot give way; so what waits has
    /// half of the budget at most.
    ///
    /// - Returns: `nil` when there is no room. The bytes are free again when nobody holds the share any more.
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

    /// A body has come whole, with so many bytes: it cannot give way any more, and its host is to be trusted with more.
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

    /// Whether a host is one that delivers.
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
                // Broken off: it was waited for in vain.
                if holding.isUnderWay { host.record.lost += Double(holding.bytes) }
                return holding.isHeld ? holding.bytes : 0
            }
            state.held -= held
        }
    }
}
