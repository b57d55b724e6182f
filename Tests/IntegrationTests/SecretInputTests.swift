import Foundation
import OCI
import OCIRegistry
import StrictJSON
import TestSupport
import Testing

/// Keys in the forms that are no PEM, and passwords, where the program repeats what it was given: what was typed, the
/// names of a configuration's members, what a registry lists, what `--verbose` and `--debug` tell.
@Suite struct SecretInputTests {
    /// A form of a key, and what of it must be nowhere.
    struct Form: CustomTestStringConvertible, Sendable {
        let text: String
        let parts: [String]
        var testDescription: String { String(text.prefix(24)) }
    }

    static let forms = [
        Form(
            text: "MIGHAgEAMBMGByqGSM49\nAgEGCCqGSM49AwEHBG0w\nawIBAQQg3FzOGijrzDZb\n3NFttj/19lpSQq4dacBH",
            parts: ["MIGHAgEA", "AgEGCCqG", "awIBAQQg"]),
        Form(text: "THjHx939HCTZgEkL2kN50sfRW1ZQvoEJV6jGwOPbE4g", parts: ["THjHx939", "RW1ZQvoE"]),
        Form(text: "870MB6gfuTJ4HtUnUvYMyJpr5eUZ-P4Bk43bVdj3eAE", parts: ["870MB6gf", "Bk43bVdj"]),
        Form(
            text: "dc:5c:ce:1a:28:eb:cc:36:5b:dc:d1:6d:b6:3f:f5:f6:5a:52:42:ae:1d:69:c0:47:bb:e3:70:4e:c9:c3:72:1e",
            parts: ["dc:5c:ce", "bb:e3:70"]),
        Form(text: "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX", parts: ["1GFPYYSJ", "Q4EGAEX"]),
        Form(text: #"{"kty":"oct","k":"GawgguFyGrWKav7AX4VKUg"}"#, parts: ["GawgguFy"]),
        Form(text: "kty: oct\nk: GawgguFyGrWKav7AX4VKUg", parts: ["GawgguFy"]),
    ]

    private func expectNone(of form: Form, in run: some CustomStringConvertible, _ what: String) {
        let text = run.description
        #expect(!text.isEmpty)
        for part in form.parts { #expect(!text.contains(part), "\(what): \(text.prefix(2_000))") }
    }

    // MARK: What was typed

    /// The parser of arguments, the names of commands, and what options say of their values.
    @Test(arguments: [forms[0], forms[2], forms[3], forms[6]])
    func aKeyInAnArgument(form: Form) async throws {
        let key = form.text
        for arguments in [
            [key], ["verify", "image:v1", key], ["verify", "image:v1", key, key], ["verify", "--\(key)", "image:v1"],
            ["verify", "image:v1", "--max-signatures", key], ["verify", "image:v1", "--max-signatures=\(key)"],
            ["verify", "image:v1", "-o", key], ["verify", "image:v1", "--insecure-registry=\(key)"],
            ["verify", "image:v1", "-\(key)"], ["resolve", key], ["discover", key],
            ["inspect", "image:v1", "--timeout", key],
            ["sign", "image:v1", "--key", key], ["sign", "image:v1", "--key", key, "--certificate-chain", key],
            ["sign", "image:v1", "--expiry", key], ["sign", "image:v1", "-m", key],
            ["sign", "image:v1", "--akv-key", key], ["sign", "image:v1", "--cosign-key", key],
            ["sign", "image:v1", "--cosign-key", "\(key)://x"],
            ["sign", "image:v1", "--cosign-format", key],
            ["verify", "image:v1", "--trust-policy", key, "--trust-store", key],
            ["verify", "image:v1", "--token-realm", key], ["verify", "image:v1", "--registry-config", key],
            ["verify", "image:v1", "-c", key], ["certificates", "-c", key], ["certificates", "--warn", key],
            ["serve", "--cache-size=\(key)"], ["serve", "-c", key], ["audit", "--simultaneous", key],
            ["audit", "-f", key],
            ["crds", key], ["help", key],
        ] {
            let run = try await Command.run(arguments)
            expectNone(of: form, in: run, arguments.first ?? "")
        }
    }

    @Test(arguments: forms)
    func aKeyGivenToProbe(form: Form) async throws {
        for arguments in [
            [form.text], ["http://127.0.0.1:1/\(form.text)"], ["http://127.0.0.1:1/", "--ca-file", form.text],
            ["http://\(form.text)@127.0.0.1:1/"], ["http://127.0.0.1:1/", "--timeout", form.text],
            ["http://127.0.0.1:1/", form.text],
        ] {
            let run = try await Command.run(["probe"] + arguments)
            #expect(run.status != 0)
            expectNone(of: form, in: run, "probe")
        }
    }

    /// Passwords, also those of options that are mistyped or that take none.
    @Test(arguments: [
        ["--pasword=hunter2secret"], ["--pasword", "hunter2secret"], ["-phunter2secret"],
        ["-p=hunter2secret", "--no-such"],
        ["--password=hunter2secret", "--no-such"], ["--passwd", "hunter2secret", "more"], ["--pwd", "hunter2secret"],
        ["-p", "hunter2secret", "hunter2secret"], ["--username", "robot", "--registry-token", "hunter2secret"],
        ["--oci-layout", "x", "-p", "hunter2secret", "--max-signatures", "hunter2secret"],
    ])
    func aPasswordTheParserDoesNotUnderstand(arguments: [String]) async throws {
        for command in ["verify", "discover"] {
            let run = try await Command.run([command, "image:v1"] + arguments)
            #expect(run.status == 2, "\(run)")
            #expect(!run.description.contains("hunter2"), "\(run)")
        }
    }

    /// What is typed is quoted in 80 characters, without what moves a terminal's cursor; everything else stays as it
    /// was.
    @Test func whatTheParserRepeatsIsQuoted() async throws {
        let control = "a\u{1B}[31mb\nc"
        for arguments in [
            ["verify", "image:v1", control], ["verify", "image:v1", "--max-signatures", control],
            ["verify", "image:v1", "--\(control)"], ["verify", "image:v1", "--debug=\(control)"],
        ] {
            let run = try await Command.run(arguments)
            #expect(run.status == 2)
            #expect(!run.errors.contains("\u{1B}") && run.errors.contains("Usage: countersign verify"), "\(run)")
        }
        let long = String(repeating: "z", count: 5_000)
        for arguments in [
            ["verify", "image:v1", long], ["verify", "image:v1", "--max-signatures", long],
            ["verify", long, long, long],
            ["verify", "image:v1", "--\(long)"], ["verify", "image:v1", "-o", long],
        ] {
            let run = try await Command.run(arguments)
            #expect(run.status == 2)
            #expect(!run.errors.contains(String(repeating: "z", count: 81)), "\(run)")
        }
        let usual = try await Command.run("verify", "image:v1", "--max-signatures", "abc")
        #expect(usual.errors.contains("The value 'abc' is invalid for '--max-signatures <count>'"), "\(usual)")
        let missing = try await Command.run("verify", "image:v1", "-p")
        #expect(missing.errors.contains("Missing value for '-p <password>'"), "\(missing)")
        let unknown = try await Command.run("verify", "image:v1", "--pasword=x")
        #expect(unknown.errors.contains("Did you mean '--password'?"), "\(unknown)")
    }

    // MARK: Configuration

    /// A key where a member's name, a type, a rule or a value should be.
    @Test(arguments: [forms[0], forms[2], forms[6]])
    func aKeyInTheConfiguration(form: Form) async throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let key = form.text
        var configurations: [JSONValue] = []
        for place in ["executor", "cache", "store", "verifier", "policy", "logger", "keyManagementProvider", ""] {
            var configuration = try ConfigurationText.trustingRelease().json.object ?? [:]
            if place.isEmpty {
                configuration[key] = "x"
            } else {
                var section = configuration[place]?.object ?? [:]
                section[key] = ["x": 1]
                configuration[place] = .object(section)
            }
            configurations.append(.object(configuration))
        }
        func edited(_ edit: (inout ConfigurationText) -> Void) throws -> JSONValue {
            var text = try ConfigurationText.trustingRelease()
            edit(&text)
            return text.json
        }
        configurations += [
            try edited { $0.policies = .object([key: "any"]) },
            try edited { $0.policies = .object([key: "some"]) },
            try edited { $0.policies = .object([MediaType.notationSignature: .string(key)]) },
            try edited { $0.policies = .object([key: .string(key)]) },
            try edited { $0.revocation = .object([key: 1]) },
            try edited { $0.revocation = ["maximumAge": .string(key)] },
            try edited { $0.revocation = ["allowPrivateAddresses": .string(key)] },
            try edited { $0.executor[key] = true },
            try edited { $0.executor["maximumDownloadBytes"] = .string(key) },
            try edited { $0.staleIfError = key },
            try edited { $0.stores = [.object(["name": "oras", key: "x"])] },
            try edited { $0.stores = [["name": .string(key)]] },
            try edited { $0.stores = [["name": "oras", "useHttp": .string(key)]] },
            try edited { $0.stores = [["name": "oras", "authProvider": ["name": .string(key)]]] },
            try edited { $0.trustStores = .object([key: ["release": ["release-ca"]]]) },
            try edited { $0.trustStores = ["ca": .object([key: ["release-ca"]])] },
            try edited { $0.trustStores = ["ca": ["release": [.string(key)]]] },
            try edited { $0.trustPolicies = [ConfigurationText.statement(key)] },
            try edited { $0.trustPolicies = [ConfigurationText.statement(level: key)] },
            try edited { $0.trustPolicies = [ConfigurationText.statement(scopes: [key])] },
            try edited { $0.trustPolicies = [ConfigurationText.statement(stores: [key])] },
            try edited { $0.trustPolicies = [ConfigurationText.statement(identities: [key])] },
        ]
        for (index, configuration) in configurations.enumerated() {
            let path = directory.write(configuration.bytes, to: "config.json")
            expectNone(of: form, in: try await Command.run("certificates", "-c", path), "\(index)")
        }
        // What a policy asks for is in the verdict.
        for (type, rule) in [(key, "any"), (key, "all"), ("default", key)] {
            var text = try ConfigurationText.trustingRelease()
            text.policies = .object([type: .string(rule)])
            text.stores = [ConfigurationText.layout(directory.path("layout"))]
            let app = try Repository("registry.example/app", layout: directory.path("layout"))
            try await app.push("v1", content: "v1")
            let path = directory.write(text.json.bytes, to: "config.json")
            let run = try await Command.run("verify", app.name("v1"), "-c", path)
            #expect(run.status != 0, "\(run)")
            expectNone(of: form, in: run, type)
        }
    }

    // MARK: Registries

    private static let password = "Tr0ub4dor&3/horse"
    private static let basic = Data("robot:\(password)".utf8).base64EncodedString()
    private static let secrets = [password, basic, String(basic.prefix(20)), "Tr0ub4dor", "dor&3"]

    private func expectNoSecret(in run: Command.Outcome, _ what: String) {
        for secret in Self.secrets { #expect(!run.description.contains(secret), "\(what): \(run)") }
    }

    /// What a registry writes where a media type or a digest should be, in its list and in a signature's manifest.
    @Test(arguments: ["listed", "listedType", "listedDigest", "manifest", "config", "subject", "layer", "layerDigest"])
    func aRegistryThatRepeatsThePasswordInAMediaType(place: String) async throws {
        let files = try CommandFiles()
        defer { files.remove() }
        for echo in [Self.password, Self.basic, "Basic \(Self.basic)", "sha256:\(Self.password)"] {
            func at(_ name: String, _ text: String) -> JSONValue { .string(place == name ? echo : text) }
            func descriptor(_ name: String, _ type: String, _ content: [UInt8]) -> JSONValue {
                [
                    "mediaType": at(name, type), "digest": at("\(name)Digest", "\(Digest(of: content))"),
                    "size": .number("\(content.count)"),
                ]
            }
            let image = Array("{}".utf8)
            let manifest: JSONValue = [
                "schemaVersion": 2, "mediaType": at("manifest", MediaType.ociManifest),
                "config": descriptor("config", MediaType.notationSignature, Array("{}".utf8)),
                "layers": [descriptor("layer", MediaType.notationJWS, Array("{}".utf8))],
                "subject": descriptor("subject", MediaType.ociManifest, image),
            ]
            var entry = descriptor("listed", MediaType.ociManifest, manifest.bytes).object ?? [:]
            entry["artifactType"] = at("listedType", MediaType.notationSignature)
            entry["annotations"] = .object([echo: .string(echo)])
            let list: JSONValue = [
                "schemaVersion": 2, "mediaType": .string(MediaType.ociIndex), "manifests": [.object(entry)],
            ]
            let server = try ScriptedServer { request in
                guard request.header("Authorization") != nil else {
                    return [.reply(401, headers: [("WWW-Authenticate", "Basic realm=\"r\"")])]
                }
                if request.target.contains("/referrers/") {
                    return [.content(200, type: MediaType.ociIndex, list.bytes)]
                }
                if request.target.hasSuffix("\(Digest(of: manifest.bytes))") {
                    return [.content(200, type: MediaType.ociManifest, manifest.bytes)]
                }
                guard request.target.contains("/manifests/") else {
                    return [.content(200, type: MediaType.octetStream, Array("{}".utf8))]
                }
                guard request.method == "GET" else { return [.reply(405)] }
                return [.content(200, type: MediaType.ociManifest, image)]
            }
            defer { server.stop() }
            let run = try await Command.run(
                ["verify", "127.0.0.1:\(server.port)/app:v1", "-u", "robot", "-p", Self.password, "-d"] + files.trust)
            #expect(run.status != 0, "\(run)")
            #expect(server.requests.contains { $0.target.contains("/referrers/") }, "\(run)")
            expectNoSecret(in: run, "\(place) \(echo)")
        }
    }

    /// What `--verbose` and `--debug` tell of addresses that answers chose, and of their headers.
    @Test(arguments: ["-v", "-d"])
    func whatIsToldOfAnswersThatRepeatThePassword(flag: String) async throws {
        let files = try CommandFiles()
        defer { files.remove() }
        let percent = Self.password.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
        let hex = Self.password.utf8.map { String($0, radix: 16) }.joined()
        for (index, echo) in [Self.basic, percent, hex, Self.password].enumerated() {
            for place in ["redirect", "page", "realm", "headers", "query"] {
                let server = try ScriptedServer { request in
                    let host = request.header("Host") ?? ""
                    if request.target.hasPrefix("/token") {
                        return [.reply(401, body: #"{"errors":[{"code":"\#(echo)"}]}"#)]
                    }
                    guard request.header("Authorization") != nil else {
                        return [
                            place == "realm"
                                ? .reply(
                                    401,
                                    headers: [("WWW-Authenticate", "Bearer realm=\"http://\(host)/token/\(echo)\"")])
                                : .reply(401, headers: [("WWW-Authenticate", "Basic realm=\"r\"")])
                        ]
                    }
                    if request.target.contains(echo) { return [.reply(404)] }
                    switch place {
                    case "redirect": return [.reply(302, headers: [("Location", "http://\(host)/x/\(echo)")])]
                    case "query": return [.reply(302, headers: [("Location", "http://\(host)/x?sig=\(echo)")])]
                    case "headers":
                        return [
                            .reply(
                                200,
                                headers: [
                                    ("Content-Type", echo), ("Docker-Content-Digest", echo),
                                    ("OCI-Filters-Applied", echo),
                                    ("Retry-After", echo),
                                ], body: "{}")
                        ]
                    default:
                        guard request.target.contains("/referrers/") else {
                            return [.content(200, type: MediaType.ociManifest, Array("{}".utf8))]
                        }
                        let list = #"{"schemaVersion":2,"manifests":[]}"#
                        return [
                            .reply(
                                200,
                                headers: [
                                    ("Content-Type", MediaType.ociIndex), ("Link", "</x/\(echo)>; rel=\"next\""),
                                ], body: list)
                        ]
                    }
                }
                defer { server.stop() }
                let image = "127.0.0.1:\(server.port)/app@\(Digest(of: Array("{}".utf8)))"
                let run = try await Command.run(
                    ["verify", image, "-u", "robot", "-p", Self.password, flag] + files.trust)
                #expect(run.status != 0, "\(run)")
                #expect(
                    run.errors.contains("GET http://127.0.0.1") || run.errors.contains("HEAD http://127.0.0.1"),
                    "\(run)")
                expectNoSecret(in: run, "\(place) \(index)")
                for form in [percent, hex] { #expect(!run.description.contains(form), "\(place) \(index): \(run)") }
            }
        }
    }
}
