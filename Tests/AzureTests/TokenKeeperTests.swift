import Testing

@testable import Azure

/// Tokens of identities and registries, within bounds.
@Suite struct TokenKeeperTests {
    private func token(_ keeper: TokenKeeper<Int>, _ key: Int, bytes: Int) async throws -> AzureToken {
        let timeout = AzureError(.timeout, endpoint: "login.example", detail: "no answer")
        return try await keeper.token(for: key, deadline: .now + .seconds(300), timeout: timeout) {
            (_, _) async throws(AzureError) -> AzureToken in
            AzureToken(
                value: String(repeating: "t", count: bytes), obtained: .now, lifetime: .seconds(3600))
        }
    }

    /// Whoever issues a token chooses its length: the bytes count, and the number.
    @Test func boundedInBytesAndNumber() async throws {
        let keeper = TokenKeeper<Int>(maximumEntries: 5, maximumBytes: 10_000, workTime: .seconds(60))
        for key in 0..<8 { for _ in 0..<2 { _ = try await token(keeper, key, bytes: 100) } }
        #expect(keeper.counts.entries == 5 && keeper.counts.evictions == 3)
        #expect(keeper.counts.hits == 8 && keeper.counts.misses == 8)
        for key in 10..<13 { _ = try await token(keeper, key, bytes: 4000) }
        #expect(keeper.counts.entries == 2 && keeper.counts.cost <= 10_000)
        // One that does not fit is given, and not kept.
        #expect(try await token(keeper, 20, bytes: 20_000).value.utf8.count == 20_000)
        #expect(keeper.counts.entries == 2)
        for key in [11, 12] { keeper.forget(key, value: String(repeating: "t", count: 4000)) }
        #expect(keeper.counts.entries == 0 && keeper.counts.cost == 0)
    }
}
