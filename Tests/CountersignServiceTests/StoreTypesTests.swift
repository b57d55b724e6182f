import ConfigurationModel
import Logging
import ServiceMetrics
import StrictJSON
import Testing

@testable import CountersignService
@testable import OCI
@testable import OCIRegistry

/// What depends on the type of a store, or of its credentials, in whatever case that is written.
@Suite struct StoreTypesTests {
    private let builder = ConfigurationBuilder(
        metrics: MetricsRegistry(), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, environment: [:])

    private func configuration(_ type: String) throws -> ServiceConfiguration {
        try ServiceConfiguration(
            parsing: Array(
                #"{"store":{"plugins":[{"name":"\#(type)","path":"/x"}]},"verifier":{"plugins":[{"name":"notation"}]}}"#
                    .utf8))
    }

    @Test(arguments: [
        ("oci-layout", false), ("OCI-Layout", false), ("Oci-layout", false), ("oras", true), ("ORAS", true),
    ])
    func verdictsOnADirectoryAreNotShared(_ type: String, _ isShared: Bool) throws {
        let fingerprint = builder.fingerprint(of: [1], stores: try configuration(type).stores.map(\.type))
        #expect((fingerprint != nil) == isShared)
    }

    /// What the pod has may belong to the whole cluster: over plain HTTP a namespace's store goes without it.
    @Test(arguments: ["dockerConfig", "DockerConfig", "DOCKERCONFIG"])
    func aNamespacesStoreShowsNoCredentialsOfThePod(_ name: String) throws {
        func credentials(_ namespace: String?, useHttp: Bool) throws -> any RegistryCredentials {
            var warnings: [String] = []
            let store = try builder.store(
                ServiceConfiguration.StorePlugin(
                    name: "oras", type: .oras,
                    parameters: ["useHttp": .bool(useHttp), "authProvider": ["name": .string(name)]],
                    path: "spec.parameters", namespace: namespace), warnings: &warnings)
            return try #require(store as? RegistryClient).credentials
        }
        #expect(try credentials("team-b", useHttp: true) is AnonymousCredentials)
        #expect(try credentials("team-b", useHttp: false) is DockerConfigCredentials)
        #expect(try credentials(nil, useHttp: true) is DockerConfigCredentials)
    }

    /// Nobody is asked for signatures that no parameter asks for.
    @Test(arguments: [("", false), (#","cosignEnabled":false"#, false), (#","cosignEnabled":true"#, true)])
    func looksForCosignsSignaturesWhereItIsTold(_ parameter: String, _ isEnabled: Bool) throws {
        func content(_ parameter: String) -> [UInt8] {
            Array(
                #"{"store":{"plugins":[{"name":"oras"\#(parameter)}]},"verifier":{"plugins":[{"name":"notation"}]}}"#
                    .utf8)
        }
        let configuration = try ServiceConfiguration(parsing: content(parameter))
        var warnings: [String] = []
        let store = try builder.store(configuration.stores[0], warnings: &warnings)
        #expect(try #require(store as? RegistryClient).options.cosignSignatures == isEnabled)
        #expect(warnings.isEmpty)
        // Replicas that look elsewhere share no verdicts.
        let own = builder.fingerprint(of: content(parameter), stores: [.oras])
        let other = builder.fingerprint(of: content(#","cosignEnabled":\#(!isEnabled)"#), stores: [.oras])
        #expect(own != other)
    }
}
