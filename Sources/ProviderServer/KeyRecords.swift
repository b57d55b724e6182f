import Concurrency
import Logging
import Quotation
import ServiceLogging
import ServiceMetrics

/// The outcome of a key, for the log and the metrics.
package enum KeyVerdict: String, Sendable, CaseIterable {
    /// The image may run, or the reference has its digest.
    case pass
    /// The image may not run.
    case fail
    /// A definite error.
    case refused
    /// No verdict: something failed that says nothing about the image.
    case fault
    /// Not verified: no pattern of the policy matches it.
    case skipped

    /// The index of its counter.
    fileprivate var index: Int {
        switch self {
        case .pass: 0
        case .fail: 1
        case .refused: 2
        case .fault: 3
        case .skipped: 4
        }
    }
}

/// Logs and counts the keys of one kind of request: one line and one count for each.
///
/// This is on the path of every request. The counters are found once, and a request's lines are made without
/// dictionaries and written together.
package struct KeyRecords: Sendable {
    private let operation: String
    private let logger: Logger
    private let handler: StructuredLogHandler?
    private let counters: [MetricCounter]

    /// - Parameter operation: what is asked of the keys, in one word.
    package init(_ operation: String, metrics: MetricsRegistry, logger: Logger) {
        self.operation = operation
        self.logger = logger
        handler = logger.handler as? StructuredLogHandler
        counters = KeyVerdict.allCases.map { verdict in
            metrics.counter(
                "countersign_keys_total", [("operation", operation), ("verdict", verdict.rawValue)],
                help: "Keys answered, by operation and verdict.")
        }
    }

    /// The lines of one request.
    ///
    /// - Parameter time: when it is answered, as `Timestamp` writes it.
    package func lines(traceID: String, time: String = Timestamp.now()) -> Lines {
        Lines(
            operation: operation, traceID: traceID, time: time, logger: logger, handler: handler, counters: counters)
    }

    /// Lines of one request, until they are written.
    package struct Lines: ~Copyable {
        fileprivate let operation: String
        fileprivate let traceID: String
        fileprivate let time: String
        fileprivate let logger: Logger
        fileprivate let handler: StructuredLogHandler?
        fileprivate let counters: [MetricCounter]
        private var text: [UInt8] = []

        fileprivate init(
            operation: String, traceID: String, time: String, logger: Logger, handler: StructuredLogHandler?,
            counters: [MetricCounter]
        ) {
            self.operation = operation
            self.traceID = traceID
            self.time = time
            self.logger = logger
            self.handler = handler
            self.counters = counters
        }

        /// Counts a key, and adds its line.
        package mutating func add(
            _ key: String, _ verdict: KeyVerdict, digest: String? = nil, reason: String? = nil, _ duration: Duration?
        ) {
            counters[verdict.index].count()
            let level: Logger.Level = verdict == .fault ? .warning : .info
            guard logger.logLevel <= level else { return }
            let milliseconds = Lines.tenths((duration ?? .zero).milliseconds)
            guard let handler, handler.takesLines else {
                var metadata: Logger.Metadata = [
                    "key": "\(key.bounded(toBytes: 1024))", "ms": "\(milliseconds)", "trace-id": "\(traceID)",
                    "verdict": "\(verdict.rawValue)",
                ]
                if let digest { metadata["digest"] = "\(digest)" }
                if let reason { metadata["reason"] = "\(reason.bounded(toBytes: 2048))" }
                return logger.log(level: level, "\(operation)", metadata: metadata)
            }
            handler.addLine(level, operation, time: time, to: &text) { fields in
                // In the order of their names, as in every line.
                if let digest { fields.add("digest", digest) }
                fields.add("key", key.bounded(toBytes: 1024))
                fields.add("ms", milliseconds)
                if let reason { fields.add("reason", reason.bounded(toBytes: 2048)) }
                fields.add("trace-id", traceID)
                fields.add("verdict", verdict.rawValue)
            }
        }

        /// Writes the lines that are there.
        package consuming func write() {
            if !text.isEmpty { handler?.writeLines(text) }
        }

        private static func tenths(_ value: Double) -> String {
            let tenths = Int64((value * 10).rounded())
            return "\(tenths / 10).\(tenths % 10)"
        }
    }
}

extension MetricsRegistry {
    /// Buckets of durations of requests to verify, in milliseconds: those of Ratify's histogram.
    package static let verificationBounds: [Double] = [
        0, 10, 30, 50, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1000, 1100, 1200, 1400, 1600, 1800, 2000, 2300,
        2600,
        4000, 4400, 4900,
    ]
}
