import PKI
import StrictJSON
import TestSupport
import Testing

@testable import CustomResources

/// Verifiers of cosign's signatures as resources: those that Ratify v1.4.4 has as samples and tests with, and what is
/// missing where they name providers.
@Suite struct CosignResourcesTests {
    private static let type = "application/vnd.dev.cosign.artifact.sig.v1+json"
    private let cluster = ResourceID(.verifier, "verifier-cosign")
    private let team = ResourceID(.namespacedVerifier, "verifier-cosign", namespace: "team-a")

    private func verifier(_ parameters: JSONValue, in namespace: String? = nil) throws -> CustomResource {
        try Samples.resource(
            namespace == nil ? .verifier : .namespacedVerifier, "verifier-cosign",
            ["name": "cosign", "artifactTypes": .string(Self.type), "parameters": parameters], namespace: namespace)
    }

    private func key(_ name: String, in namespace: String? = nil) throws -> CustomResource {
        let key = try PrivateKey.generate(.ec(.p256))
        let pem = PEM(label: "PUBLIC KEY", der: key.publicKey.spkiDER).text
        return try Samples.resource(
            namespace == nil ? .keyManagementProvider : .namespacedKeyManagementProvider, name,
            ["type": "inline", "parameters": ["contentType": "key", "value": .string(pem)]], namespace: namespace)
    }

    private func board(_ resources: CustomResource...) throws -> ResourceBoard {
        let store = try Samples.resource(
            .store, "store-oras",
            ["name": "oras", "parameters": ["cosignEnabled": true, "cacheEnabled": true, "ttl": 10]])
        return Samples.board([store, try Samples.policy()] + resources)
    }

    private static func byKey(_ provider: String) -> JSONValue {
        [
            "trustPolicies": [
                [
                    "name": "default", "version": "1.0.0", "scopes": ["*"], "keys": [["provider": .string(provider)]],
                    "tLogVerify": false,
                ]
            ]
        ]
    }

    @Test func samplesThatLoad() throws {
        let inline = try board(
            try key("ratify-cosign-inline-key-0"), try verifier(Self.byKey("ratify-cosign-inline-key-0")))
        #expect(inline.error(cluster) == "" && inline.reason() == "")
        #expect(inline.warnings.isEmpty, "\(inline.warnings)")
        let namespaced = try board(
            try key("ratify-cosign-inline-key-0", in: "team-a"),
            try verifier(Self.byKey("team-a/ratify-cosign-inline-key-0"), in: "team-a"))
        #expect(namespaced.error(team) == "" && namespaced.reason("team-a") == "")
        let keyless = try board(
            try verifier([
                "trustPolicies": [
                    [
                        "name": "default", "scopes": ["*"],
                        "keyless": [
                            "certificateIdentity": "somebody@example.com",
                            "certificateOIDCIssuer": "https://github.com/login/oauth",
                        ],
                    ]
                ]
            ]))
        #expect(keyless.error(cluster) == "" && keyless.reason() == "")
        let older = try board(try verifier(["key": "/usr/local/ratify-certs/cosign/cosign.pub"]))
        #expect(older.reason() == "")
        // In force; the file that it names is not on this machine, which the status says.
        #expect(older.error(cluster).contains("key file /usr/local/ratify-certs/cosign/cosign.pub"))
    }

    @Test func samplesThatAreRefusedWithWhatToChange() throws {
        for namespace in [nil, "team-a"] {
            let board = try board(try verifier(["rekorURL": "https://rekor.sigstore.dev"], in: namespace))
            let error = board.error(namespace == nil ? cluster : team)
            #expect(
                error.contains("anybody with an e-mail address may sign") && error.contains("\"keyless\""), "\(error)")
            #expect(board.reason(namespace) != "")
        }
        let file = try board(try verifier(["key": "/usr/local/ratify-certs/cosign/cosign.pub"], in: "team-a"))
        #expect(file.error(team).contains("only a resource of the cluster may"))
        let keys: JSONValue = [
            "trustPolicies": [
                ["name": "default", "scopes": ["*"], "keys": [["file": "/etc/cosign.pub"]], "tLogVerify": false]
            ]
        ]
        #expect(try board(try verifier(keys, in: "team-a")).error(team).contains("only a resource of the cluster may"))
    }

    /// A namespace's providers are named with it; those of another one are not there for it.
    @Test func providersOfNamespaces() throws {
        var board = try board(
            try verifier(Self.byKey("team-key"), in: "team-a"), try key("team-key", in: "team-a"),
            try key("team-key", in: "team-b"))
        #expect(board.error(team).contains("\"team-key\", and no key management provider has that name"))
        #expect(board.error(team).contains("team-a/NAME"))
        board.apply(try verifier(Self.byKey("team-b/team-key"), in: "team-a"))
        #expect(board.error(team).contains("\"team-b/team-key\""))
        board.apply(try verifier(Self.byKey("team-a/team-key"), in: "team-a"))
        #expect(board.error(team) == "")
    }

    /// A provider that is there and of another kind, and a key that it does not have.
    @Test func providersThatAreOfNoUse() throws {
        var board = try board(try Samples.provider("ca"), try verifier(Self.byKey("ca")))
        #expect(board.error(cluster).contains("holds certificates only"))
        board.apply(
            try key("keys"),
            try verifier([
                "trustPolicies": [
                    [
                        "name": "default", "scopes": ["*"], "keys": [["provider": "keys", "name": "release"]],
                        "tLogVerify": false,
                    ]
                ]
            ]))
        #expect(board.error(cluster).contains("has no key release in force"))
        board.apply(
            try verifier([
                "trustPolicies": [
                    [
                        "name": "default", "scopes": ["*"], "trustedRoot": "keys",
                        "keyless": [
                            "certificateIdentity": "a@example.com", "certificateOIDCIssuer": "https://a.example",
                        ],
                    ]
                ]
            ]))
        #expect(board.error(cluster).contains("name one of type sigstore"))
    }

    @Test func aStoreThatDoesNotLookForTags() throws {
        let board = Samples.board([
            try Samples.store(), try Samples.policy(), try key("keys"), try verifier(Self.byKey("keys")),
        ])
        #expect(board.warnings.contains { $0.contains("verifier-cosign") && $0.contains("cosignEnabled") })
    }
}
