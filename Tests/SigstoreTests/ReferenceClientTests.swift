import Foundation
import Sigstore
import StrictJSON
import TestSupport
import Testing

/// PyPI `sigstore` is asked what it says of the same bundles and of the same changes. Where it says something else, it is
/// one of the ``Deviation``s that docs/sigstore.md lists.
@Suite struct ReferenceClientTests {
    /// One question, and what is said here.
    struct Question {
        let bundle: MadeBundle
        /// What is changed: the bundle or its trusted root.
        var original: JSONValue = .null
        var mutation: Mutation?
        /// Whether the change is one of the trusted root.
        var isOfRoot = false
        let refusal: (any StepError)?
        let isVerified: Bool
        /// As `oracle.py` reads it.
        let line: JSONValue
    }

    /// How long the reference client may be asked; `COUNTERSIGN_ORACLE_SECONDS` says another time.
    static let seconds = ProcessInfo.processInfo.environment["COUNTERSIGN_ORACLE_SECONDS"].flatMap { Int($0) } ?? 30

    private static func line(_ bundle: MadeBundle, _ changed: JSONValue?, root: JSONValue? = nil) -> JSONValue {
        [
            "bundle": changed ?? .string("bundles/\(bundle.name).json"),
            "root": root ?? .string("\(bundle.instance)/trusted_root.json"), "artifact": .string(bundle.artifactPath),
            "identity": .string(bundle.signer?.name ?? ""), "issuer": .string(bundle.signer?.issuer ?? ""),
        ]
    }

    /// What the reference client says of each question that it has the time for: empty where it verifies.
    private func answers(_ questions: [Question]) throws -> [String] {
        var lines: [UInt8] = []
        for question in questions { lines += question.line.bytes + [0x0A] }
        let answers = try SigstoreScript.askReference(try SigstoreScript.made.get(), lines, seconds: Self.seconds)
        return try answers.split(separator: 0x0A).map { try StrictJSON.parse(Array($0)).string ?? "?" }
    }

    @Test func whatIsMade() throws {
        let verifiers = try MadeBundle.verifiers()
        let questions = try MadeBundle.all.get().filter { $0.signer != nil }.map { bundle in
            let outcome = bundle.verify(with: try #require(verifiers[bundle.instance]))
            return Question(
                bundle: bundle, refusal: outcome.refusal,
                isVerified: outcome.isVerified,
                line: Self.line(bundle, nil))
        }
        let answers = try answers(questions)
        #expect(answers.count == questions.count)
        for (question, answer) in zip(questions, answers) {
            #expect(question.isVerified)
            #expect(answer.isEmpty == (question.bundle.differs == nil), "\(question.bundle.name): \(answer)")
            guard let differs = question.bundle.differs else { continue }
            #expect(Deviation.ofGoodBundles[differs] != nil, "\(question.bundle.name): \(differs) is not listed")
        }
    }

    @Test func changes() throws {
        let bundles = try MadeBundle.all.get().filter { $0.signer != nil && $0.differs == nil }
        let verifiers = try MadeBundle.verifiers()
        var generator = SeededGenerator(seed: 4)
        var questions: [Question] = []
        for bundle in bundles {
            let verifier = try #require(verifiers[bundle.instance])
            for (mutation, _) in InstanceMutationTests.mutations(of: bundle, bundles, &generator) {
                let changed = mutation.applied(to: bundle.json)
                let outcome = bundle.verify(changed, with: verifier)
                questions.append(
                    Question(
                        bundle: bundle, original: bundle.json, mutation: mutation, refusal: outcome.refusal,
                        isVerified: outcome.isVerified, line: Self.line(bundle, changed)))
            }
        }
        for bundle in bundles.filter({ ["two-timestamps", "version-0.1-certificate"].contains($0.name) }) {
            let root = try HarmlessRootMutation.least(for: bundle, of: MadeBundle.rootJSON(bundle.instance))
            for mutation in Mutation.all(of: root, flips: 6, using: &generator) {
                let changed = mutation.applied(to: root)
                let outcome = (try? TrustedRoot(parsing: changed.bytes))
                    .map { bundle.verify(with: BundleVerifier(root: $0)) }
                questions.append(
                    Question(
                        bundle: bundle, original: root, mutation: mutation, isOfRoot: true, refusal: outcome?.refusal,
                        isVerified: outcome?.isVerified ?? false, line: Self.line(bundle, nil, root: changed)))
            }
        }
        // Whatever there is the time for is a sample of all.
        questions.shuffle(using: &generator)
        let answers = try answers(questions)
        #expect(answers.count > 1_000, "the reference client has answered \(answers.count) questions")
        var counts: [Deviation: Int] = [:]
        var both = 0
        for (question, answer) in zip(questions, answers) {
            guard let mutation = question.mutation, question.isVerified != answer.isEmpty else {
                both += 1
                continue
            }
            guard let deviation = Deviation.of(question, answer) else {
                Issue.record(
                    """
                    \(question.bundle.name)\(question.isOfRoot ? ", trusted root" : ""): \(mutation)
                    here: \(question.isVerified ? "verified" : question.refusal?.description ?? "unusable")
                    PyPI sigstore: \(answer.isEmpty ? "verified" : answer)
                    """)
                continue
            }
            counts[deviation, default: 0] += 1
        }
        print("\(answers.count) changes of \(questions.count): the same answer to \(both)")
        for (deviation, count) in counts.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            print("| \(deviation.rawValue) | \(count) |")
        }
    }

    /// The table in docs/sigstore.md has each deviation, and no other.
    @Test func everyDeviationIsListed() throws {
        let text = try String(
            contentsOf: UnpackedArchive.package.appending(path: "docs/sigstore.md"), encoding: .utf8)
        let section = try #require(text.components(separatedBy: "\n### PyPI `sigstore`\n").dropFirst().first)
        let rows = section.components(separatedBy: "\n#")[0].split(separator: "\n").filter { $0.hasPrefix("| ") }
            .dropFirst().compactMap { $0.split(separator: "|").first?.trimmingCharacters(in: .whitespaces) }
        #expect(Set(rows) == Set(Deviation.allCases.map(\.rawValue)))
        #expect(rows.count == Set(rows).count)
    }
}
