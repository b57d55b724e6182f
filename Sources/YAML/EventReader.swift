import CYAML

/// One event of libyaml's parser, with copies of its texts.
struct Event {
    var kind: cyaml_kind
    var anchor: String?
    var tag: String?
    var value: String
    var isPlain: Bool
    var line: Int
    var column: Int

    func fault(_ problem: YAMLError.Problem) -> YAMLError { YAMLError(problem: problem, line: line, column: column) }
}

/// Reads events one after another. The bytes outlive it.
final class EventReader {
    private let parser: OpaquePointer

    init(_ bytes: UnsafeBufferPointer<UInt8>) throws(YAMLError) {
        guard let parser = cyaml_new(bytes.baseAddress, bytes.count) else {
            throw YAMLError(problem: .outOfMemory, line: 0, column: 0)
        }
        self.parser = parser
    }

    deinit { cyaml_free(parser) }

    func next() throws(YAMLError) -> Event {
        var raw = cyaml_event()
        guard cyaml_next(parser, &raw) else {
            var line = 0
            var column = 0
            guard let words = cyaml_problem(parser, &line, &column) else {
                throw YAMLError(problem: .outOfMemory, line: 0, column: 0)
            }
            throw YAMLError(problem: .syntax(String(cString: words)), line: line, column: column)
        }
        let value = UnsafeBufferPointer(start: raw.value, count: raw.length)
        return Event(
            kind: raw.kind, anchor: raw.anchor.map { String(cString: $0) }, tag: raw.tag.map { String(cString: $0) },
            value: raw.length == 0 ? "" : String(decoding: value, as: UTF8.self), isPlain: raw.is_plain,
            line: Int(raw.line), column: Int(raw.column))
    }
}
