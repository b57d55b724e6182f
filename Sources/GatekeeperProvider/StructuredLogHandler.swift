import Logging
import StrictJSON
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

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

/// Writes log events as text or JSON, one line each. Whatever a message or a value holds, it stays one line: texts
/// from requests cannot forge another.
package struct StructuredLogHandler: LogHandler {
    /// Events below this level are not written.
    package var logLevel: Logger.Level
    /// Values written with every event.
    package var metadata: Logger.Metadata = [:]
    /// A source of more values.
    package var metadataProvider: Logger.MetadataProvider?

    private let label: String
    private let format: LogFormat
    private let write: @Sendable ([UInt8]) -> Void

    /// A handler for one logger.
    ///
    /// - Parameter write: takes one whole line with its line feed; by default it goes to standard error.
    package init(
        label: String, format: LogFormat, level: Logger.Level,
        write: @escaping @Sendable ([UInt8]) -> Void = StandardError.write
    ) {
        self.label = label
        self.format = format
        self.logLevel = level
        self.write = write
    }

    /// A value written with every event.
    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    /// Writes one event.
    package func log(event: LogEvent) {
        var values = metadata
        if let provided = metadataProvider?.get() { values.merge(provided) { $1 } }
        if let own = event.metadata { values.merge(own) { $1 } }
        if let error = event.error { values["error"] = "\(error)" }
        let sorted = values.sorted { $0.key < $1.key }
        let time = Timestamp.now()
        switch format {
        case .text: write(textLine(event, time: time, values: sorted))
        case .json: write(jsonLine(event, time: ("time", time), message: "msg", extra: [], values: sorted))
        case .logstash:
            write(
                jsonLine(
                    event, time: ("@timestamp", time), message: "message", extra: [("@version", "1")], values: sorted))
        }
    }

    private func textLine(
        _ event: LogEvent, time: String, values: [(key: String, value: Logger.Metadata.Value)]
    ) -> [UInt8] {
        var line = "time=\(time) level=\(event.level) msg=\(StructuredLogHandler.quoted(event.message.description))"
        line += " logger=\(label)"
        for (key, value) in values {
            line += " \(StructuredLogHandler.quoted(key))=\(StructuredLogHandler.quoted(value.description))"
        }
        line += "\n"
        return Array(line.utf8)
    }

    private func jsonLine(
        _ event: LogEvent, time: (String, String), message: String, extra: [(String, JSONValue)],
        values: [(key: String, value: Logger.Metadata.Value)]
    ) -> [UInt8] {
        var object = JSONObject()
        object[time.0] = .string(time.1)
        for (name, value) in extra { object[name] = value }
        object["level"] = .string(event.level.rawValue)
        object[message] = .string(event.message.description)
        object["logger"] = .string(label)
        for (key, value) in values {
            // A value must not take the place of the line's own members.
            object[object[key] == nil ? key : "fields.\(key)"] = StructuredLogHandler.json(value)
        }
        var line: [UInt8] = []
        JSONValue.object(object).write(to: &line)
        line.append(0x0A)
        return line
    }

    private static func json(_ value: Logger.Metadata.Value) -> JSONValue {
        switch value {
        case .string(let text): .string(text)
        case .stringConvertible(let value): .string(value.description)
        case .array(let values): .array(values.map(json))
        case .dictionary(let values):
            .object(
                values.sorted { $0.key < $1.key }.reduce(into: JSONObject()) { $0[$1.key] = json($1.value) })
        }
    }

    /// A text as it is when it is one plain word, otherwise in quotes with everything escaped that could end the
    /// line or move a terminal's cursor.
    static func quoted(_ text: String) -> String {
        let isPlain =
            !text.isEmpty
            && text.utf8.allSatisfy {
                (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "=")
                    && $0 != UInt8(ascii: "\\")
            }
        guard !isPlain else { return text }
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            default:
                switch scalar.properties.generalCategory {
                case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse:
                    result += "\\u{\(String(scalar.value, radix: 16))}"
                default: result.unicodeScalars.append(scalar)
                }
            }
        }
        return result + "\""
    }
}

/// Standard error as a place for log lines.
package enum StandardError {
    /// Lines longer than what the system writes at once must not be interleaved.
    private static let turn = Mutex<Void>(())

    /// Writes a line whole. Where it cannot be written (the reader is gone) it is dropped: the service goes on.
    package static let write: @Sendable ([UInt8]) -> Void = { line in
        turn.withLock { _ in
            line.withUnsafeBytes { bytes in
                var rest = bytes[...]
                while !rest.isEmpty {
                    #if canImport(Glibc)
                        let written = Glibc.write(
                            STDERR_FILENO, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
                    #else
                        let written = Musl.write(
                            STDERR_FILENO, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
                    #endif
                    if written < 0 && errno == EINTR { continue }
                    guard written > 0 else { return }
                    rest = rest.dropFirst(written)
                }
            }
        }
    }
}
