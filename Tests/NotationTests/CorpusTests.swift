import Foundation
import Notation
import OCI
import StrictJSON
import Testing

/// Every case of the corpus against every policy that the reference verifier was observed with: nothing that it denies is
/// admitted, and what is denied though it admits is known, with the rule that asks for it.
@Suite struct CorpusTests {
    /// Cases that are denied here and pass in the reference verifier, each with its rule.
    static let stricter: [String: String] = [
        "jws-pss-salt-0": "RFC 7518, section 3.5: the salt is as long as the hash",
        "jws-pss-salt-20": "RFC 7518, section 3.5: the salt is as long as the hash",
        "jws-b64-false": "signature specification, Extended attributes: unknown critical attributes fail",
        "jws-b64-newline-signature": "RFC 7515, section 2: no line breaks in base64url",
        "jws-b64-newline-payload": "RFC 7515, section 2: no line breaks in base64url",
        "jws-payload-invalid-utf8": "RFC 8259, section 8.1: JSON is UTF-8",
        "jws-protected-dup-alg": "RFC 7515, section 4: header names are unique",
        "jws-protected-case-variant-scheme": "RFC 7515, section 5.3: names are compared with regard to case",
        "jws-env-dup-payload-last-good": "RFC 7515, section 4: member names are unique",
        "jws-x5c-case-variant": "RFC 7515, section 5.3: names are compared with regard to case",
        "cert-eku-any": "signature specification, Leaf Certificates, item 3: no anyExtendedKeyUsage",
        "cert-leaf-rsa2047": "signature specification, Leaf Certificates, item 4: RSA of at least 2048 bits",
        "cert-int-bc-noncritical": "signature specification, Root and Intermediate CA Certificates, item 1: critical",
        "cert-int-p224":
            "signature specification, Leaf Certificates, item 4: EC of at least 256 bits, asked of every key",
    ]

    /// What our verdict is beside the reference's.
    enum Comparison: String, CaseIterable {
        case agreed, stricter, later, wrong
    }

    @Test func verdicts() async throws {
        let corpus = try Corpus.shared.get()
        var table: [String: [Comparison: Int]] = [:]
        var stricter: Set<String> = []
        var wrong: [String] = []
        for entry in corpus.cases {
            for observation in entry.observed {
                let (accepted, reason) = await verdict(corpus, entry, observation)
                let comparison: Comparison
                if accepted == observation.pass || observation.isAmbiguous {
                    comparison = .agreed
                } else if accepted {
                    comparison = .wrong
                    wrong.append("\(entry.id) \(observation.policy).\(observation.level)")
                } else if reason.contains("not supported yet") {
                    comparison = .later
                } else {
                    comparison = .stricter
                    stricter.insert(entry.id)
                    #expect(
                        Self.stricter[entry.id] != nil,
                        "\(entry.id) \(observation.policy).\(observation.level): \(reason)")
                }
                table[entry.category, default: [:]][comparison, default: 0] += 1
            }
        }
        printTable(table)
        #expect(wrong.isEmpty, "admitted, and denied by the reference: \(wrong)")
        #expect(stricter == Set(Self.stricter.keys))
    }

    private func verdict(
        _ corpus: Corpus, _ entry: Corpus.Case, _ observation: Corpus.Observation
    ) async -> (accepted: Bool, reason: String) {
        let policy: TrustPolicyDocument
        do { policy = try corpus.policy(observation) } catch { return (false, "\(error)") }
        let verifier = ImageVerifier(
            store: corpus.layout, policy: policy, verifier: SignatureVerifier(trustStore: corpus.trustStore))
        guard let reference = try? ImageReference(parsing: "local.example/corpus@\(entry.image.digest)") else {
            return (false, "the reference cannot be parsed")
        }
        let outcome = await verifier.verify(
            reference, subject: entry.image, userMetadata: observation.userMetadata,
            maximumSignatures: observation.maximumSignatures, now: Corpus.now, deadline: .now + .seconds(600))
        switch outcome.verdict {
        case .verified, .skipped: return (true, "")
        case .notVerified(let reason), .undetermined(let reason): return (false, reason.description)
        }
    }

    /// Each signature alone: the same validations have run, with the same actions and results.
    @Test func resultsOfEachValidation() async throws {
        let corpus = try Corpus.shared.get()
        var compared = 0
        for entry in corpus.cases where Self.stricter[entry.id] == nil {
            for observation in entry.observed where observation.level != "skip" {
                guard let policy = try? corpus.policy(observation) else { continue }
                for signature in observation.json["signatures"]?.array ?? [] {
                    guard let expected = signature["results"]?.array,
                        let source = entry.signatures.first(where: {
                            $0["manifest"]?["digest"] == signature["manifest"]
                        }),
                        let mediaType = source["envelope"]?["mediaType"]?.string
                    else { continue }
                    let outcome = await SignatureVerifier(trustStore: corpus.trustStore).verify(
                        envelope: try corpus.blob(source["envelope"]), mediaType: mediaType, subject: entry.image,
                        statement: policy.statements[0], userMetadata: observation.userMetadata, now: Corpus.now,
                        deadline: .now + .seconds(600))
                    if outcome.results.contains(where: { $0.message?.contains("not supported yet") == true }) {
                        continue
                    }
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
        #expect(compared > 500)
    }

    private func printTable(_ table: [String: [Comparison: Int]]) {
        func row(_ name: String, _ counts: [Comparison: Int]) {
            let cells = Comparison.allCases.map { counts[$0, default: 0] }.map { value in
                String(repeating: " ", count: max(1, 10 - String(value).count)) + String(value)
            }
            print(name.padding(toLength: 18, withPad: " ", startingAt: 0) + cells.joined())
        }
        print("\ncategory              agreed  stricter     later     wrong")
        for name in table.keys.sorted() { row(name, table[name] ?? [:]) }
        row("total", table.values.reduce(into: [:]) { $0.merge($1, uniquingKeysWith: +) })
    }
}
