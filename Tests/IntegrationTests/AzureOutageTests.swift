import OCI
import StrictJSON
import TestSupport
import Testing

/// `cache.staleIfError` while Azure's token endpoints or a key vault are down.
@Suite struct AzureOutageTests {
    private func withService(
        _ body: (VaultPod, RunningService, _ pinned: String, _ tag: String) async throws -> Void
    ) async throws {
        try await withVaultPod { pod in
            try pod.azure.addCertificate("release", pod.signers.release.identity)
            let tag = try await pod.push("v1", signedBy: pod.signers.release)
            var configuration = pod.configuration(["name": "release"])
            configuration.staleIfError = "10m"
            configuration.verificationTimeout = 4000
            try await IntegrationTests.withService(
                configuration, remembers: .zero, environment: pod.environment
            ) { (service: RunningService) in
                expectAdmitted(try await service.verify(tag) { $0.admits() })
                let mutated = try await service.mutate(tag)
                let pinned = try #require(mutated.item()?["value"]?.string)
                expectAdmitted(try await service.verify(pinned))
                try await body(pod, service, pinned, tag)
            }
        }
    }

    @Test(arguments: [true, false]) func theTokenEndpointIsDown(entra: Bool) async throws {
        try await withService { pod, service, pinned, tag in
            let strange = try await pod.push("v2", signedBy: pod.signers.stranger)
            pod.azure.inject(.status(503), path: entra ? pod.azure.tokenPath : "/oauth2/exchange")
            pod.azure.revokeAccessTokens()
            pod.azure.revokeRefreshTokens()
            let answer = try await service.verify(pinned) { $0.reports().first?["extensions"]?["stale"] != nil }
            expectAdmitted(answer)
            let cause = answer.reports().first?["extensions"]?["stale"]?["cause"]?.string ?? ""
            #expect(cause.contains("503"), "\(answer)")
            // A tag may have moved, and what was never verified is not admitted.
            expectFault(try await service.verify(tag), nil, "503")
            expectFault(try await service.verify(strange), nil, "503")
            pod.azure.clearFaults()
            let after = try await service.verify(pinned) { $0.reports().first?["extensions"]?["stale"] == nil }
            expectAdmitted(after)
            #expect(after.reports().first?["extensions"]?["stale"] == nil, "\(after)")
            expectDenied(try await service.verify(strange) { !$0.items.isEmpty })
        }
    }

    /// What the vault gave last stays in force, so that nothing needs to stand in; and it is the same trust as before,
    /// so that what was verified under it counts when the registry goes down too.
    @Test func theVaultIsDown() async throws {
        try await withService { pod, service, pinned, tag in
            pod.azure.inject(.status(503), path: "/secrets/*")
            #expect(try await service.hasLogged("release-ca", "503"))
            for name in [pinned, tag] {
                let answer = try await service.verify(name)
                expectAdmitted(answer)
                #expect(answer.reports().first?["extensions"]?["stale"] == nil)
            }
            let strange = try await pod.push("v2", signedBy: pod.signers.stranger)
            expectDenied(try await service.verify(strange))
            pod.azure.inject(.status(503), path: "/v2/*")
            let answer = try await service.verify(pinned)
            expectAdmitted(answer)
            #expect(answer.reports().first?["extensions"]?["stale"]?["cause"] != nil, "\(answer)")
            expectFault(try await service.verify(tag))
            expectFault(try await service.verify(strange))
        }
    }
}
