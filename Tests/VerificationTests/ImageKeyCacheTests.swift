import Testing

@testable import Verification

@Suite struct ImageKeyCacheTests {
    @Test func aKeyMeansTheSameTheSecondTime() throws {
        let keys = ImageKeyCache()
        for text in [
            " nginx ", "[team-a]r.example/app:v1", "r.example/app@sha256:\(String(repeating: "a", count: 64))",
        ] {
            let first = try keys.key(text)
            #expect(try first == keys.key(text))
            #expect(try first == ImageKey(parsing: text))
            #expect(first.name == first.reference.description)
        }
        #expect(keys.counts.entries == 3)
    }

    /// For Swift's `==` U+212A is K. It is not in the name of an image.
    @Test func textsAreComparedByTheirBytes() throws {
        let keys = ImageKeyCache()
        _ = try keys.key("r.example/app:K")
        #expect("r.example/app:K" == "r.example/app:\u{212A}")
        #expect(throws: ImageKeyError.self) { try keys.key("r.example/app:\u{212A}") }
    }

    /// Also when the same text has been read as a key to verify.
    @Test func anImageToMutateHasNoNamespace() throws {
        let keys = ImageKeyCache()
        _ = try keys.key("[team-b]r.example/app:v1")
        for text in ["[team-b]r.example/app:v1", " [team-b]nginx", "[team-c]r.example/app:v1"] {
            #expect(throws: ImageKeyError.self) { try keys.image(text) }
        }
        #expect(try keys.image("[::1]:5000/app:v1").reference.registry == "[::1]:5000")
        #expect(try keys.image("nginx ").namespace == nil)
    }

    @Test func whatIsKeptIsBounded() throws {
        let keys = ImageKeyCache()
        var most = 0
        for number in 0..<10_000 {
            _ = try keys.key("r.example/app:v\(number)")
            most = max(most, keys.counts.entries)
        }
        #expect(most <= ImageKeyCache.maximumBytes / 64 && keys.counts.entries > 0)
        let before = keys.counts.entries
        _ = try keys.key("nginx" + String(repeating: " ", count: ImageKeyCache.maximumBytes))
        #expect(keys.counts.entries == before)
    }
}
