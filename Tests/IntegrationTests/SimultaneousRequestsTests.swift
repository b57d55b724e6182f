import Foundation
import OCI
import TestSupport
import Testing

/// Many who ask the same at once cost the registry and the verifier as much as one.
@Suite struct SimultaneousRequestsTests {
    @Test func fiveHundredRequestsAreOneVerification() async throws {
        try await withRegistry { registry in
            let app = try Repository("\(registry.endpoint)/app")
            try await app.push("v1", signedBy: try Signers.shared.get().release)
            registry.forgetRequests()
            // Time for all requests to arrive while the first one is answered.
            registry.inject(.delay(.seconds(1)), method: "HEAD")
            try await withService(try .trustingRelease(), remembers: .seconds(60)) { service in
                let (connections, requests) = (50, 10)
                let body = TestClient.request([app.name("v1")])
                let text =
                    "POST /ratify/gatekeeper/v1/verify HTTP/1.1\r\nHost: localhost\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
                    + body
                let clients = try await withThrowingTaskGroup(of: TestClient.self) { group in
                    for _ in 0..<connections { group.addTask { try await service.connect() } }
                    return try await group.reduce(into: []) { $0.append($1) }
                }
                let answers = try await withThrowingTaskGroup(of: [Answer].self) { group in
                    for client in clients {
                        group.addTask {
                            // All at once on the wire, one after the other in the answers (HTTP/1.1 pipelining).
                            try await client.send(String(repeating: text, count: requests))
                            var answers: [Answer] = []
                            for _ in 0..<requests {
                                answers.append(Answer(try await client.reply(), asked: [app.name("v1")]))
                            }
                            return answers
                        }
                    }
                    return try await group.reduce(into: []) { $0 += $1 }
                }
                #expect(answers.count == 500)
                #expect(answers.allSatisfy { $0.admits() && $0.systemError == nil })
                // Each has its own trace.
                #expect(Set(answers.map { $0.value()?["traceID"]?.string }).count == 500)
                #expect(try await service.hasMetric("countersign_verifications_total 1"))
            }
            let asked = registry.requests.map {
                "\($0.method) \($0.path.split(separator: "/").dropFirst(2).first ?? "")"
            }
            #expect(asked == ["HEAD manifests", "GET referrers", "GET manifests", "GET blobs"])
        }
    }

    @Test func withoutACacheThoseWhoAskTogetherShareOneVerification() async throws {
        try await withRegistry { registry in
            let app = try Repository("\(registry.endpoint)/app")
            try await app.push("v1", signedBy: try Signers.shared.get().release)
            registry.forgetRequests()
            registry.inject(.delay(.seconds(2)), method: "HEAD", count: 1)
            try await withService(try .trustingRelease(), remembers: .zero) { service in
                let clients = try await withThrowingTaskGroup(of: TestClient.self) { group in
                    for _ in 0..<20 { group.addTask { try await service.connect() } }
                    return try await group.reduce(into: []) { $0.append($1) }
                }
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for client in clients {
                        group.addTask {
                            expectAdmitted(
                                Answer(try await client.verify([app.name("v1")]), asked: [app.name("v1")]))
                        }
                    }
                    try await group.waitForAll()
                }
                #expect(try await service.hasMetric("countersign_verifications_total 1"))
                expectAdmitted(try await service.verify(app.name("v1")))
                #expect(try await service.hasMetric("countersign_verifications_total 2"))
            }
            #expect(registry.requests.filter { $0.method == "HEAD" }.count == 2)
            // What is found by its digest need not be fetched again.
            #expect(registry.requests.filter { $0.path.contains("/blobs/") }.count == 1)
        }
    }
}
