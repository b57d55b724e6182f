import Notation
import PKI
import TestSupport

/// Verifications from memory, without network or files, on one thread: what a signature costs beyond its arithmetic.
struct SignatureBenchmark {
    let isQuick: Bool

    private var rounds: Int { isQuick ? 3 : 9 }
    /// Processor time of each measurement within a round, in seconds.
    private var slice: Double { isQuick ? 0.03 : 0.1 }

    private static let kinds: [(name: String, kind: PublicKey.Kind)] = [
        ("RSA-2048", .rsa(bits: 2048)), ("RSA-3072", .rsa(bits: 3072)), ("P-256", .ec(.p256)), ("P-384", .ec(.p384)),
    ]

    /// Measures and prints one table.
    func run(_ report: inout Report) async throws {
        var subjects: [(name: String, title: String, subject: SignatureSubject)] = []
        for (name, kind) in SignatureBenchmark.kinds {
            for format in EnvelopeFormat.allCases {
                subjects.append(
                    (
                        "\(name.lowercased()).\(format.rawValue)", "\(name) \(format.rawValue.uppercased())",
                        try await SignatureSubject(kind, format)
                    ))
            }
        }
        var rows: [[String]] = []
        var found = [(bare: [Double], warm: [Double], cold: [Double])](repeating: ([], [], []), count: subjects.count)
        // All three of a subject one after the other, and all subjects in each round: noise of the machine hits the
        // numbers that are compared with each other alike.
        for _ in 0...rounds {
            for (index, entry) in subjects.enumerated() {
                let subject = entry.subject
                found[index].bare.append(try await measure { subject.bare.verify() })
                found[index].warm.append(try await measure { await subject.verifyWarm() })
                found[index].cold.append(try await measure { await subject.verifyCold() })
            }
        }
        for (entry, all) in zip(subjects, found) {
            // The first round warms up.
            let (bare, warm, cold) = (all.bare.dropFirst(), all.warm.dropFirst(), all.cold.dropFirst())
            let figures = [("bare", Array(bare)), ("warm", Array(warm)), ("cold", Array(cold))].map {
                report.add(Figure("verification.\(entry.name).\($0.0)", unit: "µs CPU", $0.1.map { $0 * 1e6 })).samples
            }
            let ratio = report.add(
                Figure("verification.\(entry.name).ratio", unit: "warm / bare", zip(warm, bare).map { $0 / $1 })
            ).samples
            rows.append([
                entry.title, (1e6 / figures[1].median).fixed(0), figures[0].median.fixed(1), figures[1].median.fixed(1),
                ratio.median.fixed(2), ratio.range(2), figures[2].median.fixed(0), figures[2].range(0),
            ])
        }
        report.table(
            "Verifications from memory, one thread, chain of three certificates",
            ["", "warm/s", "bare µs", "warm µs", "warm/bare", "(min – max)", "cold µs", "(min – max)"], rows,
            notes: [
                "bare: one swift-crypto verification of the same bytes with a kept key; warm: chain seen before;",
                "cold: chain never seen. Processor time; warm/s: verifications per second of it.",
            ])
    }

    /// Processor time of one operation, in seconds: as many as fit into the slice.
    private func measure(_ operation: () async -> Bool) async throws -> Double {
        var count = 0
        let start = processorTime()
        var elapsed = 0.0
        repeat {
            // The clock is read once in a while: it costs a tenth of a microsecond.
            for _ in 0..<16 {
                guard await operation() else { throw BenchmarkError("a good signature does not verify") }
            }
            count += 16
            elapsed = processorTime() - start
        } while elapsed < slice
        return elapsed / Double(count)
    }
}
