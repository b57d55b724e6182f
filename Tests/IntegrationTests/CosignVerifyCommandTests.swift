import Foundation
import OCI
import StrictJSON
import TestSupport
import Testing

/// `countersign verify` of cosign's signatures, typed as `cosign verify` is.
@Suite struct CosignVerifyCommandTests {
    private let images: SigstoreImages

    init() throws { images = try SigstoreImages.made.get() }

    private func policy(_ name: String) throws -> SigstoreImages.Policy {
        try #require(images.policies.first { $0.name == name })
    }

    /// The options that stand for a policy.
    private func options(_ policy: SigstoreImages.Policy) -> [String] {
        var options = ["--trusted-root", images.trustedRoot]
        if let key = policy.key { options += ["--key", key] }
        if let identity = policy.identity { options.append("--certificate-identity=\(identity)") }
        if let issuer = policy.issuer { options.append("--certificate-oidc-issuer=\(issuer)") }
        if !policy.isLogged { options.append("--insecure-ignore-tlog=true") }
        for (name, value) in policy.annotations { options += ["-a", "\(name)=\(value)"] }
        return options
    }

    private var layout: [String] { ["--oci-layout", images.layout] }

    private func verify(_ name: String, _ options: [String]) async throws -> Command.Outcome {
        try await Command.run(["verify"] + options + layout + ["\(images.repository):\(name)", "-o", "json"])
    }

    /// Every image by the key and by the identity, and those that the other policies tell apart by these too.
    @Test func everyImage() async throws {
        #expect(images.images.count > 40 && images.policies.count == 11)
        let questions = images.images.flatMap { image in
            images.policies.filter { policy in
                switch policy.name {
                case "key", "keyless": true
                case "key-annotated": image.name.contains("key")
                case "key-unlogged", "keyless-unlogged":
                    ["unlogged", "time", "other"].contains { image.name.contains($0) }
                default: image.name.hasPrefix("legacy-rsa") || image.name.hasPrefix("bundle-p")
                }
            }
            .map { (image, $0) }
        }
        #expect(questions.contains { image, policy in policy.name == "key-rsa2048" && image.name == "legacy-rsa2048" })
        await withTaskGroup(of: Void.self) { group in
            for worker in 0..<4 {
                group.addTask {
                    for (image, policy) in stride(from: worker, to: questions.count, by: 4).map({ questions[$0] }) {
                        guard let run = try? await verify(image.name, options(policy)) else {
                            Issue.record("\(image.name) by \(policy.name) did not run")
                            continue
                        }
                        let isGood = image.verifiedBy.contains(policy.name)
                        #expect(
                            run.status == (isGood ? 0 : 1), "\(image.name) (\(image.why)) by \(policy.name): \(run)")
                        #expect(run.json["verified"]?.bool == isGood && run.json["determined"] == true)
                        #expect(run.json["digest"]?.string == image.digest.description)
                        #expect((run.json["error"] == nil) == isGood)
                    }
                }
            }
        }
    }

    @Test func whatIsPrinted() async throws {
        let keyless = try policy("keyless")
        let good = try await verify("bundle-keyless", options(keyless))
        #expect(good.status == 0 && good.errors.isEmpty, "\(good)")
        let signature = try #require(good.json["signatures"]?.array?.first)
        #expect(good.json["signatures"]?.array?.count == 1)
        #expect(signature["type"] == "cosign" && signature["verified"] == true && signature["error"] == nil)
        #expect(signature["certificate"]?["identity"]?.string == keyless.identity)
        #expect(signature["certificate"]?["issuer"]?.string == keyless.issuer)
        #expect(signature["certificate"]?["extensions"]?["sourceRepositoryRef"] == "refs/heads/main")
        let steps = try #require(signature["steps"]?.array)
        #expect(steps.count == 8 && steps.allSatisfy { $0["result"] == "passed" }, "\(good)")
        #expect(signature["logEntries"]?.array?.count == 1)
        #expect(signature["manifest"]?.string?.hasPrefix("sha256:") == true)

        // The two layers of one manifest, each for itself.
        let two = try await verify("legacy-two-signatures", options(try policy("key")))
        #expect(
            two.status == 0 && two.json["signatures"]?.array?.map { $0["verified"]?.bool } == [false, true], "\(two)")

        let text = try await Command.run(
            ["verify"] + options(keyless) + layout + ["\(images.repository):bundle-keyless"])
        #expect(text.status == 0, "\(text)")
        for words in [keyless.identity ?? "", keyless.issuer ?? "", "transparency", "passed", "2025-06-01T12:00:05Z"] {
            #expect(text.output.contains(words), "\(words): \(text)")
        }
        let bad = try await Command.run(
            ["verify"] + options(keyless) + layout + ["\(images.repository):legacy-no-promise"])
        #expect(bad.status == 1 && bad.output.contains("failed") && bad.output.contains("not run"), "\(bad)")
    }

    @Test func identities() async throws {
        let root = ["--trusted-root", images.trustedRoot]
        let issuer = ["--certificate-oidc-issuer", "https://token.actions.githubusercontent.com"]
        func run(_ options: [String]) async throws -> Command.Outcome {
            try await verify("bundle-keyless", root + options)
        }
        let whole = try await run(
            [
                "--certificate-identity-regexp", #"https://github\.com/example/app/.*"#,
                "--certificate-oidc-issuer-regexp",
            ]
                + ["https://token[.]actions[.]githubusercontent[.]com"])
        #expect(whole.status == 0 && whole.errors.isEmpty, "\(whole)")
        // Expressions must match the whole value: cosign's own match anywhere.
        let part = try await run(["--certificate-identity-regexp", "github.com/example/app"] + issuer)
        #expect(part.status == 1, "\(part)")
        let anybody = try await run(["--certificate-identity-regexp", ".*"] + issuer)
        #expect(anybody.status == 0 && anybody.errors.contains("matches anything"), "\(anybody)")
        let identity = ["--certificate-identity", try #require(try policy("keyless").identity)]
        let workflow = try await run(
            identity + issuer + [
                "--certificate-github-workflow-repository", "example/app", "--certificate-github-workflow-ref",
                "refs/heads/main", "--certificate-github-workflow-trigger", "push",
            ])
        #expect(workflow.status == 0, "\(workflow)")
        let other = try await run(identity + issuer + ["--certificate-github-workflow-ref", "refs/heads/other"])
        #expect(other.status == 1 && other.json["error"]?.string?.contains("refs/heads/other") == true, "\(other)")
    }

    /// Without a trusted root it is the public good instance, which knows nothing of these signatures.
    @Test func theTrustedRootDecides() async throws {
        let key = try policy("key")
        for name in ["legacy-key", "bundle-keyless"] {
            let policy = name == "legacy-key" ? key : try policy("keyless")
            let run = try await verify(name, Array(options(policy).dropFirst(2)))
            #expect(run.status == 1 && run.json["verified"] == false, "\(run)")
        }
        // A key needs no root where no log is asked for.
        let unlogged = try await verify("legacy-key", ["--key", key.key ?? "", "--insecure-ignore-tlog"])
        #expect(unlogged.status == 0, "\(unlogged)")
        // One of several keys suffices, whichever.
        let several = try await verify(
            "legacy-key",
            ["--cosign-key", images.path("images/keys/p384.pub"), "--cosign-key", key.key ?? ""]
                + ["--trusted-root", images.trustedRoot])
        #expect(several.status == 0, "\(several)")
    }

    @Test func wrongUsage() async throws {
        let files = try TemporaryDirectory()
        defer { files.remove() }
        let key = ["--key", images.path("images/keys/cosign.pub")]
        let identity = ["--certificate-identity", "me@example.com"]
        let issuer = ["--certificate-oidc-issuer", "https://issuer.example"]
        let nonsense = files.write("nonsense", to: "nonsense")
        for (options, word) in [
            (identity, "--certificate-oidc-issuer"), (issuer, "--certificate-identity"),
            (key + identity + issuer, "a key or an identity"), (["--insecure-ignore-tlog"], "whose"),
            (["-a", "stage=prod"], "whose"), (["--trusted-root", images.trustedRoot], "whose"),
            (key + ["--insecure-ignore-sct"], "--insecure-ignore-sct"), (key + ["-a", "stage"], "KEY=VALUE"),
            (key + ["--certificate-github-workflow-ref", "refs/heads/main"], "a key or an identity"),
            (key + ["--trust-policy", "policy.json"], "--trust-policy"), (key + ["--config", "c.json"], "--config"),
            (key + ["-m", "a=b"], "--user-metadata"), (["--key", "k8s://namespace/key"], "expected a file"),
            (["--key", nonsense], "--key"), (["--key", files.path("none")], "cannot be read"),
            (["--key", images.path("images/keys/cosign.key")], "--key"),
            (key + ["--trusted-root", nonsense], "--trusted-root"),
            (identity + issuer + ["--certificate-identity-regexp", "x"], "exactly or as an expression"),
            (
                ["--certificate-identity-regexp", "(", "--certificate-oidc-issuer", "x"],
                "--certificate-identity-regexp"
            ),
        ] {
            let run = try await verify("legacy-key", options)
            #expect(run.status == 2 && run.output.isEmpty, "\(options): \(run)")
            #expect(run.errors.contains(word), "\(options): \(run)")
        }
    }

    @Test(.enabled(if: DockerRegistry.isInstalled, "docker-registry is not installed"))
    func aRegistry() async throws {
        let registry = try await DockerRegistry()
        defer { registry.stop() }
        let app = try Repository("\(registry.host)/app")
        let names = ["both", "legacy-key", "bundle-keyless", "unsigned", "bundle-attestation", "legacy-other-image"]
        for name in names { try await images.copy(name, to: app.destination, app.reference) }
        for name in names {
            let image = try #require(images.image(name))
            for policy in [try policy("key"), try policy("keyless")] {
                let isGood = image.verifiedBy.contains(policy.name)
                // By its digest too.
                for reference in [app.name(name), "\(app.reference.scopeName)@\(image.digest)"] {
                    let run = try await Command.run(["verify"] + options(policy) + [reference, "-o", "json"])
                    #expect(run.status == (isGood ? 0 : 1), "\(reference) by \(policy.name): \(run)")
                    #expect(run.json["digest"]?.string == image.digest.description)
                }
            }
        }
        let nowhere = try await Command.run(
            ["verify"] + options(try policy("key")) + [app.name("nowhere"), "-o", "json"])
        #expect(nowhere.status == 1 && nowhere.json["digest"] == nil, "\(nowhere)")
    }

    /// `sign --cosign-key` and `verify --key` belong together, with an annotation and without a log.
    @Test(arguments: ["bundle", "legacy"]) func whatSignWrites(_ format: String) async throws {
        let files = try TemporaryDirectory()
        defer { files.remove() }
        let app = try Repository("registry.example/app", layout: files.path("layout"))
        try await app.push("v1", content: format)
        let place = [app.name("v1"), "--oci-layout", files.path("layout")]
        let signed = try await Command.run(
            [
                "sign", "--cosign-key", images.path("images/keys/cosign.key"), "--cosign-format", format, "-a",
                "stage=prod",
            ]
                + place)
        #expect(signed.status == 0, "\(signed)")
        let key = ["--key", images.path("images/keys/cosign.pub")]
        for (options, status) in [
            (["--insecure-ignore-tlog", "-a", "stage=prod"], Int32(0)),
            (["--insecure-ignore-tlog", "-a", "stage=test"], 1),
            ([], 1),
        ] {
            let run = try await Command.run(["verify"] + key + options + place)
            #expect(run.status == status, "\(options): \(run)")
        }
    }

    /// A fault of the registry is no verdict: neither of the listing, nor of the tag, nor of what is listed.
    @Test func aFaultIsNoVerdict() async throws {
        let key = options(try policy("key"))
        try await withRegistry { registry in
            let app = try Repository("\(registry.endpoint)/app")
            try await images.copy("legacy-key", to: app.destination, app.reference)
            let good = try await Command.run(["verify"] + key + [app.name("legacy-key"), "-o", "json"])
            #expect(good.status == 0, "\(good)")
            for path in ["/v2/app/referrers/*", "/v2/app/manifests/sha256-*", "/v2/app/blobs/*"] {
                registry.inject(.tooManyRequests(retryAfter: "600"), path: path)
                let run = try await Command.run(["verify"] + key + [app.name("legacy-key"), "-o", "json"])
                #expect(run.status == 3 && run.json["determined"] == false, "\(path): \(run)")
                registry.clearFaults()
            }
        }
    }
}
