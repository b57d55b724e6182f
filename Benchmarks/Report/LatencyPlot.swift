/// A plot of latency against load as SVG that needs nothing else: percentile curves over the offered rate, time on a
/// logarithmic axis.
struct LatencyPlot: Sendable {
    let title: String
    /// What was measured on what, and when: one line each.
    let subtitle: [String]
    let points: [LoadPoint]

    private static let curves: [(name: String, color: String, value: @Sendable (LoadPoint) -> Double)] = [
        ("p50", "#0b6e4f", { $0.latencies.percentile(0.5) }), ("p90", "#1f6fb2", { $0.latencies.percentile(0.9) }),
        ("p99", "#c8691c", { $0.latencies.percentile(0.99) }), ("max", "#a3243b", { $0.latencies.maximum }),
    ]

    private let size = (width: 860.0, height: 500.0)
    private let frame = (left: 74.0, right: 790.0, top: 92.0, bottom: 436.0)

    /// The whole file.
    var svg: String {
        let shown = points.filter { $0.latencies.count > 0 }
        let values = shown.flatMap { point in Self.curves.map { $0.value(point) } }.filter { $0 > 0 }
        let x = LinearAxis(
            maximum: (shown.map(\.offered).max() ?? 1) * 1.02, from: frame.left, to: frame.right)
        let y = DecadeAxis(
            minimum: values.min() ?? 0.1, maximum: values.max() ?? 100, from: frame.bottom, to: frame.top)
        var body: [String] = []
        body += overload(shown, x)
        body += grid(x, y)
        for curve in Self.curves { body += draw(curve, shown, x, y) }
        body += labels(shown, y)
        return """
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(Int(size.width)) \(Int(size.height))" \
            font-family="system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif" role="img">
            <title>\(escaped(title))</title>
            <rect width="100%" height="100%" fill="#ffffff"/>
            <text x="20" y="32" font-size="18" font-weight="600" fill="#1c2330">\(escaped(title))</text>
            \(subtitle.enumerated().map { text($0.element, 20, 52 + Double($0.offset) * 16, size: 12) }.joined(separator: "\n"))
            \(body.joined(separator: "\n"))
            </svg>

            """
    }

    private func grid(_ x: LinearAxis, _ y: DecadeAxis) -> [String] {
        var lines: [String] = []
        for tick in y.minor {
            lines.append(line(frame.left, y(tick), frame.right, y(tick), "#eef0f3"))
        }
        for tick in y.ticks {
            lines.append(line(frame.left, y(tick), frame.right, y(tick), "#d5d9e0"))
            lines.append(text(tick.plain, frame.left - 8, y(tick) + 4, anchor: "end"))
        }
        for tick in x.ticks {
            lines.append(line(x(tick), frame.top, x(tick), frame.bottom, "#eef0f3"))
            lines.append(line(x(tick), frame.bottom, x(tick), frame.bottom + 5, "#8a93a3"))
            lines.append(text(tick.fixed(0), x(tick), frame.bottom + 20, anchor: "middle"))
        }
        lines.append(line(frame.left, frame.bottom, frame.right, frame.bottom, "#8a93a3"))
        lines.append(
            text(
                "offered requests per second", (frame.left + frame.right) / 2, frame.bottom + 44, size: 13,
                anchor: "middle", color: "#1c2330"))
        let middle = (frame.top + frame.bottom) / 2
        lines.append(
            "<text x=\"22\" y=\"\(middle.coordinate)\" font-size=\"13\" fill=\"#1c2330\" text-anchor=\"middle\" "
                + "transform=\"rotate(-90 22 \(middle.coordinate))\">latency in ms, from when a request was due</text>")
        return lines
    }

    /// Where less was answered than offered: what comes out there is the length of the run, not a latency.
    private func overload(_ shown: [LoadPoint], _ x: LinearAxis) -> [String] {
        guard let first = shown.first(where: { !$0.isKeptUp }) else { return [] }
        let before = shown.last { $0.offered < first.offered && $0.isKeptUp }?.offered ?? first.offered
        let left = x((before + first.offered) / 2)
        return [
            "<rect x=\"\(left.coordinate)\" y=\"\(frame.top.coordinate)\" width=\"\((frame.right - left).coordinate)\" "
                + "height=\"\((frame.bottom - frame.top).coordinate)\" fill=\"#fbeeee\"/>",
            text("more than is answered", frame.right - 6, frame.bottom - 8, anchor: "end", color: "#a3243b"),
        ]
    }

    private func draw(
        _ curve: (name: String, color: String, value: @Sendable (LoadPoint) -> Double), _ shown: [LoadPoint],
        _ x: LinearAxis, _ y: DecadeAxis
    ) -> [String] {
        let places = shown.map { (x: x($0.offered), y: y(curve.value($0)), isKeptUp: $0.isKeptUp) }
        let path = places.map { "\($0.x.coordinate),\($0.y.coordinate)" }.joined(separator: " ")
        let dots = places.map { place in
            "<circle cx=\"\(place.x.coordinate)\" cy=\"\(place.y.coordinate)\" r=\"3.5\" stroke=\"\(curve.color)\" "
                + "stroke-width=\"1.8\" fill=\"\(place.isKeptUp ? curve.color : "#ffffff")\"/>"
        }
        return [
            "<polyline points=\"\(path)\" fill=\"none\" stroke=\"\(curve.color)\" stroke-width=\"2\" "
                + "stroke-linejoin=\"round\"/>"
        ] + dots
    }

    /// The curves' names at their right ends, apart from each other.
    private func labels(_ shown: [LoadPoint], _ y: DecadeAxis) -> [String] {
        guard let last = shown.last else { return [] }
        var lowest = Double.infinity
        // From the bottom upwards, each at least a line above the one before.
        return Self.curves.map { curve in
            let place = min(y(curve.value(last)) + 4, lowest - 15)
            lowest = place
            return text(curve.name, frame.right + 10, place, size: 13, color: curve.color, weight: "600")
        }
    }

    private func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, _ color: String) -> String {
        "<line x1=\"\(x1.coordinate)\" y1=\"\(y1.coordinate)\" x2=\"\(x2.coordinate)\" y2=\"\(y2.coordinate)\" "
            + "stroke=\"\(color)\"/>"
    }

    private func text(
        _ content: String, _ x: Double, _ y: Double, size: Int = 12, anchor: String = "start",
        color: String = "#586173",
        weight: String = "400"
    ) -> String {
        "<text x=\"\(x.coordinate)\" y=\"\(y.coordinate)\" font-size=\"\(size)\" font-weight=\"\(weight)\" "
            + "fill=\"\(color)\" text-anchor=\"\(anchor)\">\(escaped(content))</text>"
    }

    private func escaped(_ text: String) -> String {
        var result = ""
        for character in text {
            switch character {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            default: result.append(character)
            }
        }
        return result
    }
}

/// From zero to a maximum, with ticks at round numbers.
private struct LinearAxis {
    let maximum: Double
    let from: Double
    let to: Double

    func callAsFunction(_ value: Double) -> Double { from + value / maximum * (to - from) }

    var ticks: [Double] {
        var step = 1.0
        while maximum / (step * 10) >= 5 { step *= 10 }
        if maximum / (step * 5) >= 5 { step *= 5 } else if maximum / (step * 2) >= 5 { step *= 2 }
        return Array(stride(from: 0, through: maximum, by: step))
    }
}

/// A logarithmic axis over the powers of ten that its values need, in steps of 1, 2 and 5.
private struct DecadeAxis {
    let ticks: [Double]
    let minor: [Double]
    private let low: Double
    private let high: Double
    private let from: Double
    private let to: Double

    init(minimum: Double, maximum: Double, from: Double, to: Double) {
        var steps = [0.001]
        while let last = steps.last, last < maximum, steps.count < 60 {
            let factor = [2, 2.5, 2][(steps.count - 1) % 3]
            steps.append(last * factor)
        }
        let begin = max(0, (steps.firstIndex { $0 > minimum } ?? 1) - 1)
        let used = Array(steps[begin...])
        low = used.first.map(logarithm) ?? 0
        high = max(used.last.map(logarithm) ?? 1, low + 0.1)
        // Powers of ten only where all would be crowded.
        let powers = steps.enumerated().filter { $0.offset % 3 == 0 && $0.offset >= begin }.map(\.element)
        ticks = used.count > 12 ? powers : used
        minor = used
        self.from = from
        self.to = to
    }

    func callAsFunction(_ value: Double) -> Double {
        let share = (logarithm(max(value, 0.0001)) - low) / (high - low)
        return from + min(max(share, 0), 1) * (to - from)
    }
}

extension Double {
    /// For a place in a drawing.
    fileprivate var coordinate: String { "\((self * 10).rounded() / 10)" }
    /// As an axis says it: `0.5`, `1`, `200`.
    fileprivate var plain: String {
        let rounded = (self * 1000).rounded() / 1000
        return rounded >= 1 ? rounded.fixed(0) : "\(rounded)"
    }
}
