import Foundation
import OCI
import StrictJSON
import TestSupport
import Testing

/// What lasts until somebody mends it is not called passing: exit status 2, and no advice to ask again. It never
/// admits.
@Suite struct LastingFaultTests {
    @Test func filesAndProgramsThatAreMissing() async throws {
        let files = try CommandFiles()
        defer { files.remove() }
        let signers = try Signers.shared.get()
        files.directory.write(#"{"credsStore":"gone"}"#, to: "helper.json")
        files.directory.write("{", to: "half.json")
        files.directory.write("a text\n", to: "docker-credential-text")
        files.directory.write(#"{"credsStore":"text"}"#, to: "text.json")
        try FileManager.default.setAttributes(
            [.posixPermissions: 0o644], ofItemAtPath: files.path("docker-credential-text"))
        var configuration = ConfigurationText()
        configuration.providers = [["name": "release-ca", "type": "files", "paths": ["/nowhere/at/all.pem"]]]
        files.directory.write(configuration.json.bytes, to: "unread.json")
        try await withRegistry { registry in
            let app = try Repository("\(registry.endpoint)/app")
            try await app.push("signed", signedBy: signers.release)
            for (options, words) in [
                (files.trust + ["--registry-config", files.path("none.json")], "none.json"),
                (files.trust + ["--registry-config", files.path("half.json")], "half.json"),
                (files.trust + ["--registry-config", files.path("helper.json")], "docker-credential-gone"),
                (files.trust + ["--registry-config", files.path("text.json")], "docker-credential-text"),
                (["--trust-policy", files.path("policy.json"), "--trust-store", "/nowhere"], "ca:release"),
                (["--config", files.path("unread.json")], "/nowhere/at/all.pem"),
            ] {
                let run = try await Command.run(
                    ["verify", app.name("signed"), "-o", "json"] + options,
                    environment: ["PATH": "\(files.directory.path):/usr/bin:/bin"])
                #expect(run.status == 2, "\(options): \(run)")
                #expect(run.json["verified"] == false && run.json["determined"] == false, "\(options): \(run)")
                #expect(run.json["error"]?.string?.contains(words) == true, "\(options): \(run)")
                #expect(!run.output.lowercased().contains("ask again"), "\(options): \(run)")
                #expect(run.json["remediation"]?.string?.contains("Mend") == true, "\(options): \(run)")
            }
            let resolved = try await Command.run(
                ["resolve", app.name("signed"), "--registry-config", files.path("helper.json")])
            #expect(resolved.status == 2 && resolved.errors.contains("docker-credential-gone"), "\(resolved)")
        }
        let certificates = try await Command.run(["certificates", "-c", files.path("unread.json")])
        #expect(certificates.status == 2, "\(certificates)")
    }

    /// What would be useless later is refused when the configuration is read, by name.
    @Test func uselessConfigurationIsRefusedAtOnce() async throws {
        let files = try CommandFiles()
        defer { files.remove() }
        let good = try ConfigurationText.trustingRelease()
        func changed(_ change: (inout ConfigurationText) -> Void) -> ConfigurationText {
            var text = good
            change(&text)
            return text
        }
        func vault(_ address: String) -> ConfigurationText {
            changed {
                $0.providers = [
                    [
                        "name": "release-ca", "type": "azurekeyvault", "vaultURI": .string(address),
                        "certificates": [["name": "release"]],
                    ]
                ]
            }
        }
        let statements: [(JSONValue, String)] =
            ["r.example/app:v1", "r.example/app/", "r.example", "https://r.example/app", "r.example/app@sha256:00"].map
        {
            (ConfigurationText.statement(scopes: [$0]), "registry scope")
        } + [
            (ConfigurationText.statement(identities: ["x509.subject: C=US, O=acme"]), "has no ST"),
            (ConfigurationText.statement(identities: [""]), "trusted identity is empty"),
        ]
        var cases = statements.map { statement, words in (changed { $0.trustPolicies = [statement] }, words) }
        cases += ["hello", "MIIB", ""].map { (ConfigurationText.trusting($0), "release-ca") }
        cases += [
            ("https://v.vault.azure.net/certificates/x", "address alone"), ("http://v.vault.azure.net", "https"),
            ("https://v.vault.azure.net?x=1", "address alone"), ("v", "vaultURI"),
        ].map { (vault($0), $1) }
        for (configuration, words) in cases {
            let path = files.directory.write(configuration.json.bytes, to: "useless.json")
            let run = try await Command.run(
                ["certificates", "-c", path, "--timeout", "1"],
                environment: [
                    "AZURE_FEDERATED_TOKEN_FILE": "/nowhere", "AZURE_CLIENT_ID": "11111111-1111-1111-1111-111111111111",
                    "AZURE_TENANT_ID": "11111111-1111-1111-1111-111111111111",
                ])
            #expect(run.status == 2 && run.output.isEmpty && run.errors.contains(words), "\(words): \(run)")
        }
    }

    /// A helper that is there and fails may well work in a moment.
    @Test func aHelperThatFailsMayPass() async throws {
        let files = try CommandFiles()
        defer { files.remove() }
        let helper = files.directory.write("#!/bin/sh\nexit 7\n", to: "docker-credential-bad")
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: helper)
        files.directory.write(#"{"credsStore":"bad"}"#, to: "bad.json")
        let run = try await Command.run(
            ["verify", "registry.example/app:v1", "--registry-config", files.path("bad.json")] + files.trust,
            environment: ["PATH": "\(files.directory.path):/usr/bin:/bin"])
        #expect(run.status == 3 && run.output.contains("Ask again"), "\(run)")
    }

    /// The service denies, keeps nothing, and admits as soon as the file is there.
    @Test func theServiceDeniesUntilTheFileIsThere() async throws {
        let files = try CommandFiles()
        defer { files.remove() }
        var configuration = try ConfigurationText.trustingRelease()
        configuration.stores = [ConfigurationText.registries(dockerConfig: files.path("docker.json"))]
        try await withRegistry { registry in
            let app = try Repository("\(registry.endpoint)/app")
            try await app.push("signed", signedBy: try Signers.shared.get().release)
            try await withService(configuration) { service in
                let key = app.name("signed")
                let denied = try await service.verify(key)
                expectFault(denied, key, "until this is mended", "docker.json")
                #expect(!denied.text.contains("ask again"), "\(denied)")
                files.directory.write("{}", to: "docker.json")
                expectAdmitted(try await service.verify(key))
            }
        }
    }
}
