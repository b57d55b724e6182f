import Synchronization

/// How many bytes of answers may be in the process's memory at once, and whose they are.
///
/// Each answer has a limit, each host a number of connections, and there is any number of hosts: the product of these has no
/// limit that a process could bear. So there is one budget for all bodies that are under way or wait to be judged, and it is
/// shared fairly: where there is no room for a host, whoever holds more than it gives way, its largest transfer first. Nobody
/// gains by answering slowly, by many connections, or by being first.
///
/// A quarter is kept for hosts that deliver: of it each may use as many bytes as it has lately sent in whole bodies, less
/// those of bodies that it broke off. And ``alwaysGranted`` bytes are there for every host that can be asked at all, so that
/// what is usual, a manifest and a signature of some kilobytes, never waits for anybody.
package final class BodyBudget: Sendable {
    /// The budget of the process: all clients share it unless told otherwise.
    package static let process = BodyBudget()
    /// 64 MiB.
    package static let usualBytes = 64 << 20
    /// What every host may hold, whatever the others do. There are as many hosts as connections at most.
    static let alwaysGranted = 64 << 10
    /// Less is asked for at once: bytes come in pieces of 16 KiB.
    static let step = 16 << 10
    /// How many hosts are remembered for what they delivered.
    private static let maximumRemembered = 512
    /// How long it takes until half of what a host delivered is forgotten.
    private static let halfLife = Duration.seconds(60)

    /// What was asked for.
    enum Answer: Equatable { case granted, refused }

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

    private struct Holding {
        var bytes = 0
        /// Whether it is under way: only then it can give way.
        var isUnderWay: Bool
        /// Whether it waits for what is to be done with it.
        var isHeld = false
        var hasGivenWay = false
        /// Not the share itself, which would never end.
        let evict: (@Sendable () -> Void)?
    }

    private struct Host {
        var holdings: [UInt64: Holding] = [:]
        var bytes = 0
        var record = Record()
        /// What it holds beyond what it is trusted with.
        var excess: Int { max(0, bytes - record.credit) }
    }

    /// What a host made of our patience.
    private struct Record {
        var delivered = 0.0
        var lost = 0.0
        var updated = ContinuousClock.now

        var credit: Int { Int(max(0, delivered - lost)) }

        mutating func fade(_ now: ContinuousClock.Instant) {
            let halves = (now - updated) / BodyBudget.halfLife
            guard halves > 0.01 else { return }
            // Close enough to an exponential, and without a library of mathematics.
            let factor = 1 / (1 + halves * (1 + halves / 2))
            (delivered, lost, updated) = (delivered * factor, lost * factor, now)
        }
    }

    /// What is to be told that it has given way.
    private struct Eviction {
        let evict: (@Sendable () -> Void)?
    }

    private struct State {
        var maximum: Int
        var hosts: [String: Host] = [:]
        var remembered: [String: Record] = [:]
        var bytes = 0
        var excess = 0
        var held = 0
        var number: UInt64 = 0
        var evictions: UInt64 = 0
        var refusals: UInt64 = 0
        var largest = 0

        /// Changes what a host has, and the sums with it.
        mutating func change<Value>(_ name: String, _ body: (inout Host) -> Value) -> Value {
            var host = hosts.removeValue(forKey: name) ?? Host(record: remembered.removeValue(forKey: name) ?? Record())
            (bytes, excess) = (bytes - host.bytes, excess - host.excess)
            let value = body(&host)
            (bytes, excess) = (bytes + host.bytes, excess + host.excess)
            if host.holdings.isEmpty { remember(name, host.record) } else { hosts[name] = host }
            largest = max(largest, bytes)
            return value
        }

        private mutating func remember(_ name: String, _ record: Record) {
            guard record.delivered >= 1 || record.lost >= 1 else { return }
            if remembered.count >= BodyBudget.maximumRemembered {
                let median = remembered.values.map(\.updated).sorted()[remembered.count / 2]
                remembered = remembered.filter { $0.value.updated > median }
            }
            remembered[name] = record
        }

        /// Whether there is room for more bytes of a host.
        func hasRoom(_ host: Host, _ more: Int) -> Bool {
            if host.bytes + more <= BodyBudget.alwaysGranted { return true }
            let growth = max(0, host.bytes + more - host.record.credit) - host.excess
            return bytes + more <= maximum && excess + growth <= maximum - maximum / 4
        }

        /// Lets others give way until there is room for a host, if that can be.
        mutating func makeRoom(for name: String, _ more: Int) -> (hasRoom: Bool, evictions: [Eviction]) {
            var given: [Eviction] = []
            while !hasRoom(hosts[name] ?? Host(record: remembered[name] ?? Record()), more) {
                guard let eviction = giveWay(to: name, more) else {
                    refusals += 1
                    return (false, given)
                }
                evictions += 1
                given.append(eviction)
            }
            return (true, given)
        }

        /// The transfer that gives way to a host: the largest of the host that holds most, if that is more than this one
        /// would hold.
        mutating func giveWay(to name: String, _ more: Int) -> Eviction? {
            let own = hosts[name].map { max(0, $0.bytes + more - $0.record.credit) } ?? more
            var chosen: (name: String, excess: Int)?
            for (other, host) in hosts where other != name && host.excess > max(own, chosen?.excess ?? 0) {
                if host.holdings.values.contains(where: { $0.isUnderWay && $0.bytes > 0 }) {
                    chosen = (other, host.excess)
                }
            }
            guard let chosen else { return nil }
            return change(chosen.name) { host -> Eviction? in
                let candidates = host.holdings.filter { $0.value.isUnderWay && $0.value.bytes > 0 }
                guard let (number, holding) = candidates.max(by: { $0.value.bytes < $1.value.bytes }) else {
                    return nil
                }
                host.holdings[number]?.bytes = 0
                host.holdings[number]?.isUnderWay = false
                host.holdings[number]?.hasGivenWay = true
                host.bytes -= holding.bytes
                host.record.lost += Double(holding.bytes)
                return Eviction(evict: holding.evict)
            }
        }
    }

    private let state: Mutex<State>

    /// A budget.
    package init(maximumBytes: Int = usualBytes) { state = Mutex(State(maximum: maximumBytes)) }

    /// How many bytes there may be. What is there already stays.
    package var maximumBytes: Int {
        get { state.withLock { $0.maximum } }
        set { state.withLock { $0.maximum = newValue } }
    }

    /// How many bytes there are now and were at most, how many transfers gave way to other hosts, and how many were ended
    /// because there was no room for them.
    package var counts: (bytes: Int, largest: Int, evictions: UInt64, refusals: UInt64) {
        state.withLock { ($0.bytes, $0.largest, $0.evictions, $0.refusals) }
    }

    /// The share of a body that is about to come, with nothing in it yet.
    ///
    /// - Parameter evict: ends the transfer; called once, from any thread.
    func begin(_ host: String, evict: @escaping @Sendable () -> Void) -> Share {
        let number = state.withLock { state in
            state.number += 1
            let number = state.number
            let now = ContinuousClock.now
            state.change(host) { host in
                host.record.fade(now)
                host.holdings[number] = Holding(isUnderWay: true, evict: evict)
            }
            return number
        }
        return Share(self, host, number)
    }

    /// Asks for room for bytes that have come, before they are kept.
    func take(_ share: Share, _ more: Int) -> Answer {
        let (answer, evictions) = state.withLock { state -> (Answer, [Eviction]) in
            guard state.hosts[share.host]?.holdings[share.number]?.hasGivenWay == false else { return (.refused, []) }
            let (hasRoom, evictions) = state.makeRoom(for: share.host, more)
            guard hasRoom else { return (.refused, evictions) }
            state.change(share.host) { host in
                host.holdings[share.number]?.bytes += more
                host.bytes += more
            }
            return (.granted, evictions)
        }
        for eviction in evictions { eviction.evict?() }
        return answer
    }

    /// Room for a body that has come and waits for what is to be done with it. It cannot give way; so what waits has half of
    /// the budget at most.
    ///
    /// - Returns: `nil` when there is no room. The bytes are free again when nobody holds the share any more.
    package func hold(_ host: String, _ bytes: Int) -> Share? {
        let (number, evictions) = state.withLock { state -> (UInt64?, [Eviction]) in
            let own = state.hosts[host]?.bytes ?? 0
            guard own + bytes <= Self.alwaysGranted || state.held + bytes <= state.maximum / 2 else {
                state.refusals += 1
                return (nil, [])
            }
            let (hasRoom, evictions) = state.makeRoom(for: host, bytes)
            guard hasRoom else { return (nil, evictions) }
            state.number += 1
            let number = state.number
            state.held += bytes
            state.change(host) { host in
                host.holdings[number] = Holding(bytes: bytes, isUnderWay: false, isHeld: true, evict: nil)
                host.bytes += bytes
            }
            return (number, evictions)
        }
        for eviction in evictions { eviction.evict?() }
        return number.map { Share(self, host, $0) }
    }

    /// A body has come whole, with so many bytes: it cannot give way any more, and its host is to be trusted with more.
    func complete(_ share: Share, _ bytes: Int) {
        state.withLock { state in
            let now = ContinuousClock.now
            state.change(share.host) { host in
                guard let holding = host.holdings[share.number], !holding.hasGivenWay else { return }
                host.bytes += bytes - holding.bytes
                host.holdings[share.number]?.bytes = bytes
                host.holdings[share.number]?.isUnderWay = false
                host.record.fade(now)
                host.record.delivered += Double(bytes)
            }
        }
    }

    /// Whether a host is one that delivers.
    func delivers(_ host: String) -> Bool {
        state.withLock { ($0.hosts[host]?.record ?? $0.remembered[host]).map { $0.credit > 0 } ?? false }
    }

    private func release(_ share: Share) {
        state.withLock { state in
            var held = 0
            state.change(share.host) { host in
                guard let holding = host.holdings.removeValue(forKey: share.number) else { return }
                host.bytes -= holding.bytes
                // Broken off: it was waited for in vain.
                if holding.isUnderWay { host.record.lost += Double(holding.bytes) }
                if holding.isHeld { held = holding.bytes }
            }
            state.held -= held
        }
    }
}
