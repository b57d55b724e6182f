import Kubernetes
import NotationOnline
import StrictJSON
import TestSupport
import Testing

@testable import CustomResources

/// `revocation.maximumAge` of a verifier.
@Suite struct RevocationSettingsTests {
    private func error(_ maximumAge: JSONValue, in namespace: String? = nil) throws -> String {
        let policy: JSONValue = [
            "version": "1.0",
            "trustPolicies": [
                [
                    "name": "default", "registryScopes": ["*"], "signatureVerification": ["level": "strict"],
                    "trustStores": ["ca:certs"], "trustedIdentities": ["*"],
                ]
            ],
        ]
        let verifier = try Samples.resource(
            namespace == nil ? .verifier : .namespacedVerifier, "aged",
            [
                "name": "notation", "artifactTypes": "application/vnd.cncf.notary.signature",
                "parameters": [
                    "verificationCertStores": ["ca": ["certs": ["ca"]]], "trustPolicyDoc": policy,
                    "revocation": ["maximumAge": maximumAge],
                ],
            ], namespace: namespace)
        return Samples.board([try Samples.provider(), try Samples.store(), verifier, try Samples.policy()])
            .error(verifier.id)
    }

    @Test(arguments: [1_000, 86_400_000, 2_592_000_000] as [JSONValue])
    func aSensibleAge(value: JSONValue) throws { #expect(try error(value) == "") }

    @Test(
        arguments: [
            0, 999, -1, -86_400_000, 2_592_000_001, "a day", "1h", "86400000", "", true, [], [:], .number("1.5"),
            .number("1e400"), .number("9223372036854775808"), .number("86400000.5"),
        ] as [JSONValue])
    func noAge(value: JSONValue) throws {
        let error = try error(value)
        #expect(error.contains("revocation.maximumAge is \(value.text)"), "\(error)")
        #expect(error.contains("expected a whole number from 1000 to 2592000000"), "\(error)")
    }

    /// `null` is as good as nothing: a day.
    @Test func aDayByDefault() throws {
        #expect(try error(.null) == "")
        #expect(RevocationOptions().maximumAge == 86_400)
    }

    /// Answers are the process's: a namespace does not make it ask more often.
    @Test func ofTheClusterOnly() throws {
        let error = try error(1_000, in: "team")
        #expect(error.contains("only a resource of the cluster may"), "\(error)")
    }
}
