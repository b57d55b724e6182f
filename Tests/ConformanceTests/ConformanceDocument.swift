import Foundation

/// `docs/conformance.md`: the table, and the rule behind each case that is denied here and admitted by the reference.
struct ConformanceDocument {
    static let url = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "docs/conformance.md")
    private static let begin = "<!-- table: begin -->"
    private static let end = "<!-- table: end -->"

    /// The whole text.
    private(set) var text: String

    init() throws { text = try String(contentsOf: Self.url, encoding: .utf8) }

    /// The rules by case: rows whose first cell is an identifier in backquotes.
    var rules: [String: String] {
        var rules: [String: String] = [:]
        for line in text.split(separator: "\n") where line.hasPrefix("| `") {
            let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            guard cells.count == 2 else { continue }
            rules[cells[0].trimmingCharacters(in: ["`"])] = cells[1]
        }
        return rules
    }

    /// The table in the text.
    var table: String {
        guard let begin = text.range(of: Self.begin), let end = text.range(of: Self.end) else { return "" }
        return text[begin.upperBound..<end.lowerBound].trimmingCharacters(in: .newlines)
    }

    /// Puts another table in its place, and writes the file.
    mutating func write(table: String) throws {
        guard let begin = text.range(of: Self.begin), let end = text.range(of: Self.end) else {
            throw CocoaError(.fileReadCorruptFile)
        }
        text.replaceSubrange(begin.upperBound..<end.lowerBound, with: "\n" + table + "\n")
        try text.write(to: Self.url, atomically: true, encoding: .utf8)
    }
}
