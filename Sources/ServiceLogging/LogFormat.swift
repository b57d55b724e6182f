import Logging

/// How log lines look: `logger.formatter` of the configuration, with Ratify's names.
package enum LogFormat: String, Sendable, Hashable, CaseIterable {
    /// `time=… level=… msg=… key=value`, one line per event.
    case text
    /// One JSON object per line, with `time`, `level` and `msg`.
    case json
    /// JSON with the names that Logstash expects: `@timestamp`, `@version`, `level`, `message`.
    case logstash
}

extension Logger.Level {
    /// A level by its name in swift-log or in Ratify (`warn`, `fatal`, `panic`), in any case.
    package init?(named name: String) {
        switch name.lowercased() {
        case "warn": self = .warning
        case "fatal", "panic": self = .critical
        case let name:
            guard let level = Logger.Level(rawValue: name) else { return nil }
            self = level
        }
    }
}
