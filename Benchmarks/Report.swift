import FoundationEssentials
import StrictJSON

/// What a run found: tables for people as they come, and all figures for programs at the end.
struct Report {
    private(set) var figures: [Figure] = []
    private let started = Date()

    /// Keeps a figure and gives it back.
    @discardableResult
    mutating func add(_ figure: Figure) -> Figure {
        figures.append(figure)
        return figure
    }

    /// Prints a title and columns; the first one to the left, the others to the right.
    func table(_ title: String, _ columns: [String], _ rows: [[String]], notes: [String] = []) {
        var widths = columns.map(\.count)
        for row in rows { for (index, cell) in row.enumerated() { widths[index] = max(widths[index], cell.count) } }
        print("\n\(title)")
        for row in [columns] + rows {
            let cells = row.enumerated().map { index, cell in
                let padding = String(repeating: " ", count: widths[index] - cell.count)
                return index == 0 ? cell + padding : padding + cell
            }
            print("  " + cells.joined(separator: "   "))
        }
        for note in notes { print("  " + note) }
        flush()
    }

    /// Everything as JSON: one object for each figure, with all rounds.
    func json(isQuick: Bool, machine: Machine) -> JSONValue {
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
}
