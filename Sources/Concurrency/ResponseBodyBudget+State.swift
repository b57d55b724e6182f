/// The state of a budget: which body holds how much, and which waiting body is next.
extension ResponseBodyBudget {
    struct Holding {
        var bytes = 0
        /// The size that the body is expected to reach.
        var expected: Int
        /// Whether it is still being received: only then it can give way.
        var isUnderWay: Bool
        /// Whether it is whole and waits to be processed (``ResponseBodyBudget/hold(_:_:)``).
        var isHeld = false
        /// Whether it may grow beyond ``ResponseBodyBudget/alwaysGranted``.
        var isAdmitted = false
        /// The bytes for which it waits, unread; 0 when it does not wait.
        var wanted = 0
        var hasGivenWay = false
        /// Not the share itself: this reference would keep it alive.
        var orders: Orders?

        var canGiveWay: Bool { isUnderWay && bytes > 0 }
        var isWaiting: Bool { wanted > 0 }

        /// Whether it is, or will be, larger than what every host may hold.
        func isLarge(with more: Int) -> Bool { max(expected, bytes + more) > ResponseBodyBudget.alwaysGranted }
    }

    struct Host {
        var holdings: [UInt64: Holding] = [:]
        var bytes = 0
        /// How many of its bodies wait.
        var waiting = 0
        /// The sum of the expected sizes of its admitted bodies.
        var admitted = 0
        var record = Record()
        /// The bytes it holds beyond its credit.
        var excess: Int { max(0, bytes - record.credit) }

        /// Whether one of its bodies may become large: as many may as fit whole into `room`, and one in any case.
        mutating func admits(_ number: UInt64, _ room: Int) -> Bool {
            guard let holding = holdings[number], !holding.isAdmitted else { return true }
            guard admitted == 0 || admitted + holding.expected <= room else { return false }
            admitted += holding.expected
            holdings[number]?.isAdmitted = true
            return true
        }

        /// A body needs no room any more.
        mutating func dismiss(_ number: UInt64) {
            guard let holding = holdings[number], holding.isAdmitted else { return }
            admitted -= holding.expected
            holdings[number]?.isAdmitted = false
        }
    }

    /// The bytes that a host delivered in whole bodies, and those of bodies that were lost. Both decay over time.
    struct Record {
        var delivered = 0.0
        var lost = 0.0
        var updated = ContinuousClock.now

        var credit: Int { Int(max(0, delivered - lost)) }

        mutating func fade(_ now: ContinuousClock.Instant) {
            let halves = (now - updated) / ResponseBodyBudget.halfLife
            guard halves > 0.01 else { return }
            // Close enough to an exponential, which would need the C math library.
            let factor = 1 / (1 + halves * (1 + halves / 2))
            (delivered, lost, updated) = (delivered * factor, lost * factor, now)
        }
    }

    struct State {
        var maximum: Int
        var hosts: [String: Host] = [:]
        var remembered: [String: Record] = [:]
        var bytes = 0
        var excess = 0
        var held = 0
        /// How many bodies wait.
        private var waiting = 0
        var number: UInt64 = 0
        var evictions: UInt64 = 0
        var refusals: UInt64 = 0
        var largest = 0

        init(maximum: Int) { self.maximum = maximum }

        /// The bytes that hosts may hold beyond their credit, all together: three quarters.
        private var forAll: Int { maximum - maximum / 4 }

        private func host(_ name: String) -> Host { hosts[name] ?? Host(record: remembered[name] ?? Record()) }

        /// Changes a host's entry, and the totals with it.
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
            if remembered.count >= ResponseBodyBudget.maximumRemembered {
                let median = remembered.values.map(\.updated).sorted()[remembered.count / 2]
                remembered = remembered.filter { $0.value.updated > median }
            }
            remembered[name] = record
        }

        /// Whether there is room for more bytes of a host.
        private func hasRoom(_ host: Host, _ more: Int) -> Bool {
            if host.bytes + more <= ResponseBodyBudget.alwaysGranted { return true }
            let growth = max(0, host.bytes + more - host.record.credit) - host.excess
            return bytes + more <= maximum && excess + growth <= forAll
        }

        /// Makes room for more bytes of a host, by evicting transfers if need be.
        ///
        /// - Parameters:
        ///   - number: the body that they belong to; `nil` when it is not being received.
        ///   - told: gets the callbacks that are to be called afterwards.
        /// - Returns: whether there is room.
        mutating func makeRoom(
            for name: String, _ number: UInt64?, _ more: Int, _ told: inout [@Sendable () -> Void]
        ) -> Bool {
            if let number, let holding = hosts[name]?.holdings[number], !holding.isAdmitted, holding.isLarge(with: more)
            {
                let room = forAll
                guard change(name, { $0.admits(number, room) }) else { return false }
            }
            while !hasRoom(host(name), more) {
                guard let (other, chosen) = others(giveWayTo: name, more) ?? younger(than: number, of: name) else {
                    return false
                }
                evict(other, chosen, &told)
            }
            return true
        }

        /// The transfer that gives way to a host: the largest of the host with the greatest excess, if that excess is
        /// more than this host's would be. A host that has lost much itself makes nobody give way.
        private func others(giveWayTo name: String, _ more: Int) -> (String, UInt64)? {
            let own = host(name)
            guard own.record.lost - own.record.delivered <= Double(maximum / 8) else { return nil }
            var most = max(0, own.bytes + more - own.record.credit)
            var chosen: String?
            for (other, host) in hosts where other != name && host.excess > most {
                if host.holdings.values.contains(where: \.canGiveWay) { (chosen, most) = (other, host.excess) }
            }
            guard let chosen else { return nil }
            let candidates = hosts[chosen]?.holdings.filter { $0.value.canGiveWay }
            return candidates?.max { $0.value.bytes < $1.value.bytes }.map { (chosen, $0.key) }
        }

        /// The newest transfer of the same host that began after this large one. So the oldest one always finishes, and
        /// no two wait for each other.
        private func younger(than number: UInt64?, of name: String) -> (String, UInt64)? {
            guard let number, let host = hosts[name], host.holdings[number]?.isAdmitted == true else { return nil }
            let candidates = host.holdings.filter { $0.key > number && $0.value.canGiveWay }
            return candidates.keys.max().map { (name, $0) }
        }

        private mutating func evict(_ name: String, _ number: UInt64, _ told: inout [@Sendable () -> Void]) {
            evictions += 1
            wait(name, number, for: 0)
            let orders = change(name) { host -> Orders? in
                guard let holding = host.holdings[number] else { return nil }
                host.dismiss(number)
                host.holdings[number]?.bytes = 0
                host.holdings[number]?.isUnderWay = false
                host.holdings[number]?.hasGivenWay = true
                host.bytes -= holding.bytes
                host.record.lost += Double(holding.bytes)
                return holding.orders
            }
            if let orders { told.append(orders.giveWay) }
        }

        /// Marks a body as waiting for room for `wanted` bytes; 0 ends the wait.
        mutating func wait(_ name: String, _ number: UInt64, for wanted: Int) {
            guard let holding = hosts[name]?.holdings[number] else { return }
            let change = (wanted > 0 ? 1 : 0) - (holding.isWaiting ? 1 : 0)
            waiting += change
            hosts[name]?.waiting += change
            hosts[name]?.holdings[number]?.wanted = wanted
        }

        /// Resumes the waiting bodies for which there is room now: hosts with the least excess first, then the oldest.
        mutating func wake(_ told: inout [@Sendable () -> Void]) {
            guard waiting > 0, bytes < maximum else { return }
            var candidates: [(host: String, excess: Int, number: UInt64)] = []
            for (name, host) in hosts where host.waiting > 0 && hasRoom(host, 1) {
                for (number, holding) in host.holdings where holding.isWaiting {
                    candidates.append((name, host.excess, number))
                }
            }
            candidates.sort { ($0.excess, $0.number) < ($1.excess, $1.number) }
            let room = forAll
            var planned = 0
            for (name, _, number) in candidates {
                guard let host = hosts[name], let holding = host.holdings[number],
                    hasRoom(host, planned + holding.wanted)
                else { continue }
                if holding.isLarge(with: holding.wanted), !change(name, { $0.admits(number, room) }) { continue }
                planned += max(holding.wanted, holding.expected - holding.bytes)
                wait(name, number, for: 0)
                if let orders = holding.orders { told.append(orders.goOn) }
            }
        }
    }
}
