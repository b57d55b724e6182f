import Logging
import Verification

/// What became of a key.
enum KeyVerdict: String, Sendable {
    /// The image may run, or the reference has its digest.
    case pass
    /// The image may not run.
    case fail
    /// A definite error.
    case refused
    /// Not known now.
    case fault
    /// Not looked at: no pattern of the policy chose it.
    case skipped
}

/// Logs and counts keys.
struct KeyRecord: Sendable {
    let metrics: MetricsRegistry
    let logger: Logger

    /// One log line and one count for a key of a request.
    func record(
        _ operation: String, key: String, verdict: KeyVerdict, digest: String? = nil, reason: String?,
        duration: Duration?, traceID: String
    ) {
        metrics.count(
            "countersign_keys_total", [("operation", operation), ("verdict", verdict.rawValue)],
            help: "Keys answered, by operation and verdict.")
        let level: Logger.Level = verdict == .fault ? .warning : .info
        guard logger.logLevel <= level else { return }
        var metadata: Logger.Metadata = [
            "trace-id": "\(traceID)", "key": "\(key.prefix(1024))", "verdict": "\(verdict.rawValue)",
            "ms": "\(KeyRecord.tenths((duration ?? .zero).milliseconds))",
        ]
        if let digest { metadata["digest"] = "\(digest)" }
        if let reason { metadata["reason"] = "\(reason.prefix(2048))" }
        logger.log(level: level, "\(operation)", metadata: metadata)
    }

    private static func tenths(_ value: Double) -> String {
        let tenths = Int64((value * 10).rounded())
        return "\(tenths / 10).\(tenths % 10)"
    }
}

extension ExternalDataHandler {
    /// Buckets of Ratify's verification histogram.
    static let verificationBounds: [Double] = [
        0, 10, 30, 50, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1000, 1100, 1200, 1400, 1600, 1800, 2000, 2300,
        2600,
        4000, 4400, 4900,
    ]

    /// Buckets of Ratify's mutation histogram.
    static let mutationBounds: [Double] = [
        0, 10, 30, 50, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1000, 1100, 1200, 1400, 1600, 1800,
    ]

    /// One log line and one count for every key of a request.
    func record(
        _ operation: Operation, key: String, verdict: KeyVerdict, digest: String? = nil, reason: String?,
        duration: Duration?, traceID: String
    ) {
        KeyRecord(metrics: metrics, logger: logger).record(
            operation.rawValue, key: key, verdict: verdict, digest: digest, reason: reason, duration: duration,
            traceID: traceID)
    }
}
