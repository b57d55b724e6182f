import Testing

@testable import Verification

@Suite struct ParsedKeysTests {
    @Test func aKeyMeansTheSameTheSecondTime() throws {
        let keys = ParsedKeys()
        for text in [
            " nginx ", "[team-a]r.example/app:v1", "r.example/app@sha256:\(String(repeating: "a", count: 64))",
        ] {
            let first = try keys.parse(text)
            let second = try keys.parse(text)
            #expect(first.key == second.key && first.reference == second.reference)
            #expect(try first.key == VerificationKey(parsing: text))
            #expect(first.reference == first.key.reference.description)
        }
        #expect(keys.counts.entries == 3)
    }

    /// For Swift's `==` U+212A is K. It is not in the name of an image.
    @Test func textsAreComparedByTheirBytes() throws {
        let keys = ParsedKeys()
        _ = try keys.parse("r.example/app:K")
        #expect("r.example/app:K" == "r.example/app:\u{212A}")
        #expect(throws: VerificationKeyError.self) { try keys.parse("r.example/app:\u{212A}") }
    }

    @Test func whatIsKeptIsBounded() throws {
        let keys = ParsedKeys()
        var most = 0
        for number in 0..<10_000 {
            _ = try keys.parse("r.example/app:v\(number)")
            most = max(most, keys.counts.entries)
        }
        #expect(most <= ParsedKeys.maximumBytes / 64 && keys.counts.entries > 0)
        let before = keys.counts.entries
        _ = try keys.parse("nginx" + String(repeating: " ", count: ParsedKeys.maximumBytes))
        #expect(keys.counts.entries == before)
    }
}
