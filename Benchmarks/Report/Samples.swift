/// What several rounds of one measurement gave: never a single number without its noise.
struct Samples: Sendable, Hashable {
    /// The measurements in ascending order.
    let sorted: [Double]

    /// Samples; NaN and infinities (a round too short to measure) are left out.
    init(_ values: [Double]) { sorted = values.filter(\.isFinite).sorted() }

    var minimum: Double { sorted.first ?? .nan }
    var maximum: Double { sorted.last ?? .nan }
    /// The middle one, or the mean of the two in the middle.
    var median: Double {
        guard !sorted.isEmpty else { return .nan }
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }
}

/// One line of the report: what was measured, its unit, and the rounds.
struct Figure: Sendable {
    /// A stable name for programs: `verification.rsa-2048.jws.warm`.
    let name: String
    let unit: String
    let samples: Samples

    init(_ name: String, unit: String, _ values: [Double]) {
        self.name = name
        self.unit = unit
        self.samples = Samples(values)
    }
}

extension Double {
    /// Three significant digits or all that stand before the point, with thin groups of thousands: `1 234`, `12.3`,
    /// `0.123`.
    var short: String {
        guard isFinite else { return "-" }
        let digits = abs(self) >= 100 ? 0 : abs(self) >= 10 ? 1 : abs(self) >= 1 ? 2 : 3
        return fixed(digits)
    }

    /// Rounded to some digits after the point.
    func fixed(_ digits: Int) -> String {
        guard isFinite else { return "-" }
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        let scaled = (abs(self) * scale).rounded()
        guard scaled < 1e15 else { return "\(self)" }
        let whole = Int(scaled / scale)
        var text = ""
        for (index, digit) in String(whole).reversed().enumerated() {
            if index > 0, index % 3 == 0 { text = " " + text }
            text = String(digit) + text
        }
        if digits > 0 {
            let fraction = String(Int(scaled) - whole * Int(scale))
            text += "." + String(repeating: "0", count: digits - fraction.count) + fraction
        }
        return (self < 0 && scaled > 0 ? "-" : "") + text
    }
}

extension Samples {
    /// `12.1 – 14.0`
    var range: String { sorted.count < 2 ? "" : "\(minimum.short) – \(maximum.short)" }
    /// The same with so many digits after the point.
    func range(_ digits: Int) -> String {
        sorted.count < 2 ? "" : "\(minimum.fixed(digits)) – \(maximum.fixed(digits))"
    }
}
