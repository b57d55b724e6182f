import Logging
import Synchronization

@testable import GatekeeperProvider

/// Log lines, kept.
final class LogCapture: Sendable {
    private let state = Mutex<[String]>([])

    var lines: [String] { state.withLock { $0 } }

    func logger(_ format: LogFormat = .text, level: Logger.Level = .debug) -> Logger {
        Logger(label: "test") { label in
            StructuredLogHandler(label: label, format: format, level: level) { line in
                self.state.withLock { $0.append(String(decoding: line, as: UTF8.self)) }
            }
        }
    }
}
