import Foundation
import OCI
import OCIRegistry
import StrictJSON
import TestSupport
import Testing

/// Whoever types `countersign` for `notation` gets the same verdict: notation's own folder, keys, flags and
/// environment.
@Suite struct NotationFolderTests {
    /// A folder of notation with a trust policy, a trust store and keys, and a layout with one good and one bad image.
    private struct Setting {
        let files: CommandFiles
        let app: Repository
        var layout: [String] { ["--oci-layout", files.path("layout")] }

        init() async throws {
            files = try CommandFiles()
            app = try Repository("registry.example/app", layout: files.path("layout"))
            try await app.push("signed", signedBy: try Signers.shared.get().release)
            try await app.push("unsigned", signedBy: nil)
            let policy = ConfigurationText.trustPolicy([ConfigurationText.statement()]).text
            let truststore = try Signers.shared.get().authority.certificate.pem
            for folder in ["given", "home/.config/notation", "xdg/notation"] {
                files.directory.write(policy, to: "\(folder)/trustpolicy.json")
                files.directory.write(truststore, to: "\(folder)/truststore/x509/ca/release/root.pem")
            }
        }

        func run(_ arguments: [String], _ environment: [String: String]) async throws -> Command.Outcome {
            try await Command.run(arguments, environment: environment)
        }

        func keys(_ text: String, in folder: String = "given") {
            files.directory.write(text, to: "\(folder)/signingkeys.json")
        }

        var keyList: String {
            let entries = ["release", "other"].map {
                #"{"name":"\#($0)","keyPath":"\#(files.path("\($0).key"))","certPath":"\#(files.path("\($0).chain"))"}"#
            }
            return
                #"{"default":"release","keys":[\#(entries.joined(separator: ",")),{"name":"vault","id":"https://v.example/keys/k/1","pluginName":"azure-kv"}]}"#
        }
    }

    @Test func verifyTakesPolicyAndStoreOfNotationsFolder() async throws {
        let setting = try await Setting()
        let files = setting.files
        defer { files.remove() }
        func verify(_ tag: String, _ environment: [String: String]) async throws -> Command.Outcome {
            try await setting.run(["verify", setting.app.name(tag)] + setting.layout, environment)
        }
        let places = [
            ["NOTATION_CONFIG": files.path("given")], ["HOME": files.path("home")],
            ["XDG_CONFIG_HOME": files.path("xdg")], ["HOME": files.path("home"), "NOTATION_CONFIG": ""],
        ]
        for place in places {
            for (tag, status) in [("signed", Int32(0)), ("unsigned", 1)] {
                let run = try await verify(tag, place)
                #expect(run.status == status, "\(place) \(tag): \(run)")
            }
        }
        // What is named goes first, and nothing is looked for elsewhere.
        for place in [
            ["HOME": files.path("home"), "NOTATION_CONFIG": files.path("nowhere")],
            ["HOME": files.path("home"), "XDG_CONFIG_HOME": files.path("nowhere")],
            ["HOME": files.path("home"), "XDG_CONFIG_HOME": "relative"], ["HOME": ""],
        ] {
            let run = try await verify("signed", place)
            #expect(run.status == 2 && run.output.isEmpty, "\(place): \(run)")
        }
        let nowhere = try await verify("signed", ["NOTATION_CONFIG": files.path("nowhere")])
        #expect(
            nowhere.errors.contains(files.path("nowhere")) && nowhere.errors.contains("--trust-policy"), "\(nowhere)")
    }

    @Test func theNewerPolicyFileGoesFirst() async throws {
        let setting = try await Setting()
        let files = setting.files
        defer { files.remove() }
        func verify() async throws -> Command.Outcome {
            try await setting.run(
                ["verify", setting.app.name("signed")] + setting.layout, ["NOTATION_CONFIG": files.path("given")])
        }
        let other = ConfigurationText.trustPolicy([ConfigurationText.statement(scopes: ["registry.example/other"])])
        files.directory.write(other.text, to: "given/trustpolicy.oci.json")
        let denied = try await verify()
        #expect(denied.status == 1, "\(denied)")
        files.directory.write("{", to: "given/trustpolicy.oci.json")
        let broken = try await verify()
        #expect(broken.status == 2 && broken.errors.contains("trustpolicy.oci.json"), "\(broken)")
        // "Symlinks are not supported": no fall back to the other file either.
        try FileManager.default.removeItem(atPath: files.path("given/trustpolicy.oci.json"))
        try FileManager.default.createSymbolicLink(
            atPath: files.path("given/trustpolicy.oci.json"), withDestinationPath: files.path("given/trustpolicy.json"))
        let link = try await verify()
        #expect(link.status == 2 && link.errors.contains("not a regular file"), "\(link)")
    }

    @Test func signTakesKeysOfTheList() async throws {
        let setting = try await Setting()
        let files = setting.files
        defer { files.remove() }
        let environment = ["NOTATION_CONFIG": files.path("given")]
        setting.keys(setting.keyList)
        func sign(_ options: String...) async throws -> Command.Outcome {
            try await setting.run(
                ["sign", setting.app.name("unsigned"), "-o", "json"] + options + setting.layout, environment)
        }
        for (options, algorithm) in [([], "PS256"), (["--key", "other"], "ES256"), (["-k", "release"], "PS256")] {
            let run = try await setting.run(
                ["sign", setting.app.name("unsigned"), "-o", "json"] + options + setting.layout, environment)
            #expect(run.status == 0 && run.json["algorithm"]?.string == algorithm, "\(options): \(run)")
            #expect(run.json["mediaType"] == "application/jose+json")
        }
        let verified = try await setting.run(["verify", setting.app.name("unsigned")] + setting.layout, environment)
        #expect(verified.status == 0, "\(verified)")
        files.directory.write(#"{"signatureFormat":"COSE"}"#, to: "given/config.json")
        let cose = try await sign()
        #expect(cose.status == 0 && cose.json["mediaType"] == "application/cose", "\(cose)")

        for (options, words) in [
            (["--key", "vault"], "--akv-key https://v.example/keys/k/1"), (["--key", "nobody"], "nobody"),
            (["--key", files.path("release.key")], "--certificate-chain"),
            (["--certificate-chain", files.path("release.chain")], "--certificate-chain"),
            (["--plugin", "azure-kv", "--id", "https://v.example/keys/k/1"], "--akv-key https://v.example/keys/k/1"),
            (["--force-referrers-tag"], "--force-referrers-tag"), (["--plugin-config", "a=b"], "plugins"),
        ] {
            let run = try await setting.run(
                ["sign", setting.app.name("unsigned")] + options + setting.layout, environment)
            #expect(run.status == 2 && run.errors.contains(words), "\(options): \(run)")
        }
        for (text, words) in [
            (#"{"keys":[]}"#, "names none"), (#"{"default":"a","keys":[]}"#, "\"default\""),
            (#"{"default":"a","keys":[{"name":"a"},{"name":"a"}]}"#, "two keys"),
            (#"{"default":"a","keys":[{"name":"a","keyPath":"/k"}]}"#, "certPath"), ("[]", "not a JSON object"),
        ] {
            setting.keys(text)
            let run = try await sign()
            #expect(run.status == 2 && run.errors.contains(words), "\(text): \(run)")
        }
    }

    @Test func credentialsAreForTheRegistryThatTheReferenceNames() async throws {
        let setting = try await Setting()
        let files = setting.files
        defer { files.remove() }
        var options = FaultyRegistry.Options()
        options.authentication = .basic(user: "alice", password: "correct horse")
        try await withRegistry(options) { registry in
            let credential = DockerConfigCredentials(
                path: files.directory.write(
                    #"{"auths":{"\#(registry.endpoint)":{"username":"alice","password":"correct horse"}}}"#,
                    to: "docker.json"))
            let app = try Repository("\(registry.endpoint)/app", credentials: credential)
            try await app.push("signed", signedBy: try Signers.shared.get().release)
            func verify(
                _ options: [String], _ environment: [String: String] = [:]
            ) async throws -> Command.Outcome {
                let given = ["NOTATION_CONFIG": files.path("given")]
                return try await setting.run(
                    ["verify", app.name("signed")] + options, given.merging(environment) { $1 })
            }
            let environment = ["NOTATION_USERNAME": "alice", "NOTATION_PASSWORD": "correct horse"]
            let wrong = ["NOTATION_USERNAME": "alice", "NOTATION_PASSWORD": "wrong battery"]
            for (options, environment, status) in [
                (["-u", "alice", "-p", "correct horse"], [:], Int32(0)), ([], environment, 0), ([], [:], 1),
                (["--username", "alice", "--password", "wrong battery"], environment, 1),
                (["-p", "correct horse"], wrong, 0), (["--registry-config", files.path("docker.json")], wrong, 0),
                (["-u", "alice"], [:], 2), (["-u", "alice", "--registry-config", files.path("docker.json")], [:], 2),
                (["--insecure-registry", "-u", "alice", "-p", "correct horse"], [:], 0),
                (["--insecure-registry=false", "--allow-referrers-api=true"], environment, 0),
            ] as [([String], [String: String], Int32)] {
                let run = try await verify(options, environment)
                #expect(run.status == status, "\(options) \(environment): \(run)")
            }
            // Only the place is shown, nothing that proves who asks.
            let told = try await verify(["--debug"], environment)
            #expect(told.status == 0 && told.errors.contains("GET http://\(registry.endpoint)/v2/app/"), "\(told)")
            #expect(told.errors.contains("Docker-Content-Digest") && !told.errors.contains("horse"), "\(told)")
            #expect(!told.errors.contains(Data("alice:correct horse".utf8).base64EncodedString()))
            // notation's own list of credentials goes before Docker's.
            files.directory.write(
                #"{"auths":{"\#(registry.endpoint)":{"username":"alice","password":"correct horse"}}}"#,
                to: "given/config.json")
            let configured = try await verify([])
            #expect(configured.status == 0, "\(configured)")
            files.directory.write("{", to: "given/config.json")
            let broken = try await verify([])
            #expect(broken.status == 2 && broken.errors.contains("config.json"), "\(broken)")
        }
    }

    @Test func noProgramInheritsThePassword() async throws {
        let setting = try await Setting()
        let files = setting.files
        defer { files.remove() }
        let helper = files.directory.write(
            "#!/bin/sh\nenv > \(files.path("seen"))\necho '{\"Username\":\"u\",\"Secret\":\"s\"}'\n",
            to: "docker-credential-spy")
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: helper)
        files.directory.write(#"{"credsStore":"spy"}"#, to: "docker.json")
        try await withRegistry { registry in
            _ = try await setting.run(
                ["resolve", "\(registry.endpoint)/app:v1", "--registry-config", files.path("docker.json")],
                ["PATH": "\(files.directory.path):/usr/bin:/bin", "NOTATION_PASSWORD": "correct horse"])
        }
        let seen = try String(contentsOfFile: files.path("seen"), encoding: .utf8)
        #expect(seen.contains("PATH=") && !seen.contains("NOTATION_PASSWORD") && !seen.contains("horse"))
    }

    @Test func registriesThatNotationTalksToInPlainHTTP() async throws {
        let setting = try await Setting()
        let files = setting.files
        defer { files.remove() }
        try await withRegistry { registry in
            let app = try Repository("\(registry.endpoint)/app")
            try await app.push("v1", content: "image")
            let name = "0.0.0.0:\(registry.port)/app:v1"
            let environment = ["NOTATION_CONFIG": files.path("given")]
            let secure = try await setting.run(["resolve", name, "--timeout", "3"], environment)
            #expect(secure.status == 3, "\(secure)")
            files.directory.write(#"{"insecureRegistries":["0.0.0.0:\#(registry.port)"]}"#, to: "given/config.json")
            let listed = try await setting.run(["resolve", name], environment)
            #expect(listed.status == 0, "\(listed)")
            files.directory.write(#"{"insecureRegistries":"0.0.0.0"}"#, to: "given/config.json")
            let broken = try await setting.run(["resolve", name], environment)
            #expect(broken.status == 2, "\(broken)")
        }
    }

    /// Over HTTP port 80 needs no saying: with it or without, the same statement applies.
    @Test func noSpellingOfAnInsecureRegistryDodgesItsStatement() async throws {
        let setting = try await Setting()
        let files = setting.files
        defer { files.remove() }
        let policy = ConfigurationText.trustPolicy([
            ConfigurationText.statement("prod", scopes: ["registry.invalid/app"]),
            ConfigurationText.statement("rest", level: "skip", stores: [], identities: []),
        ])
        files.directory.write(policy.text, to: "given/trustpolicy.json")
        for listed in ["registry.invalid", "Registry.invalid:80"] {
            files.directory.write(#"{"insecureRegistries":["\#(listed)"]}"#, to: "given/config.json")
            for registry in ["registry.invalid", "registry.invalid:80"] {
                let run = try await setting.run(
                    ["verify", "\(registry)/app:v1", "--timeout", "2"], ["NOTATION_CONFIG": files.path("given")])
                #expect(run.status == 3, "\(listed) \(registry): \(run)")
            }
        }
    }

    @Test func theScopeOfALayout() async throws {
        let setting = try await Setting()
        let files = setting.files
        defer { files.remove() }
        let environment = ["NOTATION_CONFIG": files.path("given")]
        func verify(_ reference: String, _ options: String...) async throws -> Command.Outcome {
            try await setting.run(["verify", reference] + options, environment)
        }
        let good = try await verify("\(files.path("layout")):signed", "--oci-layout", "--scope", "registry.example/app")
        #expect(good.status == 0, "\(good)")
        let bad = try await verify("\(files.path("layout")):unsigned", "--scope=registry.example/app", "--oci-layout")
        #expect(bad.status == 1, "\(bad)")
        for arguments in [
            ["--oci-layout", "--scope", "local/app"], ["--scope", "registry.example/app"],
            ["--oci-layout", "--scope", "registry.example/app:v1"],
        ] {
            let run = try await setting.run(["verify", "\(files.path("layout")):signed"] + arguments, environment)
            #expect(run.status == 2, "\(arguments): \(run)")
        }
    }

    @Test func listAndLsAreDiscover() async throws {
        let setting = try await Setting()
        defer { setting.files.remove() }
        let tree = try await Command.run(["discover", setting.app.name("signed")] + setting.layout)
        #expect(tree.status == 0 && tree.output.contains(MediaType.notationSignature), "\(tree)")
        for name in ["list", "ls"] {
            let run = try await Command.run([name, setting.app.name("signed")] + setting.layout)
            #expect(run.status == 0 && run.output == tree.output, "\(run)")
        }
        let few = try await Command.run(
            ["list", setting.app.name("signed"), "--max-signatures", "1", "-o", "json"] + setting.layout)
        #expect(few.json["referrers"]?.array?.count == 1, "\(few)")
        let none = try await Command.run(["ls", setting.app.name("signed"), "--max-signatures", "0"] + setting.layout)
        #expect(none.status == 2, "\(none)")
    }

    @Test func metadataIsGivenOnce() async throws {
        let setting = try await Setting()
        defer { setting.files.remove() }
        let files = setting.files
        for command in [["sign"] + files.identity("release"), ["verify"] + files.trust] {
            let run = try await Command.run(
                command + [setting.app.name("signed"), "-m", "a=1", "-m", "a=2"] + setting.layout)
            #expect(run.status == 2 && run.errors.contains("\"a\" is given twice"), "\(run)")
        }
    }
}
