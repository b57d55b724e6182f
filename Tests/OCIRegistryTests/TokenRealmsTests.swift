import HTTP
import OCI
import OCIRegistry
import TestSupport
import Testing

/// Where credentials go that a registry asks for in the name of another host.
@Suite struct TokenRealmsTests {
    private static let credentials: [RegistryCredential] = [
        .basic(user: "u", password: "SECRET"), .identityToken("SECRET"),
    ]

    /// A registry that wants a token from a realm, which gives one to everybody.
    private func network(_ realm: String) -> ScriptedHTTP {
        ScriptedHTTP { request in
            if request.url.contains("/token") { return .answer(200, request, body: Array(#"{"token":"t"}"#.utf8)) }
            return request.headers["Authorization"] == "Bearer t"
                ? .answer(200, request, RegistryClientTests.head)
                : .answer(401, request, [("WWW-Authenticate", #"Bearer realm="\#(realm)",service="s""#)])
        }
    }

    private func resolve(
        _ reference: String, _ http: ScriptedHTTP, _ credential: RegistryCredential,
        _ change: (inout RegistryOptions) throws -> Void = { _ in }
    ) async throws {
        var options = RegistryOptions()
        try change(&options)
        let client = RegistryClient(http: http, credentials: GivenCredentials(credential), options: options)
        _ = try await client.resolve(Sample.reference(reference), deadline: Sample.deadline)
    }

    @Test(arguments: credentials) func anotherHostGetsNothing(credential: RegistryCredential) async throws {
        for realm in [
            "https://evil.example/token", "https://r.example.evil.example/token", "https://auth.r.example/token",
            "https://auth.docker.io/token", "https://gitlab.com/token",
        ] {
            let http = network(realm)
            let text = await expectError(.unauthorized) { try await resolve("r.example/app:v1", http, credential) }
            #expect(http.requests.count == 1)
            #expect(text.contains("r.example") && text.contains("tokenRealms") && text.contains("--token-realm"))
            #expect(text.contains(realm.split(separator: "/")[1]) && !text.contains("SECRET"))
        }
    }

    /// Who has nothing to lose asks wherever the registry says.
    @Test func withoutACredentialTheRealmMayBeAnywhere() async throws {
        let http = network("https://evil.example/token")
        try await resolve("r.example/app:v1", http, .anonymous)
        #expect(http.requests.count == 3)
        #expect(http.requests[1].headers["Authorization"] == nil)
    }

    @Test(
        arguments: credentials,
        [
            ("r.example/app:v1", "https://r.example/token"), ("r.example:8443/app:v1", "https://r.example/token"),
            ("r.example/app:v1", "https://r.example:8443/token"),
            ("alpine", "https://auth.docker.io/token"), ("index.docker.io/u/app:v1", "https://auth.docker.io/token"),
            ("registry.gitlab.com/g/app:v1", "https://gitlab.com/token"),
            ("registry.digitalocean.com/g/app:v1", "https://api.digitalocean.com/token"),
            ("rg.fr-par.scw.cloud/g/app:v1", "https://api.scaleway.com/token"),
            ("registry.cn-shanghai.aliyuncs.com/g/app:v1", "https://dockerauth.cn-shanghai.aliyuncs.com/token"),
            ("registry.aliyuncs.com/g/app:v1", "https://dockerauth.cn-hangzhou.aliyuncs.com/token"),
        ])
    func theOwnHostAndKnownPairsGetThem(
        credential: RegistryCredential, pair: (reference: String, realm: String)
    ) async throws {
        let http = network(pair.realm)
        try await resolve(pair.reference, http, credential)
        #expect(http.requests.count == 3)
    }

    /// What is known of one registry says nothing of another.
    @Test(arguments: [
        ("gitlab.com/g/app:v1", "https://registry.gitlab.com/token"),
        ("registry.gitlab.com/g/app:v1", "https://auth.docker.io/token"),
        ("registry.gitlab.com/g/app:v1", "https://gitlab.com:8443/token"),
        ("alpine", "https://auth.docker.io:8443/token"), ("alpine", "https://docker.io/token"),
        ("registry.evil.aliyuncs.com.example/a:v1", "https://dockerauth.evil.aliyuncs.com/token"),
        ("bucket.cn-shanghai.aliyuncs.com/a:v1", "https://dockerauth.cn-shanghai.aliyuncs.com/token"),
        ("registry.cn-shanghai.aliyuncs.com/a:v1", "https://bucket.cn-shanghai.aliyuncs.com/token"),
    ]) func othersGetNothing(pair: (reference: String, realm: String)) async throws {
        let http = network(pair.realm)
        await expectError(.unauthorized) { try await resolve(pair.reference, http, Self.credentials[0]) }
        #expect(http.requests.count == 1)
    }

    @Test(arguments: credentials) func whatIsNamedGetsThem(credential: RegistryCredential) async throws {
        let http = network("https://gitlab.example/token")
        try await resolve("r.example/app:v1", http, credential) {
            try $0.tokenRealms.allow("GitLab.example", for: "R.example")
        }
        #expect(http.requests.count == 3)
        // For another registry, or at another port, it was not named.
        for (registry, host) in [("s.example", "gitlab.example"), ("r.example", "gitlab.example:8443")] {
            let other = network("https://gitlab.example/token")
            await expectError(.unauthorized) {
                try await resolve("r.example/app:v1", other, credential) {
                    try $0.tokenRealms.allow(host, for: registry)
                }
            }
            #expect(other.requests.count == 1)
        }
        // One registry has many spellings.
        for registry in ["r.example:443", "R.EXAMPLE.", "r.example:0443"] {
            try await resolve("r.example/app:v1", network("https://gitlab.example/token"), credential) {
                try $0.tokenRealms.allow("gitlab.example", for: registry)
            }
        }
        let withPort = network("https://gitlab.example:8443/token")
        try await resolve("r.example/app:v1", withPort, credential) {
            try $0.tokenRealms.allow("gitlab.example:8443", for: "r.example")
        }
    }

    @Test(arguments: [
        ("https://gitlab.example", "r.example"), ("gitlab.example/jwt", "r.example"), ("", "r.example"),
        ("a b", "r.example"), ("u@gitlab.example", "r.example"), ("*", "r.example"), ("gitlab.example", "r"),
        ("gitlab.example", ""), ("gitlab.example", "r.example/app"), ("gitlab.example", "https://r.example"),
        ("gitlab.example", "*.example"), ("gitlab.example:port", "r.example"), ("gitlab.example", "r.example@x"),
    ]) func whatIsNoHostIsRefused(pair: (host: String, registry: String)) {
        var realms = TokenRealms()
        #expect(throws: TokenRealms.Fault.self) { try realms.allow(pair.host, for: pair.registry) }
        #expect(realms == TokenRealms())
    }
}

/// The same with a registry and a token server that listen.
@Suite(.enabled(if: DockerRegistry.isInstalled, "docker-registry is not installed"), .serialized)
struct TokenRealmsRegistryTests {
    @Test func aRealRegistryWhoseTokensComeFromElsewhere() async throws {
        let tokens = try TokenServer(user: "robot", password: "pw", refreshToken: "refresh", host: "localhost")
        defer { tokens.stop() }
        let registry = try await DockerRegistry(tokens.authentication)
        defer { registry.stop() }
        let reference = try ImageReference(parsing: "\(registry.host)/team/app:v1")
        let http = try HTTPClient(configuration: HTTPClientConfiguration(environment: [:]))
        let deadline = ContinuousClock.now + .seconds(60)
        for credential in [RegistryCredential.basic(user: "robot", password: "pw"), .identityToken("refresh")] {
            let client = RegistryClient(http: http, credentials: GivenCredentials(credential))
            let text = await expectError(.unauthorized) { try await client.resolve(reference, deadline: deadline) }
            #expect(text.contains(tokens.authorityName))
            #expect(tokens.requests == 0)
        }
        await expectError(.notFound) {
            try await RegistryClient(http: http).resolve(reference, deadline: deadline)
        }
        #expect(tokens.requests == 1)
        for credential in [RegistryCredential.basic(user: "robot", password: "pw"), .identityToken("refresh")] {
            var options = RegistryOptions()
            try options.tokenRealms.allow(tokens.authorityName, for: registry.host)
            let client = RegistryClient(http: http, credentials: GivenCredentials(credential), options: options)
            await expectError(.notFound) { try await client.resolve(reference, deadline: deadline) }
        }
        #expect(tokens.requests == 3)
        await http.shutdown()
    }
}
