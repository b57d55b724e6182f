/// A figure to reach, and what others were measured at: the table of the project's issue 6.
struct Goal: Sendable {
    /// What is asked of the figure.
    enum Reach: Sendable {
        /// A limit, whatever the reference.
        case atMost(Double)
        /// So many times less than the reference.
        case less(Double)
        /// So many times the reference.
        case more(Double)
    }

    let title: String
    /// The name of the figure in ``Report``.
    let figure: String
    let unit: String
    let digits: Int
    /// Who was measured, and at what; a range where there were several measurements.
    let reference: (name: String, range: ClosedRange<Double>)?
    let reach: Reach

    static let tableTitle = "Figures to reach, and what they are in this run"

    /// Whether a value reaches it.
    enum Verdict: String {
        case yes, no
        /// Only against the weaker end of the reference's range.
        case partly
    }

    func verdict(_ value: Double) -> Verdict {
        switch reach {
        case .atMost(let limit): return value <= limit ? .yes : .no
        case .less(let factor), .more(let factor):
            guard let factors = factors(value) else { return .no }
            return factors.lowerBound >= factor ? .yes : factors.upperBound >= factor ? .partly : .no
        }
    }

    /// How many times better than the reference a value is.
    func factors(_ value: Double) -> ClosedRange<Double>? {
        guard let range = reference?.range, value > 0 else { return nil }
        if case .more = reach { return (value / range.upperBound)...(value / range.lowerBound) }
        return (range.lowerBound / value)...(range.upperBound / value)
    }

    private func row(_ samples: Samples) -> [String] {
        let value = samples.median
        let referenceText =
            reference.map { reference in
                let (low, high) = (reference.range.lowerBound, reference.range.upperBound)
                let digits =
                    low.rounded() == low && high.rounded() == high ? 0 : low * 10 == (low * 10).rounded() ? 1 : 2
                return "\(reference.name) "
                    + (low == high ? low.fixed(digits) : "\(low.fixed(digits))–\(high.fixed(digits))")
            } ?? "–"
        let ratio =
            factors(value).map { factors in
                let (low, high) = (factors.lowerBound.fixed(1), factors.upperBound.fixed(1))
                return low == high ? "\(low)×" : "\(low)–\(high)×"
            } ?? "–"
        let target =
            switch reach {
            case .atMost(let limit): "≤ \(limit.rounded() == limit ? limit.fixed(0) : limit.fixed(1))"
            case .less(let factor), .more(let factor): "\(factor.fixed(0))×"
            }
        return [
            title, unit, value.fixed(digits),
            samples.sorted.count < 2
                ? "one run" : "\(samples.minimum.fixed(digits)) – \(samples.maximum.fixed(digits))",
            referenceText, ratio, target, verdict(value).rawValue,
        ]
    }

    /// The table of all goals that a run has figures for.
    static func table(_ report: Report) -> Table {
        let measured = all.compactMap { goal in report.samples(goal.figure).map { (goal, $0) } }
        var notes = [
            "Ratio: how many times better than the reference, which was measured on a machine like this one (issue 6), not in this run.",
            "Reached: by the median; \"partly\" only against the weaker end of the reference's range.",
        ]
        let missing = all.count - measured.count
        if missing > 0 { notes.append("\(missing) of \(all.count) figures were not measured in this run.") }
        return Table(
            title: tableTitle,
            columns: ["", "unit", "median", "min – max", "reference", "ratio", "target", "reached"],
            rows: measured.map { $0.0.row($0.1) }, notes: notes)
    }
}

extension Goal {
    private static func ratify(_ range: ClosedRange<Double>) -> (String, ClosedRange<Double>) { ("Ratify", range) }
    private static func notation(_ value: Double) -> (String, ClosedRange<Double>) { ("notation-go", value...value) }

    /// All of them, in the order of the issue.
    static let all: [Goal] = inMemory + sigstore + cold + requests + footprint

    private static let inMemory: [Goal] = {
        var goals: [Goal] = []
        let references: [(String, String, Double)] = [
            ("RSA-2048 JWS", "rsa-2048.jws", 410), ("RSA-2048 COSE", "rsa-2048.cose", 360),
            ("P-256 JWS", "p-256.jws", 650),
        ]
        for (title, name, reference) in references {
            goals.append(
                Goal(
                    title: "verification, chain seen, \(title)", figure: "verification.\(name).warm", unit: "µs CPU",
                    digits: 1, reference: notation(reference), reach: .less(8)))
        }
        for (title, name, limit) in [
            ("RSA-2048", "rsa-2048", 3.0), ("RSA-3072", "rsa-3072", 2), ("P-256", "p-256", 2), ("P-384", "p-384", 2),
        ] {
            for format in ["jws", "cose"] {
                goals.append(
                    Goal(
                        title: "the same / bare signature, \(title) \(format.uppercased())",
                        figure: "verification.\(name).\(format).ratio", unit: "times", digits: 2, reference: nil,
                        reach: .atMost(limit)))
            }
        }
        for (title, name, reference) in references {
            goals.append(
                Goal(
                    title: "verification, chain never seen, \(title)", figure: "verification.\(name).cold",
                    unit: "µs CPU", digits: 0, reference: notation(reference), reach: .less(2)))
        }
        return goals
    }()

    private static let sigstore: [Goal] = [
        Goal(
            title: "Sigstore bundle, certificate known", figure: "sigstore.bundle.known", unit: "µs CPU", digits: 0,
            reference: nil, reach: .atMost(150)),
        Goal(
            title: "Sigstore bundle, certificate unknown", figure: "sigstore.bundle.unknown", unit: "µs CPU", digits: 0,
            reference: nil, reach: .atMost(600)),
        Goal(
            title: "100 identities instead of one", figure: "sigstore.identities", unit: "µs CPU", digits: 1,
            reference: nil, reach: .atMost(20)),
    ]

    private static let cold: [Goal] = [
        Goal(
            title: "cold image, Referrers API, serve", figure: "cold.serve.referrers-api.cpu", unit: "ms CPU",
            digits: 2, reference: ratify(4.2...7.2), reach: .atMost(0.6)),
        Goal(
            title: "cold image, Referrers API, serve", figure: "cold.serve.referrers-api.requests", unit: "requests",
            digits: 2, reference: ratify(5...5), reach: .atMost(3)),
        Goal(
            title: "cold image, docker-registry, serve", figure: "cold.serve.docker-registry.cpu", unit: "ms CPU",
            digits: 2, reference: ratify(4.2...7.2), reach: .atMost(0.6)),
        Goal(
            title: "cold image, docker-registry, the library", figure: "cold.library.docker-registry.cpu",
            unit: "ms CPU", digits: 2, reference: ("notation-go", 0.8...1.3), reach: .atMost(0.6)),
    ]

    private static let requests: [Goal] = [
        Goal(
            title: "warm, keep-alive, 32 connections", figure: "requests.keep-alive.one-key.rate", unit: "requests/s",
            digits: 0, reference: ratify(7500...10_900), reach: .more(3)),
        Goal(
            title: "warm, keep-alive, 32 connections", figure: "requests.keep-alive.one-key.server-cpu",
            unit: "µs CPU", digits: 1, reference: ratify(105...140), reach: .less(3)),
        Goal(
            title: "warm, new connection each, one at a time", figure: "requests.new-connection.at-1.one-key.rate",
            unit: "requests/s", digits: 0, reference: ratify(234...234), reach: .more(4)),
        Goal(
            title: "warm, new connection each, 32 at once", figure: "requests.new-connection.at-32.one-key.rate",
            unit: "requests/s", digits: 0, reference: ratify(553...553), reach: .more(4)),
        Goal(
            title: "warm, new connection each, 32 at once",
            figure: "requests.new-connection.at-32.one-key.server-cpu", unit: "µs CPU", digits: 0,
            reference: ratify(1750...2600), reach: .less(4)),
        Goal(
            title: "ten keys in a request, warm", figure: "requests.keep-alive.ten-keys.rate", unit: "requests/s",
            digits: 0, reference: ratify(1395...1395), reach: .more(5)),
        Goal(
            title: "ten keys in a request, warm", figure: "requests.keep-alive.ten-keys.server-cpu", unit: "µs CPU",
            digits: 0, reference: ratify(800...800), reach: .less(5)),
    ]

    private static let footprint: [Goal] = [
        Goal(
            title: "resident, idle", figure: "memory.idle", unit: "MB", digits: 1, reference: ratify(50...58),
            reach: .atMost(28)),
        Goal(
            title: "resident, after 500 cold images", figure: "memory.after-500-cold-images", unit: "MB", digits: 1,
            reference: ratify(77...88), reach: .atMost(36)),
        Goal(
            title: "resident, after 3 000 connections never closed", figure: "memory.after-3000-connections",
            unit: "MB", digits: 1, reference: ratify(197...197), reach: .atMost(45)),
        Goal(
            title: "resident, after 100 000 distinct images", figure: "memory.after-100000-images", unit: "MB",
            digits: 1, reference: nil, reach: .atMost(64)),
        Goal(
            title: "start to the first verified TLS answer", figure: "start.first-answer", unit: "ms", digits: 1,
            reference: ratify(1040...1040), reach: .atMost(60)),
        Goal(
            title: "stripped binary, static Swift runtime", figure: "binary.stripped", unit: "MB", digits: 1,
            reference: ratify(72...72), reach: .atMost(35)),
    ]
}
