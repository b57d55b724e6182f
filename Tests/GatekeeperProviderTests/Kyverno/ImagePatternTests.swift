import OCI
import Testing

@testable import GatekeeperProvider

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
        #expect(ImagePattern(text: pattern).matches(text) == isMatch)
    }

    @Test func aHostilePatternIsNotSlow() {
        let pattern = ImagePattern(text: String(repeating: "*a", count: 200) + "b")
        let start = ContinuousClock.now
        #expect(!pattern.matches(String(repeating: "a", count: 1000)))
        #expect(.now - start < .seconds(30))
    }

    @Test(arguments: [
        ("nginx", ["docker.io/library/nginx:latest", "docker.io/nginx:latest"]),
        ("index.docker.io/org/app:v1", ["docker.io/org/app:v1"]),
        ("GHCR.io/org/app", ["ghcr.io/org/app:latest"]),
    ])
    func kyvernosNamesOfAnImage(_ text: String, _ names: [String]) throws {
        #expect(try ImageReference(parsing: text).patternTexts == names)
    }

    @Test func besideADigestATagOnlyChooses() throws {
        let digest = "sha256:" + String(repeating: "1", count: 64)
        let reference = try ImageReference(parsing: "ghcr.io/org/app:v1@\(digest)")
        #expect(reference.patternTexts == ["ghcr.io/org/app@\(digest)"])
        #expect(reference.taggedTexts == ["ghcr.io/org/app:v1"])
    }
}
