import OCI
import Testing

@testable import Kyverno

@Suite struct ImagePatternTests {
    @Test(arguments: [
        ("*", "anything/at:all", true), ("", "", true), ("", "x", false),
        ("ghcr.io/*", "ghcr.io/org/sub/app:v1", true), ("ghcr.io/*", "ghcr.io.evil.example/app:v1", false),
        ("ghcr.io/org/app", "ghcr.io/org/app:v1", false), ("ghcr.io/org/app*", "ghcr.io/org/app-two:v1", true),
        ("*/app:v?", "ghcr.io/org/app:v1", true), ("*/app:v?", "ghcr.io/org/app:v12", false),
        ("*/app:v?", "ghcr.io/org/app:v", false), ("*a*b*c", "xxaxxbxxc", true), ("*a*b*c", "xxaxxcxxb", false),
        ("a?c", "abc", true), ("a?c", "ac", false), ("**", "x", true), ("x**", "x", true), ("a.c", "abc", false),
    ])
    func stars(_ pattern: String, _ text: String, _ isMatch: Bool) {
        #expect(WildcardPattern(text: pattern).matches(text) == isMatch)
    }

    @Test func aHostilePatternIsNotSlow() {
        let pattern = WildcardPattern(text: String(repeating: "*a", count: 200) + "b")
        let start = ContinuousClock.now
        #expect(!pattern.matches(String(repeating: "a", count: 1000)))
        #expect(.now - start < .seconds(30))
    }

    @Test(arguments: [
        ("nginx", ["docker.io/library/nginx:latest", "docker.io/nginx:latest"]),
        ("docker.io/library/team/app", ["docker.io/library/team/app:latest"]),
        ("index.docker.io/org/app:v1", ["docker.io/org/app:v1"]),
        ("GHCR.io/org/app", ["ghcr.io/org/app:latest"]),
    ])
    func kyvernosNamesOfAnImage(_ text: String, _ names: [String]) throws {
        let reference = try ImageReference(parsing: text)
        #expect(reference.patternTexts(at: [reference.registry], of: reference.repositories) == names)
    }

    @Test func besideADigestATagOnlyChooses() throws {
        let digest = "sha256:" + String(repeating: "1", count: 64)
        let reference = try ImageReference(parsing: "ghcr.io/org/app:v1@\(digest)")
        #expect(reference.patternTexts(at: ["ghcr.io"], of: reference.repositories) == ["ghcr.io/org/app@\(digest)"])
        #expect(reference.taggedTexts(at: ["ghcr.io"]) == ["ghcr.io/org/app:v1"])
    }

    /// A list of what is to be verified, and one of what is not, cannot be got round by another spelling of a registry.
    @Test(arguments: [
        // pattern, image, chosen, exempt
        ("reg.example/*", "reg.example/app", true, true), ("reg.example/*", "reg.example:443/app", true, true),
        ("reg.example:443/*", "reg.example/app", true, true), ("REG.example./*", "reg.example:443/app", true, true),
        ("reg.example:0443/app:*", "Reg.example/app:v1", true, true), ("*.EXAMPLE/*", "reg.example/app", true, true),
        ("*.example:443/*", "reg.example/app", true, true), ("*.example:443/*", "reg.example:443/app", true, true),
        ("index.docker.io/*", "nginx", true, true),
        ("docker.io:443/library/*", "index.docker.io:443/nginx", true, true),
        ("registry-1.docker.io/nginx:*", "nginx", true, true), ("docker.io/*", "docker.io:443/org/app", true, true),
        ("[::1]:5000/*", "[0:0::1]:5000/app", true, true), ("10.0.0.1/*", "[::ffff:a00:1]/app", true, true),
        // Over https port 80 is another registry, in plain HTTP it may be the same: chosen, and not exempt.
        ("reg.example/*", "reg.example:80/app", true, false), ("reg.example:80/*", "reg.example/app", true, false),
        ("*index.docker.io/*", "nginx", true, false),
        // Another registry is another one.
        ("reg.example/*", "reg.example:5000/app", false, false),
        ("reg.example:5000/*", "reg.example/app", false, false),
        ("reg.example/*", "reg.example.evil/app", false, false), ("*:4*", "reg.example/app:v1", true, false),
        ("*:443/x*", "reg.example/app", false, false), ("library/nginx*", "nginx", false, false),
    ])
    func anySpellingOfTheRegistry(_ pattern: String, _ image: String, _ isChosen: Bool, _ isExempt: Bool) throws {
        let reference = try ImageReference(parsing: image)
        #expect(ImagePattern(pattern).chooses(reference) == isChosen)
        #expect(ImagePattern(pattern).exempts(reference) == isExempt)
    }

    /// Docker Hub's own images are in `library`, and not for that among those of any pattern that begins so.
    @Test(arguments: [
        // pattern, image, chosen, exempt
        ("docker.io/l*", "evil", true, false), ("docker.io/l*", "docker.io/library/evil", true, false),
        ("index.docker.io/l*", "docker.io/evil", true, false), ("*/l*", "evil", true, false),
        ("docker.io/?ibrary/evil:*", "evil", true, false), ("docker.io/*/evil:*", "evil", true, false),
        ("docker.io/librar*", "evil:v1", true, false), ("docker.io/l*", "linux", true, true),
        ("docker.io/l*", "linuxserver/app", true, true), ("docker.io/ng*", "docker.io/library/nginx", true, true),
        ("docker.io/library/*", "nginx", true, true), ("docker.io/library*", "nginx", true, true),
        ("docker.io/library/l*", "evil", false, false), ("*/library/nginx:*", "nginx", true, true),
        ("docker.io/team/*", "docker.io/library/team/app", false, false),
        ("docker.io/library/*", "docker.io/library/team/app", true, true),
        ("reg.example/l*", "reg.example/library/evil", true, true),
        ("reg.example/l*", "reg.example/evil", false, false),
    ])
    func oneSpellingOfDockerHubsOwnImages(_ pattern: String, _ image: String, _ isChosen: Bool, _ isExempt: Bool) throws
    {
        let reference = try ImageReference(parsing: image)
        #expect(ImagePattern(pattern).chooses(reference) == isChosen)
        #expect(ImagePattern(pattern).exempts(reference) == isExempt)
    }
}
