import Logging
import Verification

/// What became of a key.
enum KeyVerdict: String, Sendable, CaseIterable {
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

/// Logs and counts keys: one line and one count for each.
///
/// This is on the path of every request. The counters are found once, and a request's lines are made without
/// dictionaries and written together.
struct KeyRecords: Sendable {
    /// Who asked what.
    enum Operation: String, Sendable, CaseIterable {
        case verify, mutate, kyverno
    }

    private let logger: Logger
    private let handler: StructuredLogHandler?
    private let counters: [Operation: [KeyVerdict: MetricCounter]]

    init(metrics: MetricsRegistry, logger: Logger) {
        self.logger = logger
        handler = logger.handler as? StructuredLogHandler
        var counters: [Operation: [KeyVerdict: MetricCounter]] = [:]
        for operation in Operation.allCases {
            for verdict in KeyVerdict.allCases {
                counters[operation, default: [:]][verdict] = metrics.counter(
                    "countersign_keys_total", [("operation", operation.rawValue), ("verdict", verdict.rawValue)],
                    help: "Keys answered, by operation and verdict.")
            }
        }
        self.counters = counters
    }

    /// The lines of one request.
    func lines(_ operation: Operation, traceID: String) -> Lines {
        Lines(
            operation: operation.rawValue, traceID: traceID, logger: logger, handler: handler,
            counters: counters[operation] ?? [:])
    }

    /// Lines of one request, until they are written.
    struct Lines: ~Copyable {
        fileprivate let operation: String
        fileprivate let traceID: String
        fileprivate let logger: Logger
        fileprivate let handler: StructuredLogHandler?
        fileprivate let counters: [KeyVerdict: MetricCounter]
        private var text: [UInt8] = []
        private var time: String?

        fileprivate init(
            operation: String, traceID: String, logger: Logger, handler: StructuredLogHandler?,
            counters: [KeyVerdict: MetricCounter]
        ) {
            self.operation = operation
            self.traceID = traceID
            self.logger = logger
            self.handler = handler
            self.counters = counters
        }

        /// Counts a key, and adds its line.
        mutating func add(
            _ key: String, _ verdict: KeyVerdict, digest: String? = nil, reason: String? = nil, _ duration: Duration?
        ) {
            counters[verdict]?.count()
            let level: Logger.Level = verdict == .fault ? .warning : .info
            guard logger.logLevel <= level else { return }
            var fields: [(String, String)] = []
            fields.reserveCapacity(6)
            // In the order of their names, as in every line.
            if let digest { fields.append(("digest", digest)) }
            fields.append(("key", Lines.bounded(key, 1024)))
            fields.append(("ms", Lines.tenths((duration ?? .zero).milliseconds)))
            if let reason { fields.append(("reason", Lines.bounded(reason, 2048))) }
            fields.append(("trace-id", traceID))
            fields.append(("verdict", verdict.rawValue))
            guard let handler, handler.takesLines else {
                var metadata: Logger.Metadata = [:]
                for (name, value) in fields { metadata[name] = .string(value) }
                return logger.log(level: level, "\(operation)", metadata: metadata)
            }
            let now = time ?? Timestamp.now()
            time = now
            handler.addLine(level, operation, fields, time: now, to: &text)
        }

        /// Writes the lines that are there.
        consuming func write() {
            if !text.isEmpty { handler?.writeLines(text) }
        }

        private static func bounded(_ text: String, _ length: Int) -> String {
            text.utf8.count <= length ? text : String(text.prefix(length))
        }

        private static func tenths(_ value: Double) -> String {
            let tenths = Int64((value * 10).rounded())
            return "\(tenths / 10).\(tenths % 10)"
        }
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
}
