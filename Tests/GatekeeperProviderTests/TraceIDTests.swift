import Foundation
import HTTPTypes
import Testing

@testable import GatekeeperProvider

@Suite struct TraceIDTests {
    private func headers(_ fields: [(String, String)]) throws -> HTTPFields {
        var headers = HTTPFields()
        for (name, value) in fields {
            headers.append(HTTPField(name: try #require(HTTPField.Name(name)), value: value))
        }
        return headers
    }

    @Test func firstConfiguredHeaderWins() throws {
        let headers = try headers([("traceparent", "00-abc-def-01"), ("x-request-id", "r1")])
        #expect(TraceID.of(headers, names: ["X-Request-ID", "traceparent"]) == "r1")
        #expect(TraceID.of(headers, names: ["absent", "Traceparent"]) == "00-abc-def-01")
    }

    @Test func headersThatAreNotConfiguredAreIgnored() throws {
        let id = TraceID.of(try headers([("x-request-id", "r1")]), names: [])
        #expect(id != "r1" && UUID(uuidString: id) != nil)
    }

    @Test(arguments: ["", "a b", "a\"b", "a\u{1B}[0m", "é", String(repeating: "x", count: 129)])
    func whatCouldForgeALogLineIsNotUsed(value: String) throws {
        #expect(!TraceID.isAcceptable(value))
        let id = TraceID.of(try headers([("x-request-id", value)]), names: ["x-request-id"])
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
