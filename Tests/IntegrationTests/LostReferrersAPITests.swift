import OCI
import TestSupport
import Testing

/// A Referrers API that answers 404 for a moment, as during a failover: it must not hide signatures for longer.
@Suite struct LostReferrersAPITests {
    private func withImages(
        _ body: (FaultyRegistry, RunningService, Repository) async throws -> Void
    ) async throws {
        try await withRegistry { registry in
            let app = try Repository("\(registry.endpoint)/app")
            for tag in ["v1", "v2"] { try await app.push(tag, signedBy: try Signers.shared.get().release) }
            try await withService(try .trustingRelease(), remembers: .zero) { try await body(registry, $0, app) }
        }
    }

    /// Where it has answered, its 404 is a fault that may pass, and says so.
    @Test func whereItHasAnsweredItIsAFault() async throws {
        try await withImages { registry, service, app in
            expectAdmitted(try await service.verify(app.name("v1")))
            registry.inject(.status(404), path: "/v2/app/referrers/*")
            for tag in ["v1", "v2"] {
                let answer = try await service.verify(app.name(tag))
                expectFault(answer, nil, "listing signatures", registry.endpoint, "404", "Referrers API")
            }
            registry.clearFaults()
            expectAdmitted(try await service.verify(app.name("v2")))
        }
    }

    /// What is not known to have it may lack it: no signatures. But where other repositories have it, that is not
    /// believed for long.
    @Test func whereOthersHaveItIsAskedAgainSoon() async throws {
        try await withImages { registry, service, app in
            let other = try Repository("\(registry.endpoint)/other")
            try await other.push("v1", signedBy: try Signers.shared.get().release)
            expectAdmitted(try await service.verify(app.name("v1")))
            registry.inject(.status(404), path: "/v2/other/referrers/*", count: 1)
            expectDenied(try await service.verify(other.name("v1")), nil, "no signature")
            expectAdmitted(try await service.verify(other.name("v1")) { $0.admits() })
        }
    }
}
