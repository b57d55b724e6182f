import Foundation
import Notation
import NotationOnline
import OCI
import StrictJSON
import TestSupport
import Testing

/// Every case of the corpus against every policy that the reference verifier was observed with: nothing that it denies
/// is admitted, and what is denied though it admits stands in `docs/conformance.md` beside the rule that asks for it.
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
        let named = document.rules.flatMap(\.cases)
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
                        named.contains(entry.id),
                        "beside no rule in docs/conformance.md: \(entry.id) \(observation.policy).\(observation.level): \(reason)"
                    )
                }
                table.add(comparison, in: entry.category)
            }
        }
        print("\n\(table.markdown)\n")
        #expect(wrong.isEmpty, "admitted, and denied by the reference: \(wrong)")
        #expect(
            Set(named).subtracting(stricter).isEmpty, "cases in docs/conformance.md that are not stricter")
        #expect(Set(named).count == named.count, "a case beside two rules")
        if ProcessInfo.processInfo.environment["COUNTERSIGN_WRITE_CONFORMANCE"] != nil {
            var document = document
            try document.write(table: table.markdown)
        } else {
            #expect(
                document.table == table.markdown,
                "docs/conformance.md is out of date: run the suite with COUNTERSIGN_WRITE_CONFORMANCE=1")
        }
    }

    /// Every rule has a case or a test that shows it, and the tests are there.
    @Test func everyRuleIsShown() throws {
        let rules = document.rules
        #expect(rules.count > 20)
        let tests = ConformanceDocument.url.deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Tests")
        var suites: [String: String] = [:]
        for case let file as URL in FileManager.default.enumerator(at: tests, includingPropertiesForKeys: nil)
            ?? .init()
        where file.pathExtension == "swift" {
            suites[file.deletingPathExtension().lastPathComponent] = try String(contentsOf: file, encoding: .utf8)
        }
        for rule in rules {
            #expect(!rule.cases.isEmpty || !rule.tests.isEmpty, "\(rule.text)")
            for test in rule.tests {
                let parts = test.split(separator: ".").map(String.init)
                #expect(parts.count == 2 && suites[parts[0]]?.contains("func \(parts[1])(") == true, "\(test)")
            }
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
        let stricter = Set(document.rules.flatMap(\.cases))
        var compared = 0
        for entry in corpus.cases where !stricter.contains(entry.id) {
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
