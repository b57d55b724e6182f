import Kubernetes
import PKI
import StrictJSON
import TestSupport
import Testing

@testable import CustomResources

/// A certificate that may not be in a store of a kind keeps the store from being used: that is said before an image is
/// refused.
@Suite struct StoreMisfitTests {
    private func board(_ certificates: [Certificate]) throws -> ResourceBoard {
        let policy: JSONValue = [
            "version": "1.0",
            "trustPolicies": [
                [
                    "name": "default", "registryScopes": ["*"], "signatureVerification": ["level": "strict"],
                    "trustStores": ["ca:certs", "tsa:times"], "trustedIdentities": ["*"],
                ]
            ],
        ]
        let verifier = try Samples.resource(
            .verifier, "verifier-notation",
            [
                "name": "notation", "artifactTypes": "application/vnd.cncf.notary.signature",
                "parameters": [
                    "verificationCertStores": ["ca": ["certs": ["ca"]], "tsa": ["times": ["times"]]],
                    "trustPolicyDoc": policy,
                ],
            ])
        return Samples.board([
            try Samples.provider(), try Samples.provider("times", value: certificates.map(\.pem).joined()),
            try Samples.store(), verifier, try Samples.policy(),
        ])
    }

    @Test func aTimestampAuthorityIsARoot() throws {
        let root = try CertificateAuthority(name: "tsa root")
        let issuing = try root.intermediate("tsa issuing")
        let id = ResourceID(.verifier, "verifier-notation")
        #expect(try board([root.certificate]).error(id) == "")
        for certificates in [[issuing.certificate], [root.certificate, issuing.certificate]] {
            let error = try board(certificates).error(id)
            #expect(error.contains("tsa:times") && error.contains("CN=tsa issuing"), "\(error)")
            #expect(error.contains("not a root certificate authority"), "\(error)")
            // The other stores are not touched.
            #expect(!error.contains("ca:certs"))
        }
    }
}
