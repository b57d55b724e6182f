import OCI
import TestSupport
import Testing

/// Constraints of several kinds ask about the same image at a registry that does not answer, one after the other in one
/// review: the webhook's time is not theirs to multiply.
@Suite struct SilentRegistryTests {
    @Test func theSecondKindOfConstraintDoesNotWaitForTheWholeTimeAgain() async throws {
        try await withRegistry { registry in
            let app = try Repository("\(registry.endpoint)/app")
            try await app.push("v1", signedBy: try Signers.shared.get().release)
            try await app.push("v2", signedBy: try Signers.shared.get().release)
            var configuration = try ConfigurationText.trustingRelease()
            configuration.verificationTimeout = 4000
            configuration.mutationTimeout = 4000
            try await withService(configuration) { service in
                registry.forgetRequests()
                let gate = Gate()
                registry.inject(.hold(gate))
                var times: [Duration] = []
                for _ in 0..<4 {
                    let start = ContinuousClock.now
                    expectFault(
                        try await service.verify(app.name("v1")), nil, "no answer in time; the work goes on",
                        registry.endpoint)
                    times.append(start.duration(to: .now))
                }
                #expect(times[0] >= .milliseconds(3500), "the first one has its whole time")
                #expect(times.dropFirst().reduce(.zero, +) < .milliseconds(3500), "\(times)")
                gate.open()
                expectAdmitted(try await service.verify(app.name("v1")) { !$0.items.isEmpty })
                #expect(registry.requests.count { $0.path.hasSuffix("/manifests/v1") } == 1)
                // Another image is another question, and so is what a tag means.
                registry.clearFaults()
                let second = Gate()
                registry.inject(.hold(second))
                for ask in [service.mutate, service.verify] as [(String...) async throws -> Answer] {
                    let start = ContinuousClock.now
                    expectFault(try await ask(app.name("v2")))
                    #expect(start.duration(to: .now) >= .milliseconds(3500))
                }
                second.open()
                expectAdmitted(try await service.verify(app.name("v2")) { !$0.items.isEmpty })
            }
        }
    }
}
