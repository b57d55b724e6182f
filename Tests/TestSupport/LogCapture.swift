import Logging
import ServiceLogging
import Synchronization

/// Log lines, kept.
package final class LogCapture: Sendable {
    private struct State {
        var lines: [String] = []
        var writes: [Int] = []
    }

    private let state = Mutex(State())

    package init() {}

    package var lines: [String] { state.withLock { $0.lines } }

    /// How many lines each write had.
    package var writes: [Int] { state.withLock { $0.writes } }

    package func logger(_ format: LogFormat = .text, level: Logger.Level = .debug) -> Logger {
        Logger(label: "test") { label in
            StructuredLogHandler(label: label, format: format, level: level) { text in
                let new = text.split(separator: 0x0A).map { String(decoding: $0, as: UTF8.self) + "\n" }
                self.state.withLock { state in
                    state.writes.append(new.count)
                    state.lines += new
                }
            }
        }
    }
}
