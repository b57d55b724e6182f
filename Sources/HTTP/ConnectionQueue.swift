import Concurrency

/// Whose transfers may have a connection now: so many in all, fairly between hosts.
///
/// Transfers that stall keep their connections. Half of all connections are for whoever comes first, up to each host's
/// own limit. Of the other half a host may begin to use some only as long as it has few, and the last eighth is for
/// hosts that are known to deliver. So a host that answers nothing, or a dozen of them, leaves connections to the
/// others.
struct ConnectionQueue {
    private let perHost: Int
    private let all: Int
    /// How many transfers each host has under way.
    private var active: [String: Int] = [:]
    /// How many connections these need at most.
    private var connections = 0
    /// Those that wait at each host, in order, and the hosts by turns.
    private var waiting: [String: [Transfer]] = [:]
    private var turns: [String] = []

    init(perHost: Int, all: Int) { (self.perHost, self.all) = (perHost, all) }

    var isEmpty: Bool { turns.isEmpty }

    /// When the first of those that wait has no more time.
    var nextDeadline: ContinuousClock.Instant? { waiting.values.lazy.flatMap { $0.lazy.map(\.deadline) }.min() }

    /// Whether a transfer may begin, as far as others are concerned. Whoever waits at its host goes before it.
    func mayStart(_ transfer: Transfer, _ budget: ResponseBodyBudget) -> Bool {
        waiting[transfer.host] == nil && mayStart(transfer.host, budget)
    }

    private func mayStart(_ host: String, _ budget: ResponseBodyBudget) -> Bool {
        let own = active[host] ?? 0
        // It waits for one of its host's connections, or shares it. And who is alone takes nothing away from others.
        if own >= perHost || own > 0 && active.count == 1 || connections < all / 2 { return true }
        guard own < max(1, all / 32) else { return false }
        return connections < all - all / 8 || connections < all && budget.delivers(host)
    }

    mutating func add(_ transfer: Transfer) {
        if waiting[transfer.host] == nil { turns.append(transfer.host) }
        waiting[transfer.host, default: []].append(transfer)
    }

    /// The next one that may begin; it does not wait any more.
    mutating func next(_ budget: ResponseBodyBudget) -> Transfer? {
        guard let index = turns.firstIndex(where: { mayStart($0, budget) }) else { return nil }
        let host = turns.remove(at: index)
        guard var own = waiting.removeValue(forKey: host), !own.isEmpty else { return nil }
        let transfer = own.removeFirst()
        if !own.isEmpty {
            waiting[host] = own
            turns.append(host)
        }
        return transfer
    }

    /// Removes one that waits; `false` when it does not.
    mutating func remove(_ transfer: Transfer) -> Bool {
        guard waiting[transfer.host]?.contains(where: { $0 === transfer }) == true else { return false }
        _ = remove(at: transfer.host) { $0 === transfer }
        return true
    }

    mutating func removeLate(_ now: ContinuousClock.Instant) -> [Transfer] {
        turns.flatMap { host in remove(at: host) { $0.deadline <= now } }
    }

    mutating func removeAll() -> [Transfer] {
        defer { (waiting, turns) = ([:], []) }
        return waiting.values.flatMap(\.self)
    }

    private mutating func remove(at host: String, _ isGone: (Transfer) -> Bool) -> [Transfer] {
        guard let all = waiting[host] else { return [] }
        let gone = all.filter(isGone)
        guard !gone.isEmpty else { return [] }
        let left = all.filter { !isGone($0) }
        waiting[host] = left.isEmpty ? nil : left
        if left.isEmpty { turns.removeAll { $0 == host } }
        return gone
    }

    mutating func began(_ transfer: Transfer) {
        let own = active[transfer.host, default: 0] + 1
        active[transfer.host] = own
        if own <= perHost { connections += 1 }
    }

    mutating func ended(_ transfer: Transfer) {
        let own = (active[transfer.host] ?? 1) - 1
        active[transfer.host] = own == 0 ? nil : own
        if own < perHost { connections -= 1 }
    }
}
