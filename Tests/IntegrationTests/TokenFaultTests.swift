import OCI
import TestSupport
import Testing

/// Tokens that are slow to come, refused, or no longer good, on the whole service.
@Suite struct TokenFaultTests {
    private func withPrivate(
        lifetime: Int = 300, _ body: (FaultyRegistry, RunningService, Repository) async throws -> Void
    ) async throws {
        var options = FaultyRegistry.Options()
        options.authentication = .token(user: "robot", password: "secret", lifetime: lifetime)
        try await withRegistry(options) { registry in
            let app = try Repository(
                "\(registry.endpoint)/app", credentials: OneAccount(.basic(user: "robot", password: "secret")))
            try await app.push("v1", signedBy: try Signers.shared.get().release)
            try await app.push("v2", signedBy: try Signers.shared.get().other)
            let files = try TemporaryDirectory()
            defer { files.remove() }
            var configuration = try ConfigurationText.trustingRelease()
            let path = files.write(
                dockerConfig(registry.endpoint, user: "robot", password: "secret"), to: "config.json")
            configuration.stores = [ConfigurationText.registries(dockerConfig: path)]
            try await withService(configuration) { try await body(registry, $0, app) }
        }
    }

    @Test func aTokenEndpointThatFailsIsNoVerdict() async throws {
        try await withPrivate { registry, service, app in
            for fault in [RegistryFault.Kind.status(503), .reset] {
                registry.inject(fault, path: "/token")
                let answer = try await service.verify(app.name("v1"))
                expectFault(answer, nil, "resolving the image", registry.endpoint)
                #expect(!answer.text.contains("secret"))
                registry.clearFaults()
            }
            expectAdmitted(try await service.verify(app.name("v1")))
        }
        try await withPrivate { registry, service, app in
            registry.inject(.tooManyRequests(retryAfter: "600"), path: "/token")
            let answer = try await service.verify(app.name("v1"))
            expectFault(answer, nil, "resolving the image", registry.endpoint, "429")
            #expect(!answer.text.contains("secret"))
        }
    }

    @Test func aTokenThatIsWorthlessIsRenewedOnce() async throws {
        try await withPrivate { registry, service, app in
            expectAdmitted(try await service.verify(app.name("v1")))
            let before = registry.tokenRequests.count
            registry.revokeTokens()
            expectAdmitted(try await service.verify(app.name("v2")))
            #expect(registry.tokenRequests.count == before + 1)
        }
    }

    /// A password that is changed while the service runs: both files in a wrong order do no lasting harm.
    @Test func aCredentialThatIsRotated() async throws {
        var options = FaultyRegistry.Options()
        options.authentication = .basic(user: "robot", password: "new secret")
        try await withRegistry(options) { registry in
            let app = try Repository(
                "\(registry.endpoint)/app", credentials: OneAccount(.basic(user: "robot", password: "new secret")))
            try await app.push("v1", signedBy: try Signers.shared.get().release)
            let files = try TemporaryDirectory()
            defer { files.remove() }
            var configuration = try ConfigurationText.trustingRelease()
            let path = files.write(
                dockerConfig(registry.endpoint, user: "robot", password: "old secret"), to: "config.json")
            configuration.stores = [ConfigurationText.registries(dockerConfig: path)]
            try await withService(configuration, remembers: .zero) { service in
                expectDenied(try await service.verify(app.name("v1")), nil, "401")
                // Half of the file: broken credentials are a fault, never a verdict.
                files.write(#"{"auths":{"\#(registry.endpoint)":{"au"#, to: "config.json")
                expectFault(try await service.verify(app.name("v1")) { !$0.denies() })
                files.write(
                    dockerConfig(registry.endpoint, user: "robot", password: "new secret"), to: "config.json")
                let answer = try await service.verify(app.name("v1")) { $0.admits() }
                expectAdmitted(answer)
                #expect(!answer.text.contains("secret"))
            }
        }
    }

    @Test func anAccountThatIsNoLongerGoodIsDenied() async throws {
        try await withPrivate { registry, service, app in
            registry.inject(.status(401), path: "/token")
            let answer = try await service.verify(app.name("v1"))
            expectDenied(answer, nil, "401")
            #expect(!answer.text.contains("secret"))
        }
    }
}
