import StrictJSON
import TestSupport
import Testing
import Verification

@testable import CountersignService
@testable import OCI

/// What depends on the type of a store, or of its credentials, in whatever case that is written.
@Suite struct StoreTypesTests {
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
        let fingerprint = ConfigurationBuilder.fingerprint(of: [1], try configuration(type))
        #expect((fingerprint != nil) == isShared)
    }

    @Test(arguments: ["oci-layout", "OCI-Layout"])
    func aResourceOfADirectoryIsNotShared(_ type: String) throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        _ = try ImageLayout(directory: directory.path("layout"), create: true)
        let store = try Samples.resource(
            .store, "store-oras",
            ["name": .string(type), "parameters": ["path": .string(directory.path("layout"))]])
        let board = Samples.board(try Samples.cluster().filter { $0.id.kind != .store } + [store])
        let snapshot = try #require(board.snapshot()).get()
        #expect(snapshot.stores.map(\.transport) == [nil] && snapshot.fingerprint == nil)
    }

    /// What the pod has may belong to the whole cluster: over plain HTTP a namespace's store goes without it.
    @Test(arguments: ["dockerConfig", "DockerConfig", "DOCKERCONFIG"])
    func aNamespacesStoreShowsNoCredentialsOfThePod(_ name: String) throws {
        func credentials(_ namespace: String?, useHttp: Bool) throws -> any RegistryCredentials {
            var warnings: [String] = []
            let store = try Samples.builder.store(
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
}
