import Foundation

/// How our verdicts stand beside the reference's, by category of the corpus.
struct ConformanceTable {
    /// What one verdict is beside the reference's.
    enum Comparison: String, CaseIterable {
        case agreed
        /// Denied, and admitted by the reference.
        case stricter
        /// Admitted, and denied by the reference.
        case wrong
    }

    private var counts: [String: [Comparison: Int]] = [:]

    /// Counts a verdict.
    mutating func add(_ comparison: Comparison, in category: String) {
        counts[category, default: [:]][comparison, default: 0] += 1
    }

    /// How many verdicts there are of a kind.
    func total(_ comparison: Comparison) -> Int {
        counts.values.reduce(0) { $0 + $1[comparison, default: 0] }
    }

    /// The table in Markdown, as `docs/conformance.md` has it.
    var markdown: String {
        var lines = ["| category | agreed | stricter | wrong |", "|---|---:|---:|---:|"]
        for category in counts.keys.sorted() {
            let cells = Comparison.allCases.map { String(counts[category]?[$0] ?? 0) }
            lines.append("| \(category) | \(cells.joined(separator: " | ")) |")
        }
        let totals = Comparison.allCases.map { String(total($0)) }
        lines.append("| **all** | \(totals.joined(separator: " | ")) |")
        return lines.joined(separator: "\n")
    }
}
