/// Whose transfers may have a connection now: so many in all, fairly between hosts.
///
/// Transfers that stall keep their connections. Half of all connections are for whoever comes first, up to each host's own
/// limit. Of the other half a host may begin to use some only as long as it has few, and the last eighth is for hosts that are
/// known to deliver. So a host that answers nothing, or a dozen of them, leaves connections to the others.
struct ConnectionQueue {
    private let perHost: Int
    private let all: Int
    /// How many transfers each host has under way.
    private var active: [String: Int] = [:]
    /// How many connections these need at most.
    private var connections = 0
    private var waiting: [Transfer] = []

    init(perHost: Int, all: Int) { (self.perHost, self.all) = (perHost, all) }

    var isEmpty: Bool { waiting.isEmpty }

    /// When the first of those that wait has no more time.
    var nextDeadline: ContinuousClock.Instant? { waiting.lazy.map(\.deadline).min() }

    /// Whether a transfer may begin, as far as others are concerned.
    func mayStart(_ transfer: Transfer, _ budget: BodyBudget) -> Bool { mayStart(host(of: transfer), budget) }

    private func mayStart(_ host: String, _ budget: BodyBudget) -> Bool {
        let own = active[host] ?? 0
        // It waits for one of its host's connections, or shares it. And who is alone takes nothing away from others.
        if own >= perHost || own > 0 && active.count == 1 || connections < all / 2 { return true }
        guard own < max(1, all / 32) else { return false }
        return connections < all - all / 8 || connections < all && budget.delivers(host)
    }

    mutating func add(_ transfer: Transfer) { waiting.append(transfer) }

    /// The next one that may begin; it does not wait any more.
    mutating func next(_ budget: BodyBudget) -> Transfer? {
        guard !waiting.isEmpty else { return nil }
        var known: [String: Bool] = [:]
        for (index, transfer) in waiting.enumerated() {
            let host = host(of: transfer)
            let may = known[host] ?? mayStart(host, budget)
            known[host] = may
            if may { return waiting.remove(at: index) }
        }
        return nil
    }

    /// Removes one that waits; `false` when it does not.
    mutating func remove(_ transfer: Transfer) -> Bool {
        guard let index = waiting.firstIndex(where: { $0 === transfer }) else { return false }
        waiting.remove(at: index)
        return true
    }

    mutating func removeLate(_ now: ContinuousClock.Instant) -> [Transfer] {
        let late = waiting.filter { $0.deadline <= now }
        if !late.isEmpty { waiting.removeAll { $0.deadline <= now } }
        return late
    }

    mutating func removeAll() -> [Transfer] {
        defer { waiting = [] }
        return waiting
    }

    mutating func began(_ transfer: Transfer) {
        let own = active[host(of: transfer), default: 0] + 1
        active[host(of: transfer)] = own
        if own <= perHost { connections += 1 }
    }

    mutating func ended(_ transfer: Transfer) {
        let own = (active[host(of: transfer)] ?? 1) - 1
        active[host(of: transfer)] = own == 0 ? nil : own
        if own < perHost { connections -= 1 }
    }

    private func host(of transfer: Transfer) -> String { transfer.exchange.url.authority }
}
