import TestSupport

/// Verifications of Sigstore's bundles and of cosign's layers from memory, on one thread, beside the signature checks that
/// are in them.
struct SigstoreBenchmark {
    let isQuick: Bool

    private var rounds: Int { isQuick ? 3 : 9 }
    /// Processor time of each measurement within a round, in seconds.
    private var slice: Double { isQuick ? 0.03 : 0.1 }

    /// What is measured, and how many signatures are checked in it.
    private struct Subject {
        let name: String
        let title: String
        var p256 = 0
        var p384 = 0
        let operation: () -> Bool

        var checks: String {
            let parts = [(p256, "P-256"), (p384, "P-384")].filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }
            return parts.isEmpty ? "–" : parts.joined(separator: ", ")
        }
    }

    /// Measures and prints one table.
    func run(_ report: inout Report) throws {
        let subject = try SigstoreSubject()
        let bare = try BareCheck()
        let (one, hundred) = (try subject.policy(identities: 1), try subject.policy(identities: 100))
        let expressions = try subject.policy(identities: 100, asExpressions: true)
        let subjects = [
            Subject(name: "bare.p-256", title: "one bare check", p256: 1) { bare.verifyP256() },
            Subject(name: "bare.p-384", title: "one bare check", p384: 1) { bare.verifyP384() },
            Subject(name: "bundle.read", title: "bundle, read alone") { subject.read() },
            // The promise of the log, its checkpoint, the artifact.
            Subject(name: "bundle.known", title: "bundle, certificate known", p256: 3) { subject.verifyKnown(one) },
            Subject(name: "bundle.known.identities", title: "the same, 100 identities", p256: 3) {
                subject.verifyKnown(hundred)
            },
            Subject(name: "bundle.known.expressions", title: "the same, 100 expressions", p256: 3) {
                subject.verifyKnown(expressions)
            },
            // And the promise of the certificate's log, and the certificate.
            Subject(name: "bundle.unknown", title: "bundle, certificate unknown", p256: 4, p384: 1) {
                subject.verifyUnknown(one)
            },
            // The promise of the log, the payload.
            Subject(name: "layer.key", title: "layer, key, logged", p256: 2) { subject.verifyLayer(isLogged: true) },
            Subject(name: "layer.key.unlogged", title: "layer, key, no log asked for", p256: 1) {
                subject.verifyLayer(isLogged: false)
            },
        ]
        var found = [[Double]](repeating: [], count: subjects.count)
        // All subjects in each round: noise of the machine hits what is compared alike.
        for _ in 0...rounds {
            for (index, subject) in subjects.enumerated() { found[index].append(try measure(subject)) }
        }
        // The first round warms up.
        found = found.map { Array($0.dropFirst()) }
        var rows: [[String]] = []
        for (subject, seconds) in zip(subjects, found) {
            let figure = report.add(Figure("sigstore.\(subject.name)", unit: "µs CPU", seconds.map { $0 * 1e6 }))
            let checks = zip(found[0], found[1]).map { Double(subject.p256) * $0 + Double(subject.p384) * $1 }
            let least = Samples(checks.map { $0 * 1e6 }).median
            rows.append([
                subject.title, figure.samples.median.fixed(1), figure.samples.range(1), subject.checks,
                least > 0 ? least.fixed(1) : "–",
                least > 0 ? Samples(zip(seconds, checks).map { $0 / $1 }).median.fixed(2) : "–",
            ])
        }
        report.add(
            Figure(
                "sigstore.identities", unit: "µs CPU",
                zip(found[Self.index("bundle.known.identities", subjects)], found[Self.index("bundle.known", subjects)])
                    .map { ($0 - $1) * 1e6 }))
        report.table(
            "Sigstore from memory, one thread: a bundle of Rekor v1, a layer of cosign",
            ["", "µs", "(min – max)", "signature checks", "these alone µs", "ratio"], rows,
            notes: [
                "These alone: so many checks by swift-crypto with kept keys. Known: the verifier has seen the certificate before.",
                "Processor time.",
            ])
    }

    private static func index(_ name: String, _ subjects: [Subject]) -> Int {
        subjects.firstIndex { $0.name == name } ?? 0
    }

    /// Processor time of one operation, in seconds: as many as fit into the slice.
    private func measure(_ subject: Subject) throws -> Double {
        var count = 0
        let start = processorTime()
        var elapsed = 0.0
        repeat {
            for _ in 0..<16 {
                guard subject.operation() else { throw BenchmarkError("\(subject.title): it does not verify") }
            }
            count += 16
            elapsed = processorTime() - start
        } while elapsed < slice
        return elapsed / Double(count)
    }
}
