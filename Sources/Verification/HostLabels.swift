import Synchronization

/// Hosts as labels of metrics: references come from strangers, so only the first so many get a name of their own.
package final class HostLabels: Sendable {
    private let maximum: Int
    private let known = Mutex<Set<String>>([])

    /// Labels for so many hosts.
    package init(maximum: Int = 32) { self.maximum = maximum }

    /// The host, or "other".
    package func label(_ host: String) -> String {
        known.withLock { known in
            if known.contains(host) { return host }
            guard known.count < maximum, host.utf8.count <= 255 else { return "other" }
            known.insert(host)
            return host
        }
    }
}
