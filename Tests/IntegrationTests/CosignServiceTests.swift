import CustomResources
import OCI
import Sigstore
import StrictJSON
import TestSupport
import Testing

/// cosign's signatures in `countersign serve`, with a real registry: both forms, beside Notation's, and in a cluster.
@Suite struct CosignServiceTests {
    static let attestation = "https://slsa.dev/provenance/v1"

    private func verifier(_ policies: JSONValue...) -> JSONValue {
        [
            "name": "cosign", "artifactTypes": .string(CosignMediaType.signatureArtifact),
            "trustPolicies": .array(policies),
        ]
    }

    private func byKey(_ scope: String = "*", provider: String = "release-key") -> JSONValue {
        [
            "name": "default", "scopes": [.string(scope)], "keys": [["provider": .string(provider)]],
            "tLogVerify": false,
        ]
    }

    @Test(arguments: ["any", "all"]) func bothForms(_ rule: String) async throws {
        let files = try CommandFiles()
        defer { files.remove() }
        try await withRegistry { registry in
            let release = try CosignTestSigner()
            let stranger = try CosignTestSigner()
            let app = try Repository("\(registry.endpoint)/app")
            func image(_ tag: String) async throws -> Descriptor { try await app.push(tag, content: tag) }
            try await release.sign(try await image("layer"), in: app)
            try await release.attach(try await image("bundle"), in: app)
            _ = try await image("unsigned")
            try await stranger.sign(try await image("foreign"), in: app)
            try await stranger.attach(try await image("foreign-bundle"), in: app)
            try await release.attach(try await image("attested"), in: app, predicateType: Self.attestation)
            let both = try await image("attested-and-signed")
            try await release.attach(both, in: app, predicateType: Self.attestation)
            try await release.sign(both, in: app)
            let copied = try await image("copied")
            try await CosignTestSigner.push([try release.layer(both)], for: copied, in: app)
            let mixed = try await image("mixed")
            try await CosignTestSigner.push(
                [try release.layer(mixed), try stranger.layer(mixed, annotations: ["n": 1])], for: mixed, in: app)

            var configuration = ConfigurationText()
            configuration.stores = [["name": "oras", "cosignEnabled": true]]
            configuration.providers = [
                ["name": "release-key", "type": "inline", "contentType": "key", "value": .string(release.pem)]
            ]
            configuration.verifiers = [verifier(byKey())]
            configuration.policies = .object([CosignMediaType.signatureArtifact: .string(rule)])
            files.directory.write(configuration.json.bytes, to: "config.json")
            let tls = try ServingFiles(in: files.directory)
            let process = try await ServeProcess(config: files.path("config.json"), tls: tls)
            func ask(_ key: String) async throws -> Answer {
                Answer(
                    try await TestClient.post(port: process.port, tls.gatekeeper, body: TestClient.request([key])),
                    asked: [key])
            }
            for tag in ["layer", "bundle", "attested-and-signed", "mixed"] {
                let answer = try await ask(app.name(tag))
                expectAdmitted(answer)
                let report = try #require(answer.reports().first)
                #expect(report["verifierType"] == "cosign" && report["extensions"]?["trustPolicy"] == "default")
                let verification = report["extensions"]?["signatures"]?.array?.first?["verifications"]?.array?.first
                #expect(verification?["keyInformation"]?["provider"] == "release-key")
            }
            for tag in ["unsigned", "attested"] {
                expectDenied(try await ask(app.name(tag)), nil, "no signature is associated with")
            }
            for tag in ["foreign", "foreign-bundle"] {
                expectDenied(try await ask(app.name(tag)), nil, "is not by the signing key")
            }
            expectDenied(try await ask(app.name("copied")), nil, "made for another image")
            // By digest: the same.
            expectAdmitted(try await ask(app.name(mixed)))
            expectDenied(try await ask(app.name(copied)))
            process.signal(15)
            #expect(await process.ended() == 0, "\(process.log)")
        }
    }

    /// Neither verifier speaks for the other: an image needs both.
    @Test func besideNotation() async throws {
        let files = try CommandFiles()
        defer { files.remove() }
        try await withRegistry { registry in
            let release = try CosignTestSigner()
            let signers = try Signers.shared.get()
            let app = try Repository("\(registry.endpoint)/app")
            try await app.push("notation", signedBy: signers.release)
            try await release.sign(try await app.push("cosign", content: "cosign"), in: app)
            let both = try await app.push("both", signedBy: signers.release)
            try await release.attach(both, in: app)

            var configuration = try ConfigurationText.trustingRelease()
            configuration.stores = [["name": "oras", "cosignEnabled": true]]
            configuration.providers.append(
                ["name": "release-key", "type": "inline", "contentType": "key", "value": .string(release.pem)])
            configuration.verifiers = [
                configuration.verifier("notation", [ConfigurationText.statement()]), verifier(byKey()),
            ]
            configuration.policies = ["default": "all"]
            files.directory.write(configuration.json.bytes, to: "config.json")
            let tls = try ServingFiles(in: files.directory)
            let process = try await ServeProcess(config: files.path("config.json"), tls: tls)
            func ask(_ tag: String) async throws -> Answer {
                let key = app.name(tag)
                return Answer(
                    try await TestClient.post(port: process.port, tls.gatekeeper, body: TestClient.request([key])),
                    asked: [key])
            }
            expectAdmitted(try await ask("both"))
            expectDenied(try await ask("notation"), nil, "no signature is associated with", "\"cosign\"")
            expectDenied(try await ask("cosign"), nil, "no signature is associated with", "\"notation\"")
            process.signal(15)
            #expect(await process.ended() == 0, "\(process.log)")
        }
    }

    /// From `kubectl apply` to verdict and status, in whatever order resources come.
    @Test func customResources() async throws {
        try await withResources { cluster, app, services in
            let service = services[0]
            let release = try CosignTestSigner()
            let team = try CosignTestSigner()
            try await release.sign(try await app.push("cosign", content: "cosign"), in: app)
            try await team.sign(try await app.push("team", content: "team"), in: app)
            cluster.apply(.store, "store-oras", ["name": "oras", "parameters": ["cosignEnabled": true]])
            cluster.apply(
                .policy, "ratify-policy",
                ["type": "config-policy", "parameters": ["artifactVerificationPolicies": ["default": "any"]]])
            func apply(_ policy: JSONValue, in namespace: String? = nil) {
                cluster.apply(
                    namespace == nil ? .verifier : .namespacedVerifier, "verifier-cosign",
                    [
                        "name": "cosign", "artifactTypes": .string(CosignMediaType.signatureArtifact),
                        "parameters": ["trustPolicies": [policy]],
                    ], in: namespace)
            }
            func applyKey(_ name: String, _ signer: CosignTestSigner, in namespace: String? = nil) {
                cluster.apply(
                    namespace == nil ? .keyManagementProvider : .namespacedKeyManagementProvider, name,
                    ["type": "inline", "parameters": ["contentType": "key", "value": .string(signer.pem)]],
                    in: namespace)
            }
            apply(byKey())
            #expect(
                try await cluster.has(.verifier, "verifier-cosign", error: "no key management provider has that name"))
            let key = app.name("cosign")
            expectFault(try await service.verify(key), nil, "release-key")
            applyKey("release-key", release)
            expectAdmitted(try await service.verify(key) { $0.admits() })
            #expect(try await cluster.has(.verifier, "verifier-cosign"))
            expectDenied(try await service.verify(app.name("team")), nil, "another key signed")
            // A scope that fits nothing refuses, and a policy that is wrong leaves the former one in force.
            apply(byKey("other.example/*"))
            expectDenied(try await service.verify(key) { $0.denies() }, nil, "no trust policy has a scope")
            apply(byKey("nginx*"))
            #expect(try await cluster.has(.verifier, "verifier-cosign", error: "docker.io/library/nginx*"))
            apply(byKey())
            expectAdmitted(try await service.verify(key) { $0.admits() })
            // A team's own verifier takes its own keys, by the namespace in front, and no files of the pod.
            apply(byKey(provider: "team-a/team-key"), in: "team-a")
            applyKey("team-key", team, in: "team-a")
            let own = "[team-a]\(app.name("team"))"
            expectAdmitted(try await service.verify(own) { $0.admits() })
            expectDenied(try await service.verify("[team-a]\(key)"))
            cluster.apply(
                .namespacedVerifier, "verifier-cosign",
                [
                    "name": "cosign", "artifactTypes": .string(CosignMediaType.signatureArtifact),
                    "parameters": ["key": "/usr/local/ratify-certs/cosign/cosign.pub"],
                ], in: "team-b")
            #expect(
                try await cluster.has(
                    .namespacedVerifier, "verifier-cosign", in: "team-b", error: "only a resource of the cluster may"))
        }
    }
}
