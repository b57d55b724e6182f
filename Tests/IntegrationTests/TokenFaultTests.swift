import OCI
import TestSupport
import Testing

/// Tokens that are slow to come, refused, or no longer good, on the whole service.
@Suite struct TokenFaultTests {
    /// Nobody waits longer than this, on the slowest of machines.
    private static let timeout = Duration.seconds(60)

    private func withPrivate(
        timeout: Int = 15_000, _ body: (FaultyRegistry, RunningService, Repository) async throws -> Void
    ) async throws {
        var options = FaultyRegistry.Options()
        options.authentication = .token(user: "robot", password: "secret")
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
            configuration.verificationTimeout = timeout
            try await withService(configuration) { try await body(registry, $0, app) }
        }
    }

    /// Asks, and expects an answer in time that tells no password.
    private func ask(_ service: RunningService, _ key: String) async throws -> Answer {
        let start = ContinuousClock.now
        let answer = try await service.verify(key)
        #expect(start.duration(to: .now) < Self.timeout, "\(answer)")
        #expect(!answer.text.contains("secret"))
        return answer
    }

    /// Down, resetting: who was asked for what, what came of it, and that it is asked again when it is well.
    @Test func aTokenEndpointThatFailsIsNoVerdict() async throws {
        try await withPrivate(timeout: 3000) { registry, service, app in
            for (fault, word) in [(RegistryFault.Kind.status(503), "503"), (.reset, "connection")] {
                try await app.push(word, signedBy: try Signers.shared.get().release)
                registry.revokeTokens()
                registry.inject(fault, path: "/token")
                expectFault(
                    try await ask(service, app.name(word)), nil, "resolving the image",
                    "getting a token from \(registry.endpoint)", word, "attempts", "ask whoever runs the host", "trace")
                registry.clearFaults()
                expectAdmitted(try await service.verify(app.name(word)) { $0.admits() })
            }
        }
    }

    /// Nobody waits for a pause that is longer than his time.
    @Test func aTokenEndpointThatAsksToWaitForLong() async throws {
        try await withPrivate { registry, service, app in
            registry.inject(.tooManyRequests(retryAfter: "3600"), path: "/token")
            let start = ContinuousClock.now
            let answer = try await ask(service, app.name("v1"))
            #expect(start.duration(to: .now) < .seconds(12), "its time would be 15 s")
            expectFault(
                answer, nil, "resolving the image", registry.endpoint, "429",
                "the host asks to wait 3600 s", "lower the rate, or raise the limit of the account", "trace")
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

    /// A token that loses its worth while a request waits with it is replaced, however the request came to it.
    @Test func aTokenThatIsWorthlessWhenItsTurnComesIsRenewed() async throws {
        try await withPrivate(timeout: 120_000) { registry, service, app in
            let gate = Gate()
            defer { gate.open() }
            registry.inject(.hold(gate), method: "HEAD", path: "/v2/app/manifests/*")
            let before = registry.tokenRequests.count
            async let answer = service.verify(app.name("v1"))
            // The first request has no token; the second waits with one that was good when it was sent.
            #expect(try await eventually { gate.waiting == 1 })
            gate.openForOne()
            #expect(try await eventually { gate.waiting == 1 && registry.tokenRequests.count == before + 1 })
            try await Task.sleep(for: .milliseconds(1100))
            registry.revokeTokens()
            gate.open()
            expectAdmitted(try await answer)
            #expect(registry.tokenRequests.count == before + 2)
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

    /// The password is another one, at the registry and in the file, while requests of ten images are on their way with
    /// the former one.
    @Test(arguments: [false, true]) func aCredentialThatIsRotatedInMidFlight(_ withTokens: Bool) async throws {
        var options = FaultyRegistry.Options()
        options.authentication =
            withTokens
            ? .token(user: "robot", password: "old secret") : .basic(user: "robot", password: "old secret")
        try await withRegistry(options) { registry in
            let app = try Repository(
                "\(registry.endpoint)/app", credentials: OneAccount(.basic(user: "robot", password: "old secret")))
            for number in 0...10 { try await app.push("v\(number)", signedBy: try Signers.shared.get().other) }
            let files = try TemporaryDirectory()
            defer { files.remove() }
            func credential(_ password: String) -> String {
                files.write(dockerConfig(registry.endpoint, user: "robot", password: password), to: "config.json")
            }
            var configuration = try ConfigurationText.trustingRelease()
            configuration.stores = [ConfigurationText.registries(dockerConfig: credential("old secret"))]
            configuration.verificationTimeout = 120_000
            try await withService(configuration, remembers: .zero) { service in
                // How the registry wants to be asked is known, and with tokens there is one.
                expectAdmitted(try await ask(service, app.name("v0")))
                let gate = Gate()
                defer { gate.open() }
                registry.inject(.hold(gate), method: "HEAD", path: "/v2/app/manifests/*")
                let names = (1...10).map { app.name("v\($0)") }
                async let answers = withThrowingTaskGroup(of: Answer.self) { group in
                    for name in names { group.addTask { try await service.verify(name) } }
                    return try await group.reduce(into: []) { $0.append($1) }
                }
                #expect(try await eventually { gate.waiting == 10 })
                registry.rotate(to: "new secret")
                _ = credential("new secret")
                registry.clearFaults()
                gate.open()
                for answer in try await answers {
                    #expect(!answer.text.contains("secret"))
                    // Admitted, or told to ask again: whoever has the right password now is nobody to be denied.
                    if !answer.admits() { expectFault(answer, nil, registry.endpoint) }
                }
                for name in names { expectAdmitted(try await service.verify(name) { $0.admits() }) }
                #expect(!service.logged.contains { $0.contains("secret") })
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
