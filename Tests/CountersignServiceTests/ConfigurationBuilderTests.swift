import ConfigurationModel
import Logging
import ServiceMetrics
import StrictJSON
import Testing

@testable import CountersignService

/// A configuration file whose parts do not fit together is refused as a whole, and says where.
@Suite struct ConfigurationBuilderTests {
    private let builder = ConfigurationBuilder(
        metrics: MetricsRegistry(), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, environment: [:])

    /// Why a configuration is refused whose verifier has these stores and trusts one of them.
    private func refusal(stores: JSONValue, trusts store: String) throws -> String {
        let configuration: JSONValue = [
            "store": ["plugins": [["name": "oras"]]],
            "verifier": [
                "plugins": [
                    [
                        "name": "notation", "verificationCertStores": stores,
                        "trustPolicyDoc": [
                            "version": "1.0",
                            "trustPolicies": [
                                [
                                    "name": "default", "registryScopes": ["*"], "trustStores": [.string(store)],
                                    "signatureVerification": ["level": "strict"], "trustedIdentities": ["*"],
                                ]
                            ],
                        ],
                    ]
                ]
            ],
        ]
        let error = #expect(throws: ConfigurationError.self) { try builder.build(configuration.bytes, generation: 1) }
        return error?.description ?? ""
    }

    /// In a file nobody is awaited: what is not there will not come.
    @Test func aProviderThatIsNotThere() throws {
        let refusal = try refusal(stores: ["ca": ["certs": ["nobody"]]], trusts: "ca:certs")
        #expect(refusal.hasPrefix("verifier.plugins[0].trustPolicyDoc cannot be served"), "\(refusal)")
        #expect(
            refusal.contains(
                "trust store \"ca:certs\" takes its certificates from \"nobody\", and no key management provider has that name"
            ),
            "\(refusal)")
    }

    @Test func aTrustStoreThatNothingFills() throws {
        let refusal = try refusal(stores: ["ca": ["certs": ["nobody"]]], trusts: "ca:others")
        #expect(refusal.hasPrefix("verifier.plugins[0].trustPolicyDoc cannot be served"), "\(refusal)")
        #expect(
            refusal.contains(
                "statement \"default\": there is no trust store \"ca:others\": add it to verificationCertStores"),
            "\(refusal)")
    }
}
