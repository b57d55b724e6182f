import ConfigurationModel
import CosignVerifier
import Logging
import ServiceMetrics
import Sigstore
import StrictJSON
import Testing
import Verification

@testable import CountersignService

/// What a configuration may say of cosign's signatures, and what it is refused for.
@Suite struct CosignConfigurationTests {
    private let builder = ConfigurationBuilder(
        metrics: MetricsRegistry(), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, environment: [:])

    private static let key = """
        -----BEGIN PUBLIC KEY-----
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE7vGrVI3Hw16xadXjmaWy1H+Z3TTh
        OVREhgtmqwQ20ZGIcSyxjeRRhRwSS6QKnq0Zmfb9zi+XWvQhfUxYtTy85g==
        -----END PUBLIC KEY-----

        """

    private func build(_ verifier: JSONObject, store: JSONObject = [:]) throws -> BuiltConfiguration {
        var store = store
        store["name"] = "oras"
        var verifier = verifier
        verifier["name"] = verifier["name"] ?? "cosign"
        let configuration: JSONValue = [
            "store": ["plugins": [.object(store)]], "verifier": ["plugins": [.object(verifier)]],
            "keyManagementProvider": [
                "plugins": [
                    ["name": "keys", "type": "inline", "contentType": "key", "value": .string(Self.key)]
                ]
            ],
        ]
        return try builder.build(configuration.bytes, generation: 1)
    }

    /// Why a policy is refused; empty when it is not.
    private func refusal(_ change: (inout JSONObject) -> Void) -> String {
        var policy: JSONObject = [
            "name": "default", "scopes": ["*"], "keys": [["provider": "keys"]], "tLogVerify": false,
        ]
        change(&policy)
        do {
            _ = try build(["trustPolicies": [.object(policy)]])
            return ""
        } catch { return "\(error)" }
    }

    private func keyless(_ members: JSONObject) -> (inout JSONObject) -> Void {
        { policy in
            policy["keys"] = nil
            policy["tLogVerify"] = nil
            policy["keyless"] = .object(members)
        }
    }

    private static let identity: JSONObject = [
        "certificateIdentity": "release@example.com", "certificateOIDCIssuer": "https://issuer.example",
    ]

    private func policies(_ built: BuiltConfiguration) throws -> [CosignTrustPolicy] {
        try #require(built.snapshot.verifiers.first as? CosignVerifier).policies
    }

    // MARK: What Ratify's users have

    /// The facts of Ratify's samples at v1.4.4: those that say who may sign are in force as they are.
    @Test func samplesOfRatify() throws {
        let byKey = try build(
            [
                "artifactTypes": "application/vnd.dev.cosign.artifact.sig.v1+json",
                "trustPolicies": [
                    [
                        "name": "default", "version": "1.0.0", "scopes": ["*"], "keys": [["provider": "keys"]],
                        "tLogVerify": false,
                    ]
                ],
            ], store: ["cosignEnabled": true])
        #expect(byKey.warnings.isEmpty, "\(byKey.warnings)")
        let policy = try #require(try policies(byKey).first)
        #expect(policy.name == "default" && policy.scopes.isEmpty && policy.thresholds.logs == 0)
        #expect(byKey.snapshot.verifiers.first?.type == "cosign")
        let keyless = try build(
            [
                "artifactTypes": "application/vnd.dev.cosign.artifact.sig.v1+json",
                "trustPolicies": [
                    [
                        "name": "default", "scopes": ["*"],
                        "keyless": [
                            "certificateIdentity": "somebody@example.com",
                            "certificateOIDCIssuer": "https://github.com/login/oauth",
                        ],
                    ]
                ],
            ], store: ["cosignEnabled": true])
        #expect(keyless.warnings.isEmpty, "\(keyless.warnings)")
        #expect(try policies(keyless).first?.thresholds == CosignTrustPolicy.Thresholds())
        // The older form with a key: no log is asked for.
        let older = try build(["key": "/etc/countersign/absent/cosign.pub"], store: ["cosignEnabled": true])
        #expect(try policies(older).first?.thresholds.logs == 0)
        #expect(older.warnings.contains { $0.contains("/etc/countersign/absent/cosign.pub") })
        let logged = try build(
            ["key": "/etc/countersign/absent/cosign.pub", "rekorURL": "https://rekor.sigstore.dev"],
            store: ["cosignEnabled": true])
        #expect(try policies(logged).first?.thresholds.logs == 1)
        // The older form without one admits whoever has an e-mail address.
        let error = #expect(throws: ConfigurationError.self) { try build(["rekorURL": "https://rekor.sigstore.dev"]) }
        #expect(error?.description.contains("anybody with an e-mail address") == true)
        #expect(error?.description.contains("certificateOIDCIssuer") == true)
    }

    // MARK: What it has beside

    @Test func everyMember() throws {
        let built = try build(
            [
                "name": "verifier-cosign", "type": "COSIGN",
                "trustPolicies": [
                    [
                        "name": "github", "scopes": ["ghcr.io/organisation/*", "registry.example/app:v1"],
                        "keyless": [
                            "identities": [
                                [
                                    "certificateIdentityRegExp": "https://github\\.com/organisation/.*",
                                    "certificateOIDCIssuer": "https://token.actions.githubusercontent.com",
                                    "extensions": ["sourceRepositoryRefRegExp": "refs/tags/v[0-9.]+"],
                                ], .object(Self.identity),
                            ], "extensions": ["runnerEnvironment": "github-hosted"], "ctLogVerify": true,
                        ], "rekorURL": "https://rekor.sigstore.dev", "annotations": ["stage": "release"],
                        "tLogThreshold": 1, "ctLogThreshold": 1, "timestampThreshold": 1, "signatureThreshold": 2,
                    ],
                    [
                        "name": "keys", "scopes": ["*"], "tLogVerify": "false",
                        "keys": [["provider": "keys"], ["file": "/etc/countersign/absent.pub"]],
                    ],
                ],
            ], store: ["cosignEnabled": true])
        let policies = try policies(built)
        guard case .identities(let identities) = policies[0].signers else { throw CancellationError() }
        #expect(identities.count == 2)
        #expect(identities[0].extensions.count == 2 && identities[1].extensions.count == 1)
        #expect(identities[1].extensions[.runnerEnvironment] == .exactly("github-hosted"))
        #expect(policies[0].annotations == ["stage": "release"] && policies[0].thresholds.signatures == 2)
        #expect(policies[0].logURL == "https://rekor.sigstore.dev" && policies[0].thresholds.timestamps == 1)
        guard case .keys(let keys) = policies[1].signers else { throw CancellationError() }
        #expect(keys == [.provider("keys", name: nil, version: nil), .file("/etc/countersign/absent.pub")])
        #expect(built.snapshot.verifiers.first?.name == "verifier-cosign")
    }

    // MARK: What is refused

    @Test func whatCannotBe() {
        let refused: [(String, (inout JSONObject) -> Void)] = [
            ("[0].name", { $0["name"] = "" }),
            ("only \"1.0.0\"", { $0["version"] = "2.0.0" }),
            ("[0].scopes", { $0["scopes"] = [] }),
            ("alone in its policy", { $0["scopes"] = ["*", "ghcr.io/a/*"] }),
            ("[0].scopes has \"nginx*\"", { $0["scopes"] = ["nginx*"] }),
            ("neither keys nor keyless", { $0["keys"] = nil }),
            ("both keys and keyless", { $0["keyless"] = .object(Self.identity) }),
            ("neither a provider nor a file", { $0["keys"] = [["name": "a"]] }),
            ("both a provider and a file", { $0["keys"] = [["provider": "keys", "file": "a"]] }),
            ("beside a file", { $0["keys"] = [["file": "a", "name": "b"]] }),
            ("version without a name", { $0["keys"] = [["provider": "keys", "version": "1"]] }),
            ("no key management provider has that name", { $0["keys"] = [["provider": "absent"]] }),
            ("no key management provider has that name", { $0["trustedRoot"] = "absent" }),
            ("tLogThreshold has no effect", { $0["tLogThreshold"] = 1 }),
            ("ctLogThreshold has no effect", { $0["ctLogThreshold"] = 1 }),
            ("signatureThreshold is 0", { $0["signatureThreshold"] = 0 }),
            ("timestampThreshold is 11", { $0["timestampThreshold"] = 11 }),
            ("annotations is", { $0["annotations"] = ["a"] }),
            (
                "has no transparency log there",
                { policy in
                    policy["tLogVerify"] = true
                    policy["rekorURL"] = "https://rekor.internal.example"
                }
            ),
            ("names nobody", keyless([:])),
            ("neither certificateOIDCIssuer", keyless(["certificateIdentity": "a"])),
            ("neither certificateIdentity", keyless(["certificateOIDCIssuer": "a"])),
            (
                "both certificateIdentity",
                { policy in
                    var identity = Self.identity
                    identity["certificateIdentityRegExp"] = "a"
                    keyless(identity)(&policy)
                }
            ),
            (
                "put it among them",
                { policy in
                    var identity = Self.identity
                    identity["identities"] = [.object(Self.identity)]
                    keyless(identity)(&policy)
                }
            ),
            ("is not an expression", keyless(["certificateIdentityRegExp": "(", "certificateOIDCIssuer": "a"])),
            (
                "known are",
                { policy in
                    var identity = Self.identity
                    identity["extensions"] = ["issuer": "a"]
                    keyless(identity)(&policy)
                }
            ),
            (
                "keep one of them",
                { policy in
                    var identity = Self.identity
                    identity["extensions"] = ["buildTrigger": "push", "buildTriggerRegExp": "push"]
                    keyless(identity)(&policy)
                }
            ),
            (
                "which keyless.extensions has too",
                { policy in
                    var identity = Self.identity
                    identity["extensions"] = ["buildTrigger": "push"]
                    keyless(["identities": [.object(identity)], "extensions": ["buildTrigger": "tag"]])(&policy)
                }
            ),
            (
                "there are fewer identities",
                { policy in
                    keyless(Self.identity)(&policy)
                    policy["signatureThreshold"] = 2
                }
            ),
            (
                "ctLogThreshold has no effect where keyless.ctLogVerify",
                { policy in
                    var identity = Self.identity
                    identity["ctLogVerify"] = false
                    keyless(identity)(&policy)
                    policy["ctLogThreshold"] = 1
                }
            ),
        ]
        #expect(refusal { _ in } == "")
        for (reason, change) in refused {
            let refusal = refusal(change)
            #expect(refusal.contains(reason), "\(reason): \(refusal)")
            #expect(refusal.hasPrefix("verifier.plugins[0].trustPolicies"), "\(refusal)")
        }
    }

    @Test func policiesThatDoNotFitTogether() throws {
        func policy(_ name: String, _ scope: String) -> JSONValue {
            ["name": .string(name), "scopes": [.string(scope)], "keys": [["provider": "keys"]], "tLogVerify": false]
        }
        for (second, place) in [(policy("a", "ghcr.io/b/*"), "[1].name"), (policy("b", "ghcr.io/a/b*"), "[1].scopes")] {
            let error = #expect(throws: ConfigurationError.self) {
                try build(["trustPolicies": [policy("a", "ghcr.io/a/*"), second]])
            }
            #expect(error?.path == "verifier.plugins[0].trustPolicies\(place)")
        }
        let both = #expect(throws: ConfigurationError.self) {
            try build(["trustPolicies": [policy("a", "*")], "key": "cosign.pub"])
        }
        #expect(both?.path == "verifier.plugins[0].key")
        #expect(throws: ConfigurationError.self) { try build(["trustPolicies": []]) }
    }

    // MARK: What is said

    @Test func warnings() throws {
        func warnings(_ change: (inout JSONObject) -> Void, store: JSONObject = ["cosignEnabled": true]) throws
            -> [String]
        {
            var policy: JSONObject = ["name": "default", "scopes": ["*"]]
            change(&policy)
            return try build(["trustPolicies": [.object(policy)]], store: store).warnings
        }
        let anybody = try warnings(
            keyless(["certificateIdentityRegExp": ".*", "certificateOIDCIssuer": "https://issuer.example"]))
        #expect(anybody.count == 1 && anybody[0].contains("matches anything"))
        let unlogged = try warnings { policy in
            keyless(Self.identity)(&policy)
            policy["tLogVerify"] = false
        }
        #expect(unlogged.count == 1 && unlogged[0].contains("timestamp"))
        let idle = try warnings { policy in
            policy["keys"] = [["provider": "keys"]]
            policy["tLogVerify"] = false
            policy["rekorURL"] = "https://rekor.internal.example"
        }
        #expect(idle.count == 1 && idle[0].contains("rekorURL has no effect"), "\(idle)")
        let unknown = try warnings { policy in
            policy["keys"] = [["provider": "keys", "colour": "red"]]
            policy["tLogVerify"] = false
            policy["size"] = 1
        }
        #expect(unknown.contains { $0.contains("trustPolicies[0].keys[0].colour is not known") })
        #expect(unknown.contains { $0.contains("trustPolicies[0].size is not known") })
        // Without the tag most signatures are not found.
        let unseen = try warnings({ keyless(Self.identity)(&$0) }, store: [:])
        #expect(unseen.count == 1 && unseen[0].contains("cosignEnabled"), "\(unseen)")
    }
}
