import Foundation
import PKI
import Sigstore
import Testing

/// The cases of the public conformance suite, each with the step that must refuse it.
@Suite struct ConformanceSuiteTests {
    let cases: SigstoreCases

    init() throws { cases = try SigstoreCases.shared.get() }

    /// What refuses each case that must fail.
    private static let expected: [String: String] = [
        "bundle-empty-certificate-chain_fail": "bundle",
        "bundle-from-wrong-instance_fail": "provenTime",
        "bundle-malformed-json_fail": "bundle",
        "bundle-unknown-version_fail": "bundle",
        "bundle-with-root-cert_fail": "bundle",
        "checkpoint-bad-keyhint_fail": "transparency",
        "dsse-invalid-sig_fail": "transparency",
        "dsse-mismatch-envelope_fail": "transparency",
        "dsse-mismatch-sig_fail": "transparency",
        "intoto-log-entry-mismatch_fail": "transparency",
        "intoto-tsa-timestamp-outside-cert-validity_fail": "certificateChain",
        "invalid-ct-key_fail": "certificateTimestamp",
        "managed-key-wrong-key_fail": "key",
        "message-digest-mismatch_fail": "signature",
        "rekor2-checkpoint-missing-log-signature_fail": "transparency",
        "rekor2-checkpoint-missing-origin_fail": "transparency",
        "rekor2-checkpoint-missing-size_fail": "transparency",
        "rekor2-checkpoint-no-matching-signature_fail": "transparency",
        "rekor2-dsse-invalid-sig_fail": "transparency",
        "rekor2-timestamp-outside-tsa-cert-validity_fail": "provenTime",
        "rekor2-timestamp-payload-mismatch_fail": "provenTime",
        "rekor2-timestamp-untrusted-tsa-without-embedded-cert_fail": "provenTime",
        "signature-mismatch_fail": "transparency",
        "trust-root-tlog-missing-validity-start_fail": "trustedRoot",
        "wrong-hashedrekord-artifact_fail": "transparency",
        "wrong-hashedrekord-entry_fail": "transparency",
        "wrong-material_fail": "transparency",
    ]

    @Test func everyCase() throws {
        var lines = ["", "| case | expected | verified | by | reason |", "|---|---|---|---|---|"]
        let names = try cases.names
        #expect(names.count == 38)
        for name in names {
            let mustFail = name.hasSuffix("_fail")
            var verified = false
            var step = ""
            var reason = ""
            do {
                let outcome = try cases.read(name).verify()
                verified = outcome.isVerified
                if let refusal = outcome.refusal {
                    step = type(of: refusal).step.rawValue
                    reason = refusal.description
                }
            } catch let error as TrustedRootError {
                step = "trustedRoot"
                reason = error.description
            } catch let error as PKIError {
                step = "key"
                reason = error.description
            }
            #expect(verified == !mustFail, "\(name): \(step): \(reason)")
            #expect(step == Self.expected[name] ?? "", "\(name): \(reason)")
            lines.append("| \(name) | \(mustFail ? "fail" : "pass") | \(verified) | \(step) | \(reason) |")
        }
        print(lines.joined(separator: "\n"))
    }
}
