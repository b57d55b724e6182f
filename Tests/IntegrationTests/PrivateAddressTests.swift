import OCI
import StrictJSON
import TestSupport
import Testing

/// URLs that strangers supply lead the service nowhere inside the cluster, unless the configuration says so.
@Suite struct PrivateAddressTests {
    /// A registry that sends blobs elsewhere on this machine.
    @Test func aRegistryCannotSendUsInside() async throws {
        try await withRegistry { inside in
            try await withRegistry { registry in
                let app = try Repository("\(registry.endpoint)/app")
                try await app.push("v1", signedBy: try Signers.shared.get().release)
                inside.forgetRequests()
                registry.inject(.redirect(to: inside.url), path: "/v2/app/blobs/*")
                try await withService(try .trustingRelease(), remembers: .zero) { service in
                    let answer = try await service.verify(app.name("v1"))
                    expectDenied(answer, nil, "127.0.0.1 is an address of this machine", "allowPrivateAddresses")
                    #expect(inside.requests.isEmpty)
                    registry.clearFaults()
                    expectAdmitted(try await service.verify(app.name("v1")))
                }
            }
        }
    }

    /// A registry that names another place for its tokens: credentials do not go there.
    @Test func aRegistryCannotNameATokenEndpointInside() async throws {
        let inside = try ScriptedServer(answers: [[.reply(200, body: #"{"token":"t"}"#)]])
        defer { inside.stop() }
        try await withRegistry { registry in
            registry.inject(
                .challenge(#"Bearer realm="\#(inside.url)/token",service="s""#), method: "HEAD", path: "/v2/app/*")
            let files = try TemporaryDirectory()
            defer { files.remove() }
            var configuration = try ConfigurationText.trustingRelease()
            let path = files.write(
                dockerConfig(registry.endpoint, user: "robot", password: "secret"), to: "config.json")
            configuration.stores = [ConfigurationText.registries(dockerConfig: path)]
            try await withService(configuration, remembers: .zero) { service in
                let answer = try await service.verify("\(registry.endpoint)/app:v1")
                expectDenied(answer, nil, "getting a token", "an address of this machine")
                #expect(inside.connections == 0)
            }
            configuration.stores = [
                ConfigurationText.registries(dockerConfig: path, allowPrivateAddresses: ["127.0.0.0/8"])
            ]
            try await withService(configuration, remembers: .zero) { service in
                _ = try await service.verify("\(registry.endpoint)/app:v1")
                #expect(inside.connections > 0)
            }
        }
    }

    @Test func aBlockThatIsNoneIsRefused() async throws {
        var configuration = try ConfigurationText.trustingRelease()
        configuration.revocation = ["allowPrivateAddresses": ["10.0.0.0/40"]]
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let outcome = try await Command.run(
            "verify", "registry.example/app:v1", "-c", directory.write(configuration.json.bytes, to: "config.json"))
        #expect(outcome.status == 2)
        #expect(
            outcome.errors.contains(
                #"verifier.plugins[0].revocation.allowPrivateAddresses has "10.0.0.0/40": expected addresses or blocks"#
            ))
    }
}
