import OCI
import StrictJSON
import TestSupport
import Testing

/// More images than places: each gets its verdict or is told, and a slow registry holds up nobody else.
@Suite struct OverloadTests {
    @Test func aSlowRegistryDoesNotStarveTheOthers() async throws {
        try await withRegistry { slow in
            try await withRegistry { fast in
                let signer = try Signers.shared.get().release
                var names: (slow: [String], fast: [String]) = ([], [])
                for number in 0..<8 {
                    let app = try Repository("\(slow.endpoint)/app\(number)")
                    try await app.push("v1", signedBy: signer)
                    names.slow.append(app.name("v1"))
                }
                for number in 0..<6 {
                    let app = try Repository("\(fast.endpoint)/app\(number)")
                    try await app.push("v1", signedBy: signer)
                    names.fast.append(app.name("v1"))
                }
                let gate = Gate()
                defer { gate.open() }
                slow.inject(.hold(gate), method: "HEAD")
                var configuration = try ConfigurationText.trustingRelease()
                configuration.verificationTimeout = 120_000
                configuration.executor = ["maximumConcurrent": 8, "maximumConcurrentPerRegistry": 4]
                try await withService(configuration) { service in
                    let (waiting, hurrying) = names
                    async let held = answers(service, waiting)
                    #expect(try await eventually { gate.waiting == 4 })
                    // Not behind the slow ones: those have no answer yet.
                    for answer in try await answers(service, hurrying) { expectAdmitted(answer) }
                    #expect(gate.waiting == 4)
                    #expect(try await service.hasMetric("countersign_work_in_progress 4"))
                    gate.open()
                    for answer in try await held { expectAdmitted(answer) }
                }
            }
        }
    }

    @Test func whoCannotMakeItIsToldAtOnce() async throws {
        try await withRegistry { registry in
            var names: [String] = []
            for number in 0..<8 {
                let app = try Repository("\(registry.endpoint)/app\(number)")
                try await app.push("v1", signedBy: try Signers.shared.get().release)
                names.append(app.name("v1"))
            }
            let gate = Gate()
            defer { gate.open() }
            registry.inject(.hold(gate), method: "HEAD")
            var configuration = try ConfigurationText.trustingRelease()
            configuration.verificationTimeout = 120_000
            configuration.executor = ["maximumConcurrentPerRegistry": 2, "maximumQueued": 2]
            let images = names
            try await withService(configuration) { service in
                async let held = answers(service, Array(images.prefix(4)))
                #expect(try await service.hasMetric("countersign_work_queued 2"))
                for key in images.suffix(4) {
                    expectFault(
                        try await service.verify(key), key, "waiting for a place", registry.endpoint, "overloaded")
                }
                // At once: those before them have no answer yet.
                #expect(gate.waiting == 2)
                gate.open()
                for answer in try await held { expectAdmitted(answer) }
                #expect(try await service.hasMetric("countersign_overloaded_total 4"))
                registry.clearFaults()
                for answer in try await answers(service, Array(images.suffix(2))) { expectAdmitted(answer) }
            }
        }
    }

    private func answers(_ service: RunningService, _ keys: [String]) async throws -> [Answer] {
        try await withThrowingTaskGroup(of: Answer.self) { group in
            for key in keys { group.addTask { try await service.verify(key) } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
    }
}
