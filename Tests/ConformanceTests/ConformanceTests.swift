import Foundation
import Notation
import OCI
import StrictJSON
import TestSupport
import Testing

/// Every case of the corpus against every policy that the reference verifier was observed with: nothing that it denies is
/// admitted, and what is denied though it admits has a line in `docs/conformance.md` with the rule that asks for it.
@Suite struct ConformanceTests {
    let corpus: Corpus
    let document: ConformanceDocument
    let verifier: SignatureVerifier

    init() throws {
        corpus = try Corpus.shared.get()
        document = try ConformanceDocument()
        verifier = SignatureVerifier(
            trustStore: corpus.trustStore,
            revocation: RevocationChecker(
                http: try CorpusHTTP(corpus),
                // No verdict depends on how busy the machine is.
                options: RevocationOptions(ocspTimeout: .seconds(600), crlTimeout: .seconds(600))))
    }

    @Test func verdicts() async throws {
        var table = ConformanceTable()
        var stricter: Set<String> = []
        var wrong: [String] = []
        for entry in corpus.cases {
            for observation in entry.observed {
                let (accepted, reason) = await verdict(entry, observation)
                let comparison: ConformanceTable.Comparison
                if accepted == observation.pass || observation.isAmbiguous {
                    comparison = .agreed
                } else if accepted {
                    comparison = .wrong
                    wrong.append("\(entry.id) \(observation.policy).\(observation.level)")
                } else {
                    comparison = .stricter
                    stricter.insert(entry.id)
                    #expect(
                        document.rules[entry.id] != nil,
                        "no line in docs/conformance.md: \(entry.id) \(observation.policy).\(observation.level): \(reason)"
                    )
                }
                table.add(comparison, in: entry.category)
            }
        }
        print("\n\(table.markdown)\n")
        #expect(wrong.isEmpty, "admitted, and denied by the reference: \(wrong)")
        #expect(
            Set(document.rules.keys).subtracting(stricter).isEmpty, "lines in docs/conformance.md that are not needed")
        if ProcessInfo.processInfo.environment["COUNTERSIGN_WRITE_CONFORMANCE"] != nil {
            var document = document
            try document.write(table: table.markdown)
        } else {
            #expect(
                document.table == table.markdown,
                "docs/conformance.md is out of date: run the suite with COUNTERSIGN_WRITE_CONFORMANCE=1")
        }
    }

    private func verdict(
        _ entry: Corpus.Case, _ observation: Corpus.Observation
    ) async -> (accepted: Bool, reason: String) {
        let policy: TrustPolicyDocument
        do { policy = try corpus.policy(observation) } catch { return (false, "\(error)") }
        let images = ImageVerifier(store: corpus.layout, policy: policy, verifier: verifier)
        guard let reference = try? ImageReference(parsing: "local.example/corpus@\(entry.image.digest)") else {
            return (false, "the reference cannot be parsed")
        }
        let outcome = await images.verify(
            reference, subject: entry.image, userMetadata: observation.userMetadata,
            maximumSignatures: observation.maximumSignatures, now: Corpus.now, deadline: .now + .seconds(600))
        switch outcome.verdict {
        case .verified, .skipped: return (true, "")
        case .notVerified(let reason), .undetermined(let reason): return (false, reason.description)
        }
    }

    /// Each signature alone: the same validations have run, with the same actions and results.
    @Test func resultsOfEachValidation() async throws {
        let rules = document.rules
        var compared = 0
        for entry in corpus.cases where rules[entry.id] == nil {
            for observation in entry.observed where observation.level != "skip" {
                guard let policy = try? corpus.policy(observation) else { continue }
                for signature in observation.json["signatures"]?.array ?? [] {
                    guard let expected = signature["results"]?.array,
                        let source = entry.signatures.first(where: {
                            $0["manifest"]?["digest"] == signature["manifest"]
                        }),
                        let mediaType = source["envelope"]?["mediaType"]?.string
                    else { continue }
                    let outcome = await verifier.verify(
                        envelope: try corpus.blob(source["envelope"]), mediaType: mediaType, subject: entry.image,
                        statement: policy.statements[0], userMetadata: observation.userMetadata, now: Corpus.now,
                        deadline: .now + .seconds(600))
                    let ours = outcome.results.filter { $0.status == .passed || $0.status == .failed }
                        .map { "\($0.type.rawValue) \($0.action.rawValue) \($0.status == .passed)" }
                    let theirs = expected.map {
                        "\($0["type"]?.string ?? "") \($0["action"]?.string ?? "") \($0["error"] == nil)"
                    }
                    #expect(ours == theirs, "\(entry.id) \(observation.policy).\(observation.level)")
                    #expect(
                        outcome.isVerified == signature["pass"]?.bool,
                        "\(entry.id) \(observation.policy).\(observation.level)")
                    compared += 1
                }
            }
        }
        print("validations compared for \(compared) signatures")
        #expect(compared > 900)
    }
}
