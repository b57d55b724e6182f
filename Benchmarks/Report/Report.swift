import FoundationEssentials
import StrictJSON

/// What a run found: tables for people as they come, and all figures for programs at the end.
struct Report {
    private(set) var figures: [Figure] = []
    private(set) var tables: [Table] = []
    /// Files with plots, and what they show.
    private(set) var plots: [(file: String, title: String)] = []
    let machine: Machine
    let isQuick: Bool
    let started = Date()

    init(machine: Machine, isQuick: Bool) {
        self.machine = machine
        self.isQuick = isQuick
    }

    /// Keeps a figure; samples of a name that is known are added to it. Gives what there is by now.
    @discardableResult
    mutating func add(_ figure: Figure) -> Figure {
        guard let known = figures.firstIndex(where: { $0.name == figure.name }) else {
            figures.append(figure)
            return figure
        }
        figures[known] = Figure(
            figure.name, unit: figure.unit, figures[known].samples.sorted + figure.samples.sorted)
        return figures[known]
    }

    func samples(_ name: String) -> Samples? {
        figures.first { $0.name == name }.map(\.samples).flatMap { $0.sorted.isEmpty ? nil : $0 }
    }

    /// Prints a table, and keeps it.
    mutating func table(_ title: String, _ columns: [String], _ rows: [[String]], notes: [String] = []) {
        let table = Table(title: title, columns: columns, rows: rows, notes: notes)
        tables.append(table)
        print("\n" + table.text)
        flush()
    }

    mutating func addPlot(_ file: String, title: String) { plots.append((file, title)) }

    /// `2026-11-21`
    var date: String { String(started.ISO8601Format().prefix(10)) }

    /// Everything as JSON: one object for each figure, with all rounds.
    var json: JSONValue {
        func number(_ value: Double) -> JSONValue { value.isFinite ? .number("\(value)") : .null }
        return [
            "date": .string(started.ISO8601Format()),
            "quick": .bool(isQuick),
            "machine": [
                "cores": .number("\(machine.cores)"), "processor": .string(machine.processor),
                "loadAverageAtStart": number(machine.loadAverage),
            ],
            "figures": .array(
                figures.map { figure in
                    [
                        "name": .string(figure.name), "unit": .string(figure.unit),
                        "minimum": number(figure.samples.minimum), "median": number(figure.samples.median),
                        "maximum": number(figure.samples.maximum),
                        "samples": .array(figure.samples.sorted.prefix(100).map(number)),
                    ]
                }),
        ]
    }

    /// All tables in Markdown, the goals first, for docs/performance.md.
    func markdown(plotsIn folder: String?) -> String {
        var text = "\(isQuick ? "A short run (`QUICK=1`)" : "A whole run") of \(date): \(machine.description). "
        text += "Median, and minimum – maximum of several rounds.\n"
        let goals = tables.filter { $0.title == Goal.tableTitle }
        for table in goals + tables.filter({ $0.title != Goal.tableTitle }) { text += "\n" + table.markdown }
        for plot in plots {
            let name = plot.file.split(separator: "/").last.map(String.init) ?? plot.file
            text += "\n![\(plot.title)](\(folder.map { $0 + "/" } ?? "")\(name))\n"
        }
        return text
    }

    private static let begin = "<!-- make bench: begin -->\n"
    private static let end = "<!-- make bench: end -->\n"

    /// Writes the tables to a file: between two marks if it has them, as the whole of it otherwise.
    func writeMarkdown(to path: String) throws {
        let old = textFile(path)
        let new = markdown(plotsIn: nil)
        guard let begin = old.range(of: Self.begin), let end = old.range(of: Self.end),
            begin.upperBound <= end.lowerBound
        else { return try ServingFiles.write(new, to: path) }
        try ServingFiles.write(
            String(old[..<begin.upperBound]) + new + String(old[end.lowerBound...]), to: path)
    }
}

/// A title, columns and rows; the first column to the left, the others to the right.
struct Table: Sendable {
    let title: String
    let columns: [String]
    let rows: [[String]]
    var notes: [String] = []

    /// For a terminal.
    var text: String {
        var widths = columns.map(\.count)
        for row in rows { for (index, cell) in row.enumerated() { widths[index] = max(widths[index], cell.count) } }
        var lines = [title]
        for row in [columns] + rows {
            let cells = row.enumerated().map { index, cell in
                let padding = String(repeating: " ", count: widths[index] - cell.count)
                return index == 0 ? cell + padding : padding + cell
            }
            lines.append("  " + cells.joined(separator: "   "))
        }
        return (lines + notes.map { "  " + $0 }).joined(separator: "\n")
    }

    var markdown: String {
        func line(_ cells: [String]) -> String { "| " + cells.joined(separator: " | ") + " |\n" }
        var result = "**\(title)**\n\n" + line(columns)
        result += "|" + columns.indices.map { $0 == 0 ? "---|" : "--:|" }.joined() + "\n"
        for row in rows { result += line(row) }
        if !notes.isEmpty { result += "\n" + notes.joined(separator: " ") + "\n" }
        return result
    }
}
