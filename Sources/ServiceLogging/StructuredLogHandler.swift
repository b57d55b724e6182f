import Encoding
import Logging
import StrictJSON

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
    /// - Parameter write: takes whole lines with their line feeds.
    package init(
        label: String, format: LogFormat, level: Logger.Level, write: @escaping @Sendable ([UInt8]) -> Void
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
        var line: [UInt8] = []
        line.reserveCapacity(512)
        let time = Timestamp.now()
        let sorted = values.sorted { $0.key < $1.key }
        if format == .text {
            addText(event.level, event.message.description, time: time, to: &line)
            for (name, value) in sorted { StructuredLogHandler.add(name, value.description, to: &line) }
            line.append(0x0A)
        } else {
            addJSON(
                event.level, event.message.description, sorted.map { ($0.key, StructuredLogHandler.json($0.value)) },
                time: time, to: &line)
        }
        write(line)
    }

    // MARK: Several lines at once

    /// Whether lines can be made by ``addLine(_:_:time:to:_:)``: there is nothing else to be written with each event.
    package var takesLines: Bool { metadata.isEmpty && metadataProvider == nil }

    /// The fields of a line, written as they are added: in the order of their names.
    package struct Fields {
        fileprivate var line: [UInt8]
        /// Of a line in JSON, whose members are written together.
        fileprivate var members: [(String, JSONValue)]?

        /// Adds a field whose name is a plain word.
        package mutating func add(_ name: String, _ value: String) {
            if members != nil {
                members?.append((name, .string(value)))
            } else {
                line.append(0x20)
                line.append(contentsOf: name.utf8)
                line.append(UInt8(ascii: "="))
                StructuredLogHandler.addQuoted(value, to: &line)
            }
        }
    }

    /// Appends a line as ``log(event:)`` would write it.
    ///
    /// - Parameter add: adds the fields, in the order of their names.
    package func addLine(
        _ level: Logger.Level, _ message: String, time: String, to line: inout [UInt8], _ add: (inout Fields) -> Void
    ) {
        if line.isEmpty { line.reserveCapacity(512) }
        let isText = format == .text
        if isText { addText(level, message, time: time, to: &line) }
        // The line goes and comes back, so that there is one reference to it while it grows.
        var fields = Fields(line: [], members: isText ? nil : [])
        swap(&fields.line, &line)
        add(&fields)
        swap(&fields.line, &line)
        if let members = fields.members {
            addJSON(level, message, members, time: time, to: &line)
        } else {
            line.append(0x0A)
        }
    }

    /// Writes whole lines.
    package func writeLines(_ lines: [UInt8]) { write(lines) }

    // MARK: Formats

    private func addText(_ level: Logger.Level, _ message: String, time: String, to line: inout [UInt8]) {
        line.append(contentsOf: "time=".utf8)
        line.append(contentsOf: time.utf8)
        line.append(contentsOf: " level=".utf8)
        line.append(contentsOf: level.rawValue.utf8)
        line.append(contentsOf: " msg=".utf8)
        StructuredLogHandler.addQuoted(message, to: &line)
        line.append(contentsOf: " logger=".utf8)
        line.append(contentsOf: label.utf8)
    }

    private static func add(_ name: String, _ value: String, to line: inout [UInt8]) {
        line.append(0x20)
        addQuoted(name, to: &line)
        line.append(UInt8(ascii: "="))
        addQuoted(value, to: &line)
    }

    private func addJSON(
        _ level: Logger.Level, _ message: String, _ fields: [(String, JSONValue)], time: String,
        to line: inout [UInt8]
    ) {
        let isLogstash = format == .logstash
        var object = JSONObject()
        object[isLogstash ? "@timestamp" : "time"] = .string(time)
        if isLogstash { object["@version"] = "1" }
        object["level"] = .string(level.rawValue)
        object[isLogstash ? "message" : "msg"] = .string(message)
        object["logger"] = .string(label)
        for (name, value) in fields {
            // A value must not take the place of the line's own members.
            object[object[name] == nil ? name : "fields.\(name)"] = value
        }
        JSONValue.object(object).write(to: &line)
        line.append(0x0A)
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

    /// Appends a text as it is when it is one plain word, otherwise in quotes with everything escaped that could end
    /// the line or move a terminal's cursor.
    fileprivate static func addQuoted(_ text: String, to line: inout [UInt8]) {
        var text = text
        let isAdded = text.withUTF8 { bytes in
            guard !bytes.isEmpty else { return false }
            for byte in bytes where !isPlain(byte) { return false }
            line.append(contentsOf: bytes)
            return true
        }
        if !isAdded { line.append(contentsOf: quoted(text).utf8) }
    }

    /// Whether a plain word may have a byte.
    private static func isPlain(_ byte: UInt8) -> Bool {
        (0x21...0x7E).contains(byte) && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "=")
            && byte != UInt8(ascii: "\\")
    }

    private static func quoted(_ text: String) -> String {
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
                    result += scalar.escaped
                default: result.unicodeScalars.append(scalar)
                }
            }
        }
        return result + "\""
    }
}
