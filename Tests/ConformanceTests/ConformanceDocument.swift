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

    /// A rule that is stricter than the reference.
    struct Rule {
        let text: String
        /// Cases of the corpus.
        var cases: [String] = []
        /// Tests, as `Suite.test`.
        var tests: [String] = []
    }

    /// The rules, by the rows between their marks: the last cell names cases and tests in backquotes.
    var rules: [Rule] {
        guard let begin = text.range(of: "<!-- rules: begin -->"), let end = text.range(of: "<!-- rules: end -->")
        else {
            return []
        }
        return text[begin.upperBound..<end.lowerBound].split(separator: "\n").dropFirst(2).map { line in
            let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            var rule = Rule(text: cells.first ?? "")
            guard cells.count == 3 else { return rule }
            for name in cells[2].split(separator: "`").map(String.init) where name.contains(where: \.isLetter) {
                if name.contains(".") { rule.tests.append(name) } else { rule.cases.append(name) }
            }
            return rule
        }
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
