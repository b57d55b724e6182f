import Foundation
import OCIRegistry
import TestSupport
import Testing

/// How many requests a verification costs its registry: as many as docs/registries.md says.
@Suite struct RegistryRequestsTests {
    private static let user = ("robot", "sesame")

    private func options(referrersAPI: Bool, token: Bool) -> FaultyRegistry.Options {
        var options = FaultyRegistry.Options()
        options.referrersAPI = referrersAPI
        if token { options.authentication = .token(user: Self.user.0, password: Self.user.1) }
        return options
    }

    /// What was asked, each kind with its number.
    private func asked(_ registry: FaultyRegistry) -> [String: Int] {
        var counts: [String: Int] = [:]
        for request in registry.requests {
            let parts = request.path.split(separator: "/")
            let kind = request.path == "/token" ? "token" : parts.count > 2 ? String(parts[parts.count - 2]) : "ping"
            let isRefused = registry.options.isProtected && kind != "token" && request.header("Authorization") == nil
            counts["\(request.method) \(kind)\(isRefused ? " 401" : "")", default: 0] += 1
        }
        registry.forgetRequests()
        return counts
    }

    @Test(arguments: [false, true], [false, true])
    func nothingIsAskedTwice(referrersAPI: Bool, token: Bool) async throws {
        let files = try TemporaryDirectory()
        defer { files.remove() }
        try await withRegistry(options(referrersAPI: referrersAPI, token: token)) { registry in
            files.write(dockerConfig(registry.endpoint, user: Self.user.0, password: Self.user.1), to: "config.json")
            let app = try Repository(
                "\(registry.endpoint)/app",
                credentials: token ? DockerConfigCredentials(path: files.path("config.json")) : AnonymousCredentials())
            let signer = try Signers.shared.get().other
            try await app.push("v1", signedBy: signer)
            try await app.push("v2", signedBy: signer)
            let third = try await app.push("v3", signedBy: signer)
            let fourth = try await app.push("v4", signedBy: signer)
            var configuration = try ConfigurationText.trustingRelease()
            configuration.stores = [ConfigurationText.registries(dockerConfig: files.path("config.json"))]
            try await withService(configuration) { service in
                registry.forgetRequests()
                // By tag: resolve, list, the signature's manifest, its envelope.
                let usual =
                    referrersAPI
                    ? ["HEAD manifests": 1, "GET referrers": 1, "GET manifests": 1, "GET blobs": 1]
                    : ["HEAD manifests": 1, "GET manifests": 2, "GET blobs": 1]
                var first = usual
                // The first image of a repository shows how it wants to be asked, and whether it lists referrers.
                if token { first.merge(["HEAD manifests 401": 1, "GET token": 1]) { $1 } }
                if !referrersAPI { first["GET referrers"] = 1 }
                expectAdmitted(try await service.verify(app.name("v1")))
                #expect(asked(registry) == first)
                expectAdmitted(try await service.verify(app.name("v2")))
                #expect(asked(registry) == usual)
                // By digest the same: media type and size of what was signed are the registry's to say.
                expectAdmitted(try await service.verify(app.name(third)))
                #expect(asked(registry) == usual)
                // Pinned by us: what the tag means is known with all that is needed of it.
                let mutated = try await service.mutate(app.name("v4"))
                #expect(mutated.item()?["value"]?.string == app.name(fourth), "\(mutated)")
                #expect(asked(registry) == ["HEAD manifests": 1])
                var rest = usual
                rest["HEAD manifests"] = nil
                expectAdmitted(try await service.verify(app.name(fourth)))
                #expect(asked(registry) == rest)
                // The verdict is kept.
                expectAdmitted(try await service.verify(app.name("v2")))
                #expect(asked(registry).isEmpty)
            }
        }
    }
}
