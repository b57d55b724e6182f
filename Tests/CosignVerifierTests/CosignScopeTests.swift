import OCI
import Sigstore
import SigstoreTestSupport
import Testing

@testable import CosignVerifier

/// Which policy is for which image, whatever spelling it is asked for by.
@Suite struct CosignScopeTests {
    static let digest = Digest(of: Array("the image".utf8))
    static let other = Digest(of: Array("another image".utf8))

    private func policies(_ scopes: [[String]]) throws(CosignPolicyError) -> CosignTrustPolicies {
        var policies: [CosignTrustPolicy] = []
        for (index, texts) in scopes.enumerated() {
            var own: [CosignScope] = []
            for text in texts where text != "*" { own.append(try CosignScope(parsing: text)) }
            policies.append(
                try CosignTrustPolicy(name: "\(index)", scopes: own, signers: .identities([TestInstance.identity])))
        }
        return try CosignTrustPolicies(policies)
    }

    /// The name of the policy for an image, with `t` behind it where that depends on its tag; nil for none.
    private func chosen(
        _ scopes: [[String]], _ reference: String, over transport: RegistryTransport = .https, _ digest: Digest = digest
    ) throws -> String? {
        let reference = try ImageReference(parsing: reference, over: transport)
        guard let (policy, isBound) = try? policies(scopes).policy(for: reference, digest: digest) else { return nil }
        return policy.name + (isBound ? "t" : "")
    }

    @Test func beginningsAndReferences() throws {
        let scopes = [["ghcr.io/team/*", "registry.example/app:v1"], ["docker.io/library/nginx*", "org/*"], ["*"]]
        #expect(try chosen(scopes, "ghcr.io/team/app:v1") == "0")
        #expect(try chosen(scopes, "ghcr.io/team/deep/app@\(Self.digest)") == "0")
        #expect(try chosen(scopes, "ghcr.io/team-b/app") == "2")
        #expect(try chosen(scopes, "registry.example/app:v1") == "0t")
        #expect(try chosen(scopes, "registry.example/app:v2") == "2t")
        #expect(try chosen(scopes, "registry.example/apple:v1") == "2")
        for spelling in ["nginx", "library/nginx:1", "docker.io/nginx", "index.docker.io/library/nginx"] {
            #expect(try chosen(scopes, spelling) == "1", "\(spelling)")
        }
        #expect(try chosen(scopes, "docker.io/org/app") == "1")
        #expect(try chosen([["ghcr.io/team/*"]], "ghcr.io/other/app") == nil)
        #expect(try chosen([["ghcr.io/team/app"]], "ghcr.io/team/app") == "0t")
        #expect(try chosen([["ghcr.io/team/app"]], "ghcr.io/team/app:v1") == nil)
        #expect(try chosen([["ghcr.io*"]], "ghcr.io/team/app") == "0")
    }

    /// Another way of writing the same registry leads to the same policy.
    @Test func spellingsOfRegistries() throws {
        let scopes = [["registry.example/team/*", "registry.example:5000/*"], ["*"]]
        for spelling in ["registry.example/team/app", "REGISTRY.example/team/app", "registry.example:443/team/app"] {
            #expect(try chosen(scopes, spelling) == "0", "\(spelling)")
        }
        #expect(try chosen(scopes, "registry.example:80/team/app") == "1")
        #expect(try chosen(scopes, "registry.example:80/team/app", over: .http) == "0")
        #expect(try chosen(scopes, "registry.example:5000/team/app") == "0")
        #expect(try chosen([["registry.example:443/team/*"], ["*"]], "registry.example/team/app") == "0")
    }

    /// Who asks with a digest chooses no other policy by that.
    @Test func digests() throws {
        let app = "registry.example/app"
        let byTag = [["\(app):v1"], ["*"]]
        #expect(try chosen(byTag, "\(app):v1") == "0t")
        #expect(try chosen(byTag, "\(app)@\(Self.digest)") == nil)
        #expect(try chosen(byTag, "\(app):v1@\(Self.digest)") == nil)
        #expect(try chosen(byTag, "\(app):v2@\(Self.digest)") == nil)
        #expect(try chosen([["\(app):v*"], ["*"]], "\(app)@\(Self.digest)") == nil)
        #expect(try chosen(byTag, "registry.example/other@\(Self.digest)") == "1")
        // A digest is itself by whatever name.
        let byDigest = [["\(app)@\(Self.digest)"], ["\(app):v1"], ["*"]]
        for spelling in ["\(app)@\(Self.digest)", "\(app):v1@\(Self.digest)", "\(app):v1", "\(app):v2"] {
            #expect(try chosen(byDigest, spelling) == "0", "\(spelling)")
        }
        #expect(try chosen(byDigest, "\(app):v1", Self.other) == "1t")
        #expect(try chosen(byDigest, "\(app)@\(Self.other)", Self.other) == nil)
        // A manifest of the index that was asked for.
        #expect(try chosen(byDigest, "\(app)@\(Self.digest)", Self.other) == "0")
        // What the message of the refusal suggests.
        let both = [["\(app):*", "\(app)@*"], ["*"]]
        for spelling in ["\(app)@\(Self.digest)", "\(app):v1@\(Self.digest)", "\(app):v1"] {
            #expect(try chosen(both, spelling)?.first == "0", "\(spelling)")
        }
        let error = #expect(throws: CosignTrustPolicies.NoPolicy.self) {
            try policies(byTag).policy(
                for: try ImageReference(parsing: "\(app)@\(Self.digest)"), digest: Self.digest)
        }
        #expect(error?.description.contains("nobody can tell which tags") == true)
        #expect(error?.remediation.contains("\(app):*") == true)
    }

    @Test func overlaps() throws {
        let overlapping = [
            ["ghcr.io/a*", "ghcr.io/ab*"], ["ghcr.io/a/*", "ghcr.io/a/b:v1"], ["ghcr.io/a/b", "ghcr.io/a/b:latest"],
            ["nginx", "docker.io/library/nginx:latest"], ["org/*", "docker.io/org/app*"], ["ghcr.io*", "ghcr.io/a/*"],
            ["r.example:443/a/*", "r.example/a/*"], ["r.example:80/a/*", "r.example/a/b*"],
            ["GHCR.io/a/*", "ghcr.io/a/*"],
        ]
        for scopes in overlapping {
            for order in [scopes, scopes.reversed()] {
                let error = #expect(throws: CosignPolicyError.self, "\(order)") {
                    try policies([[order[0]], [order[1]]])
                }
                #expect(error?.member == "scopes" && error?.policy == 1)
                #expect(throws: CosignPolicyError.self) { try policies([order]) }
            }
        }
        let apart = [
            ["ghcr.io/a/*", "ghcr.io/b/*"], ["ghcr.io/a", "ghcr.io/a:v1"],
            ["ghcr.io/a:v1", "ghcr.io/a@\(Self.digest)"],
            ["r.example:5000/a/*", "r.example/a/*"], ["ghcr.io/a/*", "docker.io/a/*"], ["ghcr.io/a/*", "a/*"],
        ]
        for scopes in apart { #expect(throws: Never.self, "\(scopes)") { try policies([[scopes[0]], [scopes[1]]]) } }
    }

    @Test(arguments: [
        "", "**", "a*b", "ghcr.io/a**", "ghcr.io/a b", "ghcr.io/A/*", "ghcr.io/A", "nginx*", "docker.io/nginx*",
        "https://ghcr.io/a", "ghcr.io/a:v1@sha256:\(String(repeating: "0", count: 64))", "ghcr.io/ä", "x y/*",
        "ghcr.io/a@sha256:00", "[/a*",
    ])
    func malformedScopes(_ text: String) {
        let error = #expect(throws: CosignPolicyError.self) { try CosignScope(parsing: text) }
        #expect(error?.member == "scopes")
    }

    @Test func policiesAsAWhole() throws {
        #expect(throws: CosignPolicyError.self) { try CosignTrustPolicies([]) }
        #expect(throws: CosignPolicyError.self) { try policies([["*"], ["*"]]) }
        let one = try CosignTrustPolicy.keyless(scopes: ["ghcr.io/a/*"], name: "same")
        let error = #expect(throws: CosignPolicyError.self) {
            try CosignTrustPolicies([one, try .keyless(scopes: ["ghcr.io/b/*"], name: "same")])
        }
        #expect(error?.member == "name")
        #expect(throws: CosignPolicyError.self) { try CosignTrustPolicy.keys([]) }
        #expect(throws: CosignPolicyError.self) { try CosignTrustPolicy.keyless([]) }
        #expect(throws: CosignPolicyError.self) { try CosignTrustPolicy.keys([.file("a")], signatures: 2) }
        #expect(throws: CosignPolicyError.self) { try CosignTrustPolicy.keyless(name: "") }
        let open = try CosignTrustPolicy.keyless(scopes: ["ghcr.io*"])
        #expect(open.warnings.count == 1 && open.warnings[0].contains("slash"))
        var unlogged = CosignTrustPolicy.Thresholds()
        unlogged.logs = 0
        #expect(try CosignTrustPolicy.keyless(thresholds: unlogged).warnings.first?.hasPrefix("tLogVerify") == true)
        let idle = try CosignTrustPolicy.keyless(logURL: "https://rekor.example", thresholds: unlogged)
        #expect(idle.warnings.contains { $0.hasPrefix("rekorURL has no effect") } && idle.logURL == nil)
    }
}
