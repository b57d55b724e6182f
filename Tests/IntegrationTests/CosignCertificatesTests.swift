import Foundation
import StrictJSON
import TestSupport
import Testing

/// `countersign certificates` of configurations with cosign's verifiers.
@Suite struct CosignCertificatesTests {
    private let images: SigstoreImages

    init() throws { images = try SigstoreImages.made.get() }

    private var pem: String {
        get throws { try String(contentsOfFile: images.path("images/keys/cosign.pub"), encoding: .utf8) }
    }

    private func run(
        _ providers: [JSONValue], _ policies: [JSONValue], _ arguments: String...
    ) async throws -> Command.Outcome {
        var configuration = ConfigurationText()
        configuration.stores = [["name": "oras", "cosignEnabled": true]]
        configuration.providers = providers
        configuration.verifiers = [
            [
                "name": "cosign", "artifactTypes": "application/vnd.dev.cosign.artifact.sig.v1+json",
                "trustPolicies": .array(policies),
            ]
        ]
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let path = directory.write(configuration.json.bytes, to: "config.json")
        return try await Command.run(["certificates", "-c", path] + arguments)
    }

    private func keyless(_ identity: (String, String), root: String? = nil) -> JSONValue {
        var policy: JSONObject = [
            "name": "builds", "scopes": ["registry.example.com/builds/*"],
            "keyless": [
                identity.0: .string(identity.1), "certificateOIDCIssuer": "https://token.actions.githubusercontent.com",
                "extensions": ["sourceRepositoryRef": "refs/heads/main"],
            ],
        ]
        if let root { policy["trustedRoot"] = .string(root) }
        return .object(policy)
    }

    @Test func identitiesKeysAndRoots() async throws {
        let root = try StrictJSON.parse(Array(try Data(contentsOf: URL(filePath: images.trustedRoot))))
        let providers: [JSONValue] = [
            ["name": "release-key", "type": "inline", "contentType": "key", "value": .string(try pem)],
            ["name": "own", "type": "sigstore", "trustedRoot": .string(root.text)],
        ]
        let policies: [JSONValue] = [
            [
                "name": "releases", "scopes": ["*"], "keys": [["provider": "release-key"]],
                "annotations": ["stage": "prod"],
            ],
            keyless(("certificateIdentity", "https://github.com/example/app"), root: "own"),
        ]
        let json = try await run(providers, policies, "-o", "json")
        #expect(json.status == 0 && json.json["ok"] == true && json.json["warnings"] == [], "\(json)")
        let shown = try #require(json.json["cosign"]?["policies"]?.array)
        #expect(shown.map { $0["name"] } == ["releases", "builds"])
        let key = try #require(shown[0]["keys"]?.array?.first)
        #expect(key["provider"] == "release-key" && key["kind"] == "EC P-256", "\(json)")
        #expect(key["fingerprint"]?.string?.utf8.count == 64)
        #expect(shown[0]["scopes"] == ["*"] && shown[0]["annotations"] == ["stage": "prod"])
        #expect(shown[0]["trustedRoot"] == .null && shown[0]["tLogThreshold"] == 1)
        let identity = try #require(shown[1]["identities"]?.array?.first)
        #expect(identity["certificateIdentity"] == "https://github.com/example/app")
        #expect(identity["extensions"] == ["sourceRepositoryRef": "refs/heads/main"] && identity["warnings"] == [])
        #expect(shown[1]["trustedRoot"] == "own")

        let roots = try #require(json.json["cosign"]?["trustedRoots"]?.array)
        #expect(roots.map { $0["provider"] } == ["own", .null], "\(json)")
        #expect(roots[0]["usedBy"] == ["builds of cosign"] && roots[1]["usedBy"] == ["releases of cosign"])
        for root in roots {
            for kind in ["certificateAuthorities", "certificateLogs", "transparencyLogs", "timestampAuthorities"] {
                let parts = try #require(root[kind]?.array)
                #expect(parts.contains { $0["isCurrent"] == true }, "\(kind) of \(root)")
                #expect(parts.allSatisfy { $0["notBefore"]?.string?.hasSuffix("Z") == true })
            }
        }
        // What ended long ago is not current, and nothing to warn of.
        #expect(roots[1]["certificateAuthorities"]?.array?.contains { $0["isCurrent"] == false } == true, "\(json)")

        let table = try await run(providers, policies)
        #expect(table.status == 0, "\(table)")
        for words in [
            "cosign trust policy releases of cosign", "of release-key", "https://rekor.sigstore.dev",
            "\"https://github.com/example/app\"", "sourceRepositoryRef \"refs/heads/main\"",
            "trusted root own", "compiled in", "timestamp authority ", "1 certificate transparency log",
        ] { #expect(table.output.contains(words), "\(words): \(table)") }
        #expect(!table.output.contains("warning") && !table.output.contains("nothing is trusted"), "\(table)")
    }

    @Test func expressionsThatMatchAnybodyAreWarnedOf() async throws {
        for pattern in [".*", "^.*$"] {
            let run = try await run([], [keyless(("certificateIdentityRegExp", pattern))], "-o", "json")
            #expect(run.status == 0, "\(run)")
            #expect(
                run.json["warnings"]?.array?.contains { $0.string?.contains("matches anything") == true } == true,
                "\(run)")
        }
        let narrow = try await run(
            [], [keyless(("certificateIdentityRegExp", #"https://github\.com/example/.*"#))])
        #expect(narrow.status == 0 && !narrow.output.contains("warning"), "\(narrow)")
        #expect(narrow.output.contains("the expression"), "\(narrow)")
    }

    @Test func whatEndsSoonAndWhatHasEnded() async throws {
        var root = try StrictJSON.parse(Array(try Data(contentsOf: URL(filePath: images.trustedRoot))))
        func ending(_ date: Date) throws -> JSONValue {
            var log = try #require(root["ctlogs"]?.array?.first?.object)
            var key = try #require(log["publicKey"]?.object)
            key["validFor"] = ["start": "2025-01-01T00:00:00Z", "end": .string(date.formatted(.iso8601))]
            log["publicKey"] = .object(key)
            var object = try #require(root.object)
            object["ctlogs"] = [.object(log)]
            root = .object(object)
            return ["name": "own", "type": "sigstore", "trustedRoot": .string(root.text)]
        }
        let policies = [keyless(("certificateIdentity", "https://github.com/example/app"), root: "own")]
        let soon = [try ending(Date(timeIntervalSinceNow: 20 * 86_400 + 3600))]
        let warned = try await run(soon, policies)
        #expect(warned.status == 0, "\(warned)")
        #expect(warned.output.contains("its last certificate transparency log ends at"), "\(warned)")
        #expect(warned.output.contains("20 days from now"), "\(warned)")
        let later = try await run(soon, policies, "--warn", "10d")
        #expect(later.status == 0 && !later.output.contains("warning"), "\(later)")

        let gone = [try ending(Date(timeIntervalSinceNow: -86_400))]
        let lacking = try await run(gone, policies, "-o", "json")
        #expect(lacking.status == 1 && lacking.json["ok"] == false, "\(lacking)")
        #expect(
            lacking.json["warnings"]?.array?.contains {
                $0.string?.contains("no certificate transparency log any more") == true
            } == true, "\(lacking)")
    }

    @Test func aKeyThatIsNotThereIsAProblem() async throws {
        let providers: [JSONValue] = [
            ["name": "release-key", "type": "inline", "contentType": "key", "value": .string(try pem)]
        ]
        let run = try await run(
            providers,
            [["name": "releases", "scopes": ["*"], "keys": [["provider": "release-key", "name": "another"]]]], "-o",
            "json")
        #expect(run.status == 1 && run.json["ok"] == false, "\(run)")
        let policy = try #require(run.json["cosign"]?["policies"]?.array?.first)
        #expect(policy["keys"] == [] && policy["problems"]?.array?.first?.string?.contains("another") == true, "\(run)")
    }
}
