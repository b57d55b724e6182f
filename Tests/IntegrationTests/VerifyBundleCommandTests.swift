import Foundation
import StrictJSON
import TestSupport
import Testing

/// `countersign verify-bundle`, as Sigstore's conformance suite calls it.
@Suite struct VerifyBundleCommandTests {
    let cases: URL

    init() throws {
        cases = try UnpackedArchive.directory(of: "Tests/Fixtures/sigstore/cases.tar.xz", name: "sigstore")
            .appending(path: "bundle-verify")
    }

    private static let identity = [
        "--certificate-identity",
        "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/"
            + "extremely-dangerous-oidc-beacon.yml@refs/heads/main", "--certificate-oidc-issuer",
        "https://token.actions.githubusercontent.com",
    ]

    private func file(_ name: String, _ part: String) -> String? {
        let path = cases.appending(path: "\(name)/\(part)").path()
        return FileManager.default.fileExists(atPath: path) ? path : nil
    }

    private func arguments(_ name: String) -> [String] {
        var arguments = ["verify-bundle", "--bundle", cases.appending(path: "\(name)/bundle.sigstore.json").path()]
        arguments += file(name, "key.pub").map { ["--key", $0] } ?? Self.identity
        if let root = file(name, "trusted_root.json") { arguments += ["--trusted-root", root] }
        return arguments
    }

    private var artifact: String { cases.appending(path: "a.txt").path() }

    @Test func everyCase() async throws {
        let names = try FileManager.default.contentsOfDirectory(atPath: cases.path()).filter { $0 != "a.txt" }
        #expect(names.count == 38)
        for name in names {
            let run = try await Command.run(arguments(name) + [file(name, "artifact") ?? artifact])
            #expect(run.status == (name.hasSuffix("_fail") ? 1 : 0), "\(name): \(run)")
            // A refusal says why, in one line.
            if run.status == 1 { #expect(run.errors.split(separator: "\n").count == 1, "\(name): \(run)") }
        }
    }

    @Test func theDigestSuffices() async throws {
        let digest = "sha256:a0cfc71271d6e278e57cd332ff957c3f7043fdda354c4cbb190a30d56efa01bf"
        for name in ["happy-path-v0.3", "happy-path-intoto-in-dsse-v3", "managed-key-happy-path"] {
            let good = try await Command.run(arguments(name) + [digest])
            #expect(good.status == 0, "\(good)")
            let bad = try await Command.run(arguments(name) + [digest.replacing("a0cf", with: "a0ce")])
            #expect(bad.status == 1, "\(bad)")
        }
    }

    @Test func identities() async throws {
        let bundle = ["verify-bundle", "--bundle", file("happy-path-v0.3", "bundle.sigstore.json") ?? ""]
        func run(_ name: String, _ issuer: String, exactly: Bool = false) async throws -> Command.Outcome {
            let suffix = exactly ? "" : "-regexp"
            return try await Command.run(
                bundle + [
                    "--certificate-identity\(suffix)", name, "--certificate-oidc-issuer\(suffix)", issuer, artifact,
                ])
        }
        let issuer = "https://token\\.actions\\.githubusercontent\\.com"
        let good = try await run("https://github\\.com/sigstore-conformance/.*@refs/heads/main", issuer)
        #expect(good.status == 0 && good.errors.isEmpty, "\(good)")
        // An expression is about the whole identity.
        #expect(try await run("https://github\\.com/sigstore-conformance/", issuer).status == 1)
        #expect(try await run("someone@example.com", "https://issuer.example", exactly: true).status == 1)
        // One that matches anybody is told.
        let any = try await run(".*", issuer)
        #expect(any.status == 0 && any.errors.contains("matches anything"), "\(any)")
        let broken = try await run("(", issuer)
        #expect(broken.status == 2 && broken.errors.contains("--certificate-identity-regexp"), "\(broken)")
    }

    @Test func whatIsPrinted() async throws {
        let good = try await Command.run(arguments("rekor2-dsse-happy-path") + [artifact, "--output", "json"])
        #expect(good.json["verified"] == true, "\(good)")
        #expect(good.json["steps"]?.array?.count == 8)
        #expect(good.json["issuer"] == "https://token.actions.githubusercontent.com")
        #expect(good.json["predicateType"] == "https://slsa.dev/provenance/v1")
        #expect(good.json["logEntries"]?.array?.first?["log"] == "https://log2025-alpha3.rekor.sigstage.dev")
        let bad = try await Command.run(arguments("wrong-material_fail") + [artifact, "--output", "json"])
        #expect(bad.status == 0, "\(bad)")
        let other = try await Command.run(
            arguments("wrong-material_fail") + [file("wrong-material_fail", "artifact") ?? "", "--output", "json"])
        #expect(other.status == 1 && other.json["verified"] == false, "\(other)")
        #expect(other.json["identity"] == nil && other.json["logEntries"] == nil)
        let text = try await Command.run(arguments("happy-path-v0.3") + [artifact])
        #expect(text.output.contains("extremely-dangerous-oidc-beacon.yml") && text.output.contains("passed"))
    }

    @Test func wrongUsage() async throws {
        let bundle = ["verify-bundle", "--bundle", file("happy-path-v0.3", "bundle.sigstore.json") ?? ""]
        for arguments in [
            bundle + [artifact], bundle + ["--certificate-identity", "a", artifact],
            bundle + Self.identity + ["--key", "x", artifact],
            bundle + Self.identity + ["--certificate-identity-regexp", "a", artifact], bundle + Self.identity,
            ["verify-bundle"] + Self.identity + [artifact],
        ] {
            #expect(try await Command.run(arguments).status == 2, "\(arguments)")
        }
        for missing in [
            bundle + Self.identity + ["nowhere"], bundle + Self.identity + ["--trusted-root", "nowhere", artifact],
            bundle + ["--key", "nowhere", artifact],
        ] {
            let run = try await Command.run(missing)
            #expect(run.status == 1 && run.errors.contains("cannot be read"), "\(run)")
        }
    }
}
