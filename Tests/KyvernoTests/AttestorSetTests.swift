import OCI
import PKI
import StrictJSON
import TestSupport
import Testing
import Verification

@testable import Kyverno

@Suite struct AttestorSetTests {
    private func sets(_ text: String) throws -> [AttestorSet] {
        try AttestorSet.sets(StrictJSON.parse(Array(text.utf8)))
    }

    private func problem(_ text: String) -> String {
        do {
            _ = try sets(text)
            return "accepted"
        } catch { return "\(error)" }
    }

    private func report(
        _ verifier: String, subject: String = "CN=release,O=Example", issuer: String = "CN=ca", isSuccess: Bool = true,
        isSigned: Bool = true, chain: [String] = []
    ) -> VerifierReport {
        var report = VerifierReport(
            subject: "image", isSuccess: isSuccess, verifierName: verifier,
            referenceDigest: isSigned ? "sha256:1" : nil, message: "",
            extensions: ["SN": .string(subject), "Issuer": .string(issuer)])
        report.signingChain = chain
        return report
    }

    @Test(
        arguments: [
            (nil, 1, false), (nil, 2, true), (0, 1, false), (1, 1, true), (1, 0, false), (2, 1, false), (2, 2, true),
        ] as [(Int?, Int, Bool)])
    func counts(_ count: Int?, _ signed: Int, _ isEnough: Bool) throws {
        let text = count.map { "\"count\": \($0), " } ?? ""
        let set = try #require(
            try sets(#"[{\#(text)"entries": [{"verifier": "a"}, {"verifier": "b"}]}]"#).first)
        let reports = ["a", "b"].prefix(signed).map { report($0) }
        #expect((set.shortcoming(in: reports) == nil) == isEnough)
    }

    @Test func oneSignatureMustHaveAllOfAnEntry() throws {
        let set = try #require(
            try sets(#"[{"entries": [{"verifier": "a", "subject": "CN=release,*", "issuer": "CN=c?"}]}]"#).first)
        #expect(set.shortcoming(in: [report("a")]) == nil)
        #expect(set.shortcoming(in: [report("a", subject: "CN=other"), report("b")]) != nil)
        #expect(set.shortcoming(in: [report("a", issuer: "CN=cat")]) != nil)
        #expect(set.shortcoming(in: [report("a", isSuccess: false)]) != nil)
        // A waiver of the trust policy is nobody's signature.
        #expect(set.shortcoming(in: [report("a", isSigned: false)]) != nil)
        #expect(
            set.shortcoming(in: [])?.contains(#"attestors[0].entries[0]: no verified signature has verifier "a""#)
                == true)
    }

    /// Of an image for several platforms each manifest may have to be signed: one that the other lacks does not count.
    @Test func eachDigestOfAnImageSatisfiesTheSets() throws {
        let request = try KyvernoRequest(
            body: Array(#"{"images": ["a"], "attestors": [{"entries": [{"verifier": "a"}, {"verifier": "b"}]}]}"#.utf8),
            maximumImages: 1)
        let reference = try ImageReference(parsing: "r.example/app:v1")
        func verdict(_ reports: (String, String?)...) -> KyvernoVerdict {
            let reports = reports.map { verifier, digest in
                var report = self.report(verifier)
                report.subjectDigest = digest
                return report
            }
            let decision = Decision(
                isSuccess: true, reference: reference.description, digest: nil, reports: reports)
            return request.verdict(on: decision, reference: reference, resolved: nil)
        }
        #expect(verdict(("a", nil), ("b", nil)).status == .verified)
        #expect(verdict(("a", "sha256:1"), ("b", "sha256:1")).status == .verified)
        #expect(verdict(("a", "1"), ("b", "1"), ("a", "2"), ("b", "2")).status == .verified)
        #expect(verdict(("a", "1"), ("b", nil), ("a", "2")).status == .verified)
        let half = verdict(("a", "1"), ("b", "2"))
        #expect(half.status == .failed && half.reason?.contains("this is about 1") == true)
        #expect(verdict(("a", "1"), ("b", "1"), ("a", "2")).reason?.contains("this is about 2") == true)
    }

    @Test func certificatesAreThoseOfTheChain() throws {
        let authority = try CertificateAuthority(name: "ca")
        let other = try CertificateAuthority(name: "other")
        let pem = JSONValue.string(authority.certificate.pem + other.certificate.pem).text
        let set = try #require(
            try sets(#"[{"count": 1, "entries": [{"certificates": {"cert": \#(pem), "certChain": ""}}]}]"#).first)
        #expect(set.shortcoming(in: [report("a", chain: ["00", authority.certificate.sha256Hex])]) == nil)
        #expect(set.shortcoming(in: [report("a", chain: ["00"])])?.contains("SHA-256") == true)
        #expect(set.shortcoming(in: [report("a")]) != nil)
    }

    @Test func setsWithinSets() throws {
        let set = try #require(
            try sets(
                #"[{"count": 1, "entries": [{"verifier": "x"}, {"attestor": {"count": 2, "entries": [{"verifier": "a"}, {"verifier": "b"}, {"verifier": "c"}]}}]}]"#
            ).first)
        #expect(set.shortcoming(in: [report("a"), report("c")]) == nil)
        #expect(set.shortcoming(in: [report("a")])?.contains("attestors[0].entries[1].attestor: 1 of the 2") == true)
    }

    @Test(arguments: [
        (#"{}"#, "attestors is an object"), (#"[[]]"#, "attestors[0] is an array"),
        (#"[{}]"#, "entries is not an array"),
        (#"[{"entries": []}]"#, "not an array of 1"), (#"[{"entries": [{}]}]"#, "names nobody"),
        (#"[{"entries": [1]}]"#, "entries[0] is a number"),
        (#"[{"entries": [{"verifier": "a"}], "cout": 1}]"#, "\"cout\""),
        (#"[{"entries": [{"verifier": "a"}], "count": 2}]"#, "count is not a number from 1 to 1"),
        (#"[{"entries": [{"verifier": "a"}], "count": -1}]"#, "count is not a number"),
        (#"[{"entries": [{"verifier": "a"}], "count": "1"}]"#, "count is not a number"),
        (#"[{"entries": [{"verifier": ""}]}]"#, "verifier is not a string"),
        (#"[{"entries": [{"keys": {"publicKeys": "x"}}]}]"#, "\"keys\", which is not known"),
        (#"[{"entries": [{"verifier": "a", "annotations": {}}]}]"#, "\"annotations\", which is not known"),
        (#"[{"entries": [{"verifier": "a", "attestor": {"entries": [{"verifier": "b"}]}}]}]"#, "attestor and other"),
        (#"[{"entries": [{"certificates": {}}]}]"#, "holds no certificate"),
        (#"[{"entries": [{"certificates": {"cert": "  "}}]}]"#, "holds no certificate"),
        (#"[{"entries": [{"certificates": {"cert": "garbage"}}]}]"#, "does not hold certificates"),
        (#"[{"entries": [{"certificates": {"rekor": {}}}]}]"#, "\"rekor\", which is not known"),
        (#"[{"entries": [{"certificates": "x"}]}]"#, "certificates is a string"),
    ])
    func whatIsNotUnderstood(_ text: String, _ expected: String) {
        #expect(problem(text).contains(expected), "\(problem(text))")
    }

    @Test func nestingHasAnEnd() {
        var text = #"{"verifier": "a"}"#
        for _ in 0..<6 { text = #"{"attestor": {"entries": [\#(text)]}}"# }
        #expect(problem(#"[{"entries": [\#(text)]}]"#).contains("deep"))
    }
}
