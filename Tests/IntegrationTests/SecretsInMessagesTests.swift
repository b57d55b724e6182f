import Foundation
import PKI
import StrictJSON
import TestSupport
import Testing

/// Keys and passwords that stand where they should not, or come back from those they were sent to: they are in no
/// message, no log and no status, whatever the program is asked to do with them.
@Suite struct SecretsInMessagesTests {
    private static let password = #"c0rrect "horse"/battery"#

    private func expectNone(of pem: String, in text: String) {
        #expect(!text.isEmpty)
        for line in pem.split(separator: "\n").dropFirst().dropLast() {
            #expect(!text.contains(line.prefix(16)), "\(text.prefix(2000))")
        }
    }

    /// A private key without its line breaks, where a key, a chain, a root, a path or a certificate is wanted.
    @Test func aKeyWithoutLineBreaksOnTheCommandLine() async throws {
        let files = try CommandFiles()
        defer { files.remove() }
        let pem = try Signers.shared.get().release.identity.keyPEM
        let text = pem.split(separator: "\n").joined(separator: " ")
        let path = files.directory.write(text, to: "broken.pem")
        try await withRegistry { registry in
            let app = try Repository("\(registry.endpoint)/app")
            try await app.push("v1", content: "v1")
            let sign = ["sign", app.name("v1")]
            let chain = ["--certificate-chain", files.path("release.chain")]
            for arguments in [
                sign + ["--key", path] + chain,
                sign + ["--key", files.path("release.key"), "--certificate-chain", path],
                sign + ["--key", pem] + chain, sign + ["--key", text] + chain,
                sign + ["--key", files.path("release.key"), "--certificate-chain", text],
                sign + files.identity("release") + ["--timestamp-url", "http://127.0.0.1:1", "--timestamp-root", path],
                sign + files.identity("release") + ["--expiry", text],
                ["verify", app.name("v1"), "--trust-policy", path, "--trust-store", files.path("truststore")],
                ["verify", app.name("v1"), "--trust-policy", text, "--trust-store", files.path("truststore")],
                ["verify", app.name("v1"), "--trust-policy", files.path("policy.json"), "--trust-store", text],
                ["verify", app.name("v1"), "--registry-config", path] + files.trust,
                ["verify", app.name("v1"), "-c", path], ["verify", app.name("v1"), "-c", text],
                ["verify", text] + files.trust, ["certificates", "-c", path],
            ] {
                let run = try await Command.run(arguments)
                #expect(run.status != 0, "\(arguments.map { $0.prefix(40) })")
                expectNone(of: pem, in: run.description)
                #expect(run.errors.utf8.count < 2500, "\(run)")
            }
        }
    }

    /// In the configuration: `certificates`, and the log of `serve`.
    @Test(arguments: ["certificate", "key"])
    func aKeyWithoutLineBreaksInTheConfiguration(contentType: String) async throws {
        let files = try CommandFiles()
        defer { files.remove() }
        let pem = try Signers.shared.get().release.identity.keyPEM
        let text = pem.split(separator: "\n").joined(separator: " ")
        let tls = try ServingFiles(in: files.directory)
        let file = files.directory.write(text, to: "certs/broken.pem")
        let inline: JSONValue = [
            "name": "release-ca", "type": "inline", "contentType": .string(contentType), "value": .string(text),
        ]
        for provider: JSONValue in [
            inline, ["name": "release-ca", "type": "inline", "contentType": .string(text), "value": .string(pem)],
            ["name": "release-ca", "type": .string(text)],
        ] {
            var configuration = ConfigurationText()
            configuration.providers = [provider]
            let path = files.directory.write(configuration.json.bytes, to: "broken.json")
            let run = try await Command.run(["certificates", "-c", path])
            #expect(run.status != 0)
            expectNone(of: pem, in: run.description)
            do {
                let process = try await ServeProcess(config: path, tls: tls)
                _ = try await ask(process, tls, "127.0.0.1:1/app:v1")
                expectNone(of: pem, in: process.log)
            } catch let failure as ServeProcess.Failure { expectNone(of: pem, in: failure.description) }
        }
        var configuration = ConfigurationText()
        configuration.providers = [
            ["name": "release-ca", "type": "files", "paths": [.string((file as NSString).deletingLastPathComponent)]]
        ]
        let path = files.directory.write(configuration.json.bytes, to: "files.json")
        let run = try await Command.run(["certificates", "-c", path])
        expectNone(of: pem, in: run.description)
    }

    private func ask(_ process: ServeProcess, _ tls: ServingFiles, _ key: String) async throws -> Answer {
        Answer(
            try await TestClient.post(port: process.port, tls.gatekeeper, body: TestClient.request([key])), asked: [key]
        )
    }

    /// A registry that says the header, its Base64 and the password: denial, log, metrics and the command say none of
    /// it.
    @Test(arguments: [401, 403, 404, 429, 500])
    func aRegistryThatRepeatsTheAuthorization(status: Int) async throws {
        let files = try CommandFiles()
        defer { files.remove() }
        let tls = try ServingFiles(in: files.directory)
        let basic = Data("robot:\(Self.password)".utf8).base64EncodedString()
        let server = try ScriptedServer { request in
            guard let header = request.header("Authorization") else {
                return [.reply(401, headers: [("WWW-Authenticate", "Basic realm=\"r\"")])]
            }
            let said = "\(header) \(basic) \(Self.password)".replacing("\"", with: "\\\"")
            let phrase = "HTTP/1.1 \(status) \(Self.password)\r\n"
            let body = #"{"errors":[{"code":"DENIED","message":"\#(said)"},{"code":"\#(basic)"}]}"#
            return [
                .bytes(
                    phrase
                        + "X-Said: \(header)\r\nWWW-Authenticate: Basic realm=\"\(basic)\"\r\nDocker-Content-Digest: \(basic)"
                        + "\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
            ]
        }
        defer { server.stop() }
        let docker = files.directory.write(
            dockerConfig("127.0.0.1:\(server.port)", user: "robot", password: Self.password), to: "docker.json")
        var configuration = try ConfigurationText.trustingRelease()
        configuration.stores = [ConfigurationText.registries(dockerConfig: docker)]
        configuration.verificationTimeout = 2000
        let path = files.directory.write(configuration.json.bytes, to: "config.json")
        let process = try await ServeProcess(config: path, tls: tls)
        let image = "127.0.0.1:\(server.port)/app:v1"
        let answer = try await ask(process, tls, image)
        #expect(!answer.text.contains(#""isSuccess":true"#))
        let metrics = try await TestClient.ask(port: process.metricsPort, method: "GET", path: "/metrics")
        let command = try await Command.run(["verify", image, "--registry-config", docker] + files.trust)
        #expect(command.status != 0)
        #expect(server.requests.contains { $0.header("Authorization") == "Basic \(basic)" })
        for text in [answer.text, process.log, metrics.text, command.description] {
            for secret in [basic, String(basic.prefix(24)), "c0rrect", "battery"] {
                #expect(!text.contains(secret), "\(text.suffix(3000))")
            }
        }
    }
}
