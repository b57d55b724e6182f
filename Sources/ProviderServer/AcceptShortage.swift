import Logging
import NIOCore
import ServiceMetrics

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Logs and counts, for all listeners, that the system accepts no more connections: usually because the process has as
/// many files open as it may.
struct AcceptShortage: Sendable {
    let metrics: MetricsRegistry
    let logger: Logger
    /// One for all listeners: it is one cause.
    let refusals = RefusalLog(interval: .seconds(10))

    /// Logs and counts that a connection could not be accepted.
    func report(_ error: IOError) {
        metrics.count(
            "countersign_accept_errors_total", [("reason", AcceptShortage.name(error.errnoCode))],
            help: "Connections that could not be accepted, by the system's reason.")
        guard error.errnoCode != ECONNABORTED else { return }
        refusals.record(
            "connections cannot be accepted", kind: AcceptShortage.name(error.errnoCode),
            reason: AcceptShortage.reason(error.errnoCode), from: nil, logger: logger)
    }

    private static func name(_ code: CInt) -> String {
        switch code {
        case EMFILE: "EMFILE"
        case ENFILE: "ENFILE"
        case ENOBUFS: "ENOBUFS"
        case ENOMEM: "ENOMEM"
        case ECONNABORTED: "ECONNABORTED"
        default: "other"
        }
    }

    private static func reason(_ code: CInt) -> String {
        let text = String(cString: strerror(code))
        switch code {
        case EMFILE:
            return
                "\(text): this process may have \(limit) open, connections among them; raise its limit of open files, or lower --max-connections"
        case ENFILE: return "\(text): the whole machine has as many open as it may; see fs.file-max"
        default: return text
        }
    }

    private static var limit: String {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return "so many" }
        return "\(limit.rlim_cur)"
    }
}
