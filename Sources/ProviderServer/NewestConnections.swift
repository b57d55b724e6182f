import NIOCore
import ServiceMetrics
import Synchronization

/// Who may open a connection, before anything is spent on it.
protocol ConnectionAdmission: Sendable {
    /// Takes note of a connection until it is closed, unless there are too many.
    ///
    /// - Returns: whether it may go on; otherwise it is to be closed.
    func admits(_ channel: any Channel) -> Bool
}

/// The connections to a listener that anybody may use, and that answers at once (health, metrics): when there are too
/// many, the oldest makes room for the newest.
///
/// A probe of Kubernetes is a new connection each time, and probes that are refused restart the pod. A client that
/// holds connections open loses them to it.
final class NewestConnections: ConnectionAdmission {
    /// How many there may be.
    let maximum: Int
    private let open = Mutex(CircularBuffer<any Channel>())
    private let displaced: MetricCounter
    private let reserve: ReservedDescriptors

    /// - Parameter reserve: the file descriptors for these connections when the process has no others left.
    init(maximum: Int, reserve: ReservedDescriptors, metrics: MetricsRegistry) {
        self.maximum = max(1, maximum)
        self.reserve = reserve
        displaced = metrics.counter(
            ConnectionLimits.closings, [("reason", "displaced")], help: ConnectionLimits.closingsHelp)
    }

    /// How many are open.
    var count: Int { open.withLock { $0.count } }

    func admits(_ channel: any Channel) -> Bool {
        let oldest = open.withLock { open in
            open.append(channel)
            return open.count > maximum ? open.popFirst() : nil
        }
        channel.closeFuture.whenComplete { [self] _ in
            open.withLock { open in open.removeAll { $0 === channel } }
            reserve.refill()
        }
        if let oldest { displace(oldest) }
        return true
    }

    /// Makes room for one connection when the system allows no more.
    ///
    /// - Returns: whether there is room now.
    func makeRoom() -> Bool {
        if reserve.release() { return true }
        // The room is there only once that connection has been closed.
        if let oldest = open.withLock({ $0.popFirst() }) { displace(oldest) }
        return false
    }

    private func displace(_ channel: any Channel) {
        displaced.count()
        channel.close(promise: nil)
    }
}
