import Foundation
import OCI
import StrictJSON
import TestSupport
import Testing

/// `countersign sign`, and what `verify`, `inspect`, `discover` and `resolve` make of its signatures.
@Suite struct SignCommandTests {
    /// Signs in both formats with different keys, and looks at the outcome in every way.
    private func signAndVerify(_ app: Repository, _ place: [String]) async throws {
        let files = try CommandFiles()
        defer { files.remove() }
        let image = try await app.push("v1", content: "an image")
        let unsigned = try await Command.run(["verify", app.name("v1")] + place + files.trust)
        #expect(unsigned.status == 1, "\(unsigned)")

        let jws = try await Command.run(
            ["sign", app.name("v1"), "--signature-format", "jws", "--expiry", "720h", "-m", "build=7", "-o", "json"]
                + place + files.identity("release"))
        #expect(jws.status == 0, "\(jws)")
        #expect(jws.errors.contains("a tag can move"))
        #expect(jws.json["reference"]?.string == app.name(image))
        #expect(jws.json["mediaType"] == "application/jose+json" && jws.json["algorithm"] == "PS256")
        let cose = try await Command.run(
            ["sign", app.name(image), "--signature-format", "cose", "-o", "json"] + place + files.identity("other"))
        #expect(cose.status == 0, "\(cose)")
        #expect(cose.errors.isEmpty)
        #expect(cose.json["mediaType"] == "application/cose" && cose.json["algorithm"] == "ES256")
        let signatures = [jws, cose].compactMap { $0.json["signature"]?.string }

        for name in [app.name("v1"), app.name(image)] {
            let run = try await Command.run(["verify", name, "-m", "build=7"] + place + files.trust)
            #expect(run.status == 0, "\(run)")
        }

        let resolved = try await Command.run(["resolve", app.name("v1")] + place)
        #expect(resolved.status == 0 && resolved.output == app.name(image) + "\n", "\(resolved)")
        let details = try await Command.run(["resolve", app.name("v1"), "-o", "json"] + place)
        #expect(details.json["digest"]?.string == image.digest.description)
        #expect(details.json["size"]?.integer == image.size)
        #expect(details.json["mediaType"]?.string == MediaType.ociManifest)

        let tree = try await Command.run(["discover", app.name("v1")] + place)
        #expect(tree.status == 0)
        for text in [app.name(image), MediaType.notationSignature] + signatures {
            #expect(tree.output.contains(text), "\(tree)")
        }
        let nodes = try await Command.run(["discover", app.name("v1"), "-o", "json"] + place)
        #expect(nodes.json["digest"]?.string == image.digest.description)
        #expect(
            Set(nodes.json["referrers"]?.array?.compactMap { $0["digest"]?.string } ?? []) == Set(signatures),
            "\(nodes)")
        let none = try await Command.run(
            ["discover", app.name("v1"), "--artifact-type", "application/spdx+json", "-o", "json"] + place)
        #expect(none.status == 0 && none.json["referrers"] == [], "\(none)")

        let inspected = try await Command.run(["inspect", app.name("v1"), "-o", "json"] + place)
        #expect(inspected.status == 0, "\(inspected)")
        #expect(inspected.json["signatureCount"]?.integer == 2)
        let shown = try #require(
            inspected.json["signatures"]?.array?.first { $0["digest"]?.string == signatures.first })
        #expect(shown["mediaType"] == "application/jose+json" && shown["signingScheme"] == "notary.x509")
        #expect(shown["expiry"]?.string?.hasSuffix("Z") == true)
        #expect(shown["signingAgent"]?.string?.hasPrefix("countersign/") == true)
        #expect(shown["targetArtifact"]?["digest"]?.string == image.digest.description)
        #expect(shown["targetArtifact"]?["annotations"] == ["build": "7"])
        #expect(shown["certificates"]?.array?.count == 3)
        #expect(shown["certificates"]?.array?.allSatisfy { $0["notAfter"]?.string?.isEmpty == false } == true)
        let text = try await Command.run(["inspect", app.name("v1")] + place)
        #expect(text.output.contains("2 signatures") && text.output.contains("CN=release root"), "\(text)")

        for command in ["resolve", "discover", "inspect"] {
            let missing = try await Command.run([command, app.name("nowhere")] + place)
            #expect(missing.status == 1 && missing.output.isEmpty, "\(missing)")
        }
        let nothing = try await Command.run(["sign", app.name("nowhere")] + place + files.identity("other"))
        #expect(nothing.status == 1, "\(nothing)")
    }

    @Test func inAnImageLayout() async throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        try await signAndVerify(
            try Repository("registry.example/shop/app", layout: directory.path("layout")),
            ["--oci-layout", directory.path("layout")])
    }

    @Test(.enabled(if: DockerRegistry.isInstalled, "docker-registry is not installed"))
    func inDebiansRegistry() async throws {
        let registry = try await DockerRegistry()
        defer { registry.stop() }
        try await signAndVerify(try Repository("\(registry.host)/shop/app"), ["--plain-http"])
    }

    @Test func inARegistryWithTheReferrersAPI() async throws {
        try await withRegistry { registry in
            try await signAndVerify(try Repository("\(registry.endpoint)/shop/app"), ["--plain-http"])
            // Where the registry keeps the list itself, no referrers tag is written.
            #expect(!registry.requests.contains { $0.method == "PUT" && $0.path.contains("/manifests/sha256-") })
        }
    }

    @Test func inAPrivateRegistry() async throws {
        let files = try CommandFiles()
        defer { files.remove() }
        var options = FaultyRegistry.Options()
        options.authentication = .token(user: "robot", password: "secret")
        try await withRegistry(options) { registry in
            let app = try Repository(
                "\(registry.endpoint)/app", credentials: OneAccount(.basic(user: "robot", password: "secret")))
            try await app.push("v1", content: "v1")
            let path = files.directory.write(
                dockerConfig(registry.endpoint, user: "robot", password: "secret"), to: "docker.json")
            let signed = try await Command.run(
                ["sign", app.name("v1"), "--registry-config", path] + files.identity("release"))
            #expect(signed.status == 0, "\(signed)")
            let verified = try await Command.run(
                ["verify", app.name("v1"), "--registry-config", path] + files.trust)
            #expect(verified.status == 0, "\(verified)")
            let anonymous = try await Command.run(["verify", app.name("v1")] + files.trust)
            #expect(anonymous.status == 1, "\(anonymous)")
            #expect(anonymous.output.contains("401"))
        }
    }

    @Test func whatCannotSignIsRefused() async throws {
        let files = try CommandFiles()
        defer { files.remove() }
        let app = try Repository("registry.example/app", layout: files.path("layout"))
        try await app.push("v1", content: "v1")
        let before = try Data(contentsOf: URL(filePath: files.path("layout/index.json")))
        files.directory.write("no key", to: "nothing.pem")
        let (key, chain) = (files.path("release.key"), files.path("release.chain"))
        for (options, words) in [
            (["--key", key, "--certificate-chain", files.path("other.chain")], "private key is not that"),
            (["--key", files.path("nothing.pem"), "--certificate-chain", chain], "--key"),
            (["--key", key, "--certificate-chain", files.path("nothing.pem")], "--certificate-chain"),
            (["--key", files.path("gone.key"), "--certificate-chain", chain], "gone.key"),
            (["--key", key, "--certificate-chain", chain, "--expiry", "soon"], "--expiry"),
            (["--key", key, "--certificate-chain", chain, "-m", "x"], "KEY=VALUE"),
            (["--key", key], "--certificate-chain"),
            (["--key", key, "--certificate-chain", chain, "--signature-format", "pgp"], "pgp"),
        ] {
            let run = try await Command.run(
                ["sign", app.name("v1"), "--oci-layout", files.path("layout")] + options)
            #expect(run.status == 2, "\(options): \(run)")
            #expect(run.errors.contains(words), "\(options): \(run)")
        }
        #expect(try Data(contentsOf: URL(filePath: files.path("layout/index.json"))) == before)
    }
}
