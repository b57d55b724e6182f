import Foundation
import OCI
import OCIRegistry
import TestSupport
import Testing

/// The whole way against Debian's registry as a process: no Referrers API, so signatures are found by the referrers
/// tag schema.
@Suite(.enabled(if: DockerRegistry.isInstalled, "docker-registry is not installed"))
struct DockerRegistryServiceTests {
    @Test func signedInUnsignedOut() async throws {
        let signers = try Signers.shared.get()
        let registry = try await DockerRegistry()
        defer { registry.stop() }
        let shop = try Repository("\(registry.host)/shop/web")
        try await shop.push("jws", signedBy: signers.release)
        try await shop.push("cose", signedBy: signers.other, .cose)
        try await shop.push("unsigned", signedBy: nil)
        try await shop.push("tampered", signedBy: signers.release, .jws, .tampered)
        try await shop.push("tampered-cose", signedBy: signers.release, .cose, .tampered)
        try await shop.push("stranger", signedBy: signers.stranger)
        try await shop.push("expired", signedBy: signers.release, .jws, .expired)
        let both = try await shop.push("both", signedBy: signers.stranger)
        try await signers.release.sign(both, in: shop.reference, at: shop.destination, .cose)
        let elsewhere = try Repository("\(registry.host)/elsewhere")
        try await elsewhere.push("signed", signedBy: signers.release)

        var configuration = try ConfigurationText.trustingRelease()
        configuration.trustPolicies = [ConfigurationText.statement(scopes: [shop.reference.scopeName])]
        try await withService(configuration) { service in
            let tags = ["jws", "cose", "unsigned", "tampered", "tampered-cose", "stranger", "expired", "both"]
            let keys = tags.map { shop.name($0) } + [elsewhere.name("signed")]
            let client = try await service.connect()
            let answer = Answer(try await client.verify(keys), asked: keys)
            #expect(answer.status == 200)
            #expect(answer.keys == keys)
            expectAdmitted(answer, shop.name("jws"))
            expectAdmitted(answer, shop.name("cose"))
            expectAdmitted(answer, shop.name("both"))
            #expect(answer.reports(shop.name("both")).map { $0["isSuccess"]?.bool } == [false, true])
            expectDenied(answer, shop.name("unsigned"), "no signature")
            expectDenied(answer, shop.name("tampered"), "signature")
            expectDenied(answer, shop.name("tampered-cose"), "signature")
            expectDenied(answer, shop.name("stranger"), "trust")
            expectDenied(answer, shop.name("expired"), "expired")
            expectDenied(answer, elsewhere.name("signed"), "registryScopes", "elsewhere")

            // By digest too, and one that nobody has pushed.
            expectAdmitted(try await service.verify(shop.name(both)))
            let nowhere = "\(shop.reference.scopeName)@sha256:\(String(repeating: "0", count: 64))"
            expectDenied(try await service.verify(nowhere), nil, "no such content")
            #expect(try await service.hasMetric(#"countersign_configuration_valid 1"#))
        }
    }

    @Test func aTagThatMovedToAnUnsignedImageIsDenied() async throws {
        let registry = try await DockerRegistry()
        defer { registry.stop() }
        let shop = try Repository("\(registry.host)/shop")
        let signed = try await shop.push("v1", signedBy: try Signers.shared.get().release)
        try await withService(try .trustingRelease(), remembers: .seconds(2)) { service in
            expectAdmitted(try await service.verify(shop.name("v1")))
            try await shop.push("v1", content: "another image")
            let answer = try await service.verify(shop.name("v1")) { !$0.admits() }
            expectDenied(answer, nil, "no signature")
            // The verdict is about a digest: the signed one is as good as ever.
            expectAdmitted(try await service.verify(shop.name(signed)))
        }
    }

    @Test func credentialsByPassword() async throws {
        let registry = try await DockerRegistry(.basic(user: "robot", password: "pass:word"))
        defer { registry.stop() }
        let shop = try Repository(
            "\(registry.host)/shop", credentials: OneAccount(.basic(user: "robot", password: "pass:word")))
        try await shop.push("signed", signedBy: try Signers.shared.get().release)
        let files = try TemporaryDirectory()
        defer { files.remove() }
        for (password, isRight) in [("pass:word", true), ("wrong", false)] {
            let path = files.write(
                dockerConfig(registry.host, user: "robot", password: password), to: "\(isRight).json")
            var configuration = try ConfigurationText.trustingRelease()
            configuration.stores = [ConfigurationText.registries(dockerConfig: path)]
            try await withService(configuration) { service in
                let answer = try await service.verify(shop.name("signed"))
                guard !isRight else { return expectAdmitted(answer) }
                expectDenied(answer, nil, "401", "credentials")
                #expect(!answer.text.contains("wrong"))
            }
        }
    }

    @Test func credentialsByToken() async throws {
        let tokens = try TokenServer(user: "robot", password: "pass:word", refreshToken: "refresh")
        defer { tokens.stop() }
        let registry = try await DockerRegistry(tokens.authentication)
        defer { registry.stop() }
        let shop = try Repository(
            "\(registry.host)/shop", credentials: OneAccount(.basic(user: "robot", password: "pass:word")))
        try await shop.push("signed", signedBy: try Signers.shared.get().release)
        try await shop.push("unsigned", signedBy: nil)
        let files = try TemporaryDirectory()
        defer { files.remove() }
        func configuration(_ password: String) throws -> ConfigurationText {
            var configuration = try ConfigurationText.trustingRelease()
            let path = files.write(
                dockerConfig(registry.host, user: "robot", password: password), to: "\(password).json")
            configuration.stores = [ConfigurationText.registries(dockerConfig: path, allowPrivateAddresses: true)]
            return configuration
        }
        try await withService(try configuration("pass:word")) { service in
            let before = tokens.requests
            expectAdmitted(try await service.verify(shop.name("signed")))
            expectDenied(try await service.verify(shop.name("unsigned")), nil, "no signature")
            // One token for the repository serves both images.
            #expect(tokens.requests == before + 1)
        }
        // An account that the token endpoint refuses is definite.
        try await withService(try configuration("wrong")) { service in
            let answer = try await service.verify(shop.name("signed"))
            expectDenied(answer, nil, "401")
            #expect(!answer.text.contains("wrong"))
        }
        // A token endpoint that is gone is not: it may be back in a moment.
        tokens.stop()
        try await withService(try configuration("pass:word")) { service in
            expectFault(try await service.verify(shop.name("signed")), nil, "resolving the image")
        }
    }

    @Test func aRegistryThatIsDown() async throws {
        let registry = try await DockerRegistry()
        let shop = try Repository("\(registry.host)/shop")
        try await shop.push("signed", signedBy: try Signers.shared.get().release)
        registry.stop()
        try await withService(try .trustingRelease()) { service in
            expectFault(
                try await service.verify(shop.name("signed")), nil, "resolving the image", registry.host, "trace")
        }
    }
}

/// The same account for every registry.
struct OneAccount: RegistryCredentials {
    let account: RegistryCredential

    init(_ account: RegistryCredential) { self.account = account }

    func credential(
        for endpoint: String, repository: String, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> RegistryCredential { account }
}
