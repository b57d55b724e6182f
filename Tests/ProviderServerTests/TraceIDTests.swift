import Foundation
import NIOHTTP1
import Testing

@testable import ProviderServer

@Suite struct TraceIDTests {
    @Test func firstConfiguredHeaderWins() {
        let headers = HTTPHeaders([("traceparent", "00-abc-def-01"), ("x-request-id", "r1")])
        #expect(TraceID.of(headers, names: ["X-Request-ID", "traceparent"]) == "r1")
        #expect(TraceID.of(headers, names: ["absent", "Traceparent"]) == "00-abc-def-01")
    }

    @Test func aHeaderThatOccursTwiceIsNotUsed() {
        let headers = HTTPHeaders([("x-request-id", "r1"), ("X-Request-Id", "r2")])
        #expect(UUID(uuidString: TraceID.of(headers, names: ["x-request-id"])) != nil)
    }

    @Test func headersThatAreNotConfiguredAreIgnored() {
        let id = TraceID.of(HTTPHeaders([("x-request-id", "r1")]), names: [])
        #expect(id != "r1" && UUID(uuidString: id) != nil)
    }

    @Test(arguments: ["", "a b", "a\"b", "a\u{1B}[0m", "é", String(repeating: "x", count: 129)])
    func whatCouldForgeALogLineIsNotUsed(value: String) {
        #expect(!TraceID.isAcceptable(value))
        let id = TraceID.of(HTTPHeaders([("x-request-id", value)]), names: ["x-request-id"])
        #expect(UUID(uuidString: id) != nil)
    }

    @Test func generatedIDsAreRandomUUIDs() throws {
        var seen: Set<String> = []
        for _ in 0..<1000 {
            let id = TraceID.generated()
            let bytes = try #require(UUID(uuidString: id)).uuid
            #expect(bytes.6 >> 4 == 4 && bytes.8 >> 6 == 2 && id == id.lowercased())
            seen.insert(id)
        }
        #expect(seen.count == 1000)
    }
}
