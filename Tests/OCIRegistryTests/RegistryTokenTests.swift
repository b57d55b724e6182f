import Foundation
import HTTP
import OCI
import OCIRegistry
import Synchronization
import TestSupport
import Testing

/// Credentials that a test sets.
final class GivenCredentials: RegistryCredentials {
    private let state: Mutex<(credential: RegistryCredential, next: RegistryCredential?)>

    init(_ credential: RegistryCredential, next: RegistryCredential? = nil) { state = Mutex((credential, next)) }

    func credential(
        for endpoint: String, repository: String, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> RegistryCredential { state.withLock { $0.credential } }

    func credentialRejected(_ credential: RegistryCredential, for endpoint: String, repository: String) async {
        state.withLock { state in if let next = state.next { state.credential = next } }
    }
}

@Suite struct RegistryTokenTests {
    static let challenge = (
        "WWW-Authenticate",
        #"Bearer realm="https://auth.example/token?x=1",service="r.example",scope="repository:app:pull""#
    )

    /// A registry that wants the token that its endpoint gives last.
    private func registry(
        lifetime: Int? = 300, challenge: (String, String) = Self.challenge, delay: Duration = .zero,
        refuses: @escaping @Sendable (HTTPRequest) -> Bool = { _ in false }
    ) -> (http: ScriptedHTTP, revoke: @Sendable () -> Void) {
        let box = TokenBox()
        let http = ScriptedHTTP { request in
            if request.url.contains("/token") {
                if delay > .zero { try? await Task.sleep(for: delay) }
                if refuses(request) { return .answer(401, request) }
                let life = lifetime.map { #","expires_in":\#($0)"# } ?? ""
                return .answer(200, request, body: Array(#"{"token":"\#(box.issue())"\#(life)}"#.utf8))
            }
            guard request.headers["Authorization"] == "Bearer \(box.current)" else {
                return .answer(401, request, [challenge])
            }
            return .answer(200, request, RegistryClientTests.head)
        }
        return (http, { box.revoke() })
    }

    final class TokenBox: Sendable {
        private let number = Mutex((issued: 0, valid: -1))
        func issue() -> String {
            number.withLock {
                $0.issued += 1
                $0.valid = $0.issued
                return "token-\($0.issued)"
            }
        }
        var current: String { number.withLock { "token-\($0.valid)" } }
        func revoke() { number.withLock { $0.valid = -1 } }
    }

    /// A client that may send its credentials to the token endpoint of these tests.
    private static func client(_ http: any HTTPSending, _ credentials: GivenCredentials) throws -> RegistryClient {
        var options = RegistryOptions()
        try options.tokenRealms.allow("auth.example", for: "r.example")
        return RegistryClient(http: http, credentials: credentials, options: options)
    }

    private func resolve(_ client: RegistryClient) async throws {
        _ = try await client.resolve(Sample.reference(), deadline: Sample.deadline)
    }

    @Test func getsATokenAndUsesItAgain() async throws {
        let (http, _) = registry()
        let client = try Self.client(http, GivenCredentials(.basic(user: "u", password: "p:w")))
        for _ in 0..<3 { try await resolve(client) }
        #expect(
            http.lines == [
                "HEAD https://r.example/v2/app/manifests/v1",
                "GET https://auth.example/token?x=1&service=r.example&scope=repository%3Aapp%3Apull",
                "HEAD https://r.example/v2/app/manifests/v1", "HEAD https://r.example/v2/app/manifests/v1",
                "HEAD https://r.example/v2/app/manifests/v1",
            ])
        #expect(http.requests[0].headers["Authorization"] == nil)
        #expect(http.requests[1].headers["Authorization"] == "Basic " + Data("u:p:w".utf8).base64EncodedString())
        #expect(http.requests[2].headers["Authorization"] == "Bearer token-1")
    }

    @Test func getsATokenWithoutCredentials() async throws {
        let (http, _) = registry()
        try await resolve(RegistryClient(http: http))
        #expect(http.requests[1].headers["Authorization"] == nil)
    }

    @Test func exchangesAnIdentityToken() async throws {
        let (http, _) = registry()
        let client = try Self.client(http, GivenCredentials(.identityToken("re&fresh")))
        try await resolve(client)
        let request = http.requests[1]
        #expect(request.method == .post)
        #expect(request.headers["Content-Type"] == "application/x-www-form-urlencoded")
        let fields = Set(String(decoding: request.body ?? [], as: UTF8.self).split(separator: "&").map(String.init))
        #expect(
            fields == [
                "grant_type=refresh_token", "refresh_token=re%26fresh", "service=r.example",
                "scope=repository%3Aapp%3Apull", "client_id=countersign",
            ])
        #expect(!request.url.contains("refresh_token"))
    }

    @Test func sendsABearerTokenAsItIs() async throws {
        let http = ScriptedHTTP { request in
            request.headers["Authorization"] == "Bearer mine"
                ? .answer(200, request, RegistryClientTests.head) : .answer(401, request, [Self.challenge])
        }
        try await resolve(try Self.client(http, GivenCredentials(.bearer("mine"))))
        #expect(http.requests.count == 1)
        await expectError(.unauthorized) {
            try await resolve(try Self.client(http, GivenCredentials(.bearer("stale"))))
        }
        #expect(http.requests.count == 2)
    }

    @Test func answersABasicChallengeAndRemembersIt() async throws {
        let expected = "Basic " + Data("u:p".utf8).base64EncodedString()
        let http = ScriptedHTTP { request in
            request.headers["Authorization"] == expected
                ? .answer(200, request, RegistryClientTests.head)
                : .answer(401, request, [("WWW-Authenticate", #"Basic realm="r""#)])
        }
        let client = try Self.client(http, GivenCredentials(.basic(user: "u", password: "p")))
        for _ in 0..<3 { try await resolve(client) }
        #expect(http.requests.count == 4)
        let text = await expectError(.unauthorized) { try await resolve(RegistryClient(http: http)) }
        #expect(text.contains("no credentials"))
        let wrong = await expectError(.unauthorized) {
            try await resolve(
                try Self.client(http, GivenCredentials(.basic(user: "u", password: "SECRET"))))
        }
        #expect(wrong.contains("user \"u\"") && !wrong.contains("SECRET"))
        await expectError(.unauthorized) {
            try await resolve(try Self.client(http, GivenCredentials(.identityToken("t"))))
        }
    }

    @Test func asksForOneTokenForManyCallers() async throws {
        let (http, _) = registry(delay: .milliseconds(100))
        let client = RegistryClient(http: http)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<100 {
                group.addTask {
                    _ = try await client.resolve(
                        Sample.reference("r.example/app:t\(number)"), deadline: Sample.deadline)
                }
            }
            try await group.waitForAll()
        }
        #expect(http.lines.filter { $0.contains("/token") }.count == 1)
    }

    @Test func renewsATokenThatIsRefusedOnce() async throws {
        let (http, revoke) = registry()
        let client = RegistryClient(http: http)
        try await resolve(client)
        revoke()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<50 {
                group.addTask {
                    _ = try await client.resolve(
                        Sample.reference("r.example/app:t\(number)"), deadline: Sample.deadline)
                }
            }
            try await group.waitForAll()
        }
        let tokens = http.lines.filter { $0.contains("/token") }.count
        #expect(tokens >= 2 && tokens <= 4)
        // A registry that refuses whatever comes is asked twice, not for ever.
        let never = ScriptedHTTP { request in
            request.url.contains("/token")
                ? .answer(200, request, body: Array(#"{"access_token":"t"}"#.utf8))
                : .answer(401, request, [Self.challenge])
        }
        await expectError(.unauthorized) { try await resolve(RegistryClient(http: never)) }
        #expect(never.requests.count == 3)
    }

    @Test func replacesATokenBeforeItExpires() async throws {
        let (http, _) = registry(lifetime: 2)
        let client = RegistryClient(http: http)
        try await resolve(client)
        try await Task.sleep(for: .milliseconds(1600))
        try await resolve(client)  // in the last quarter: a new one is fetched beside it
        for _ in 0..<1000 where http.lines.filter({ $0.contains("/token") }).count < 2 {
            try await Task.sleep(for: .milliseconds(10))
        }
        #expect(http.lines.filter { $0.contains("/token") }.count == 2)
        try await resolve(client)
        #expect(http.lines.filter { $0.contains("manifests") }.count >= 3)
    }

    @Test func asksForOtherCredentialsWhenTheseAreRefused() async throws {
        let (http, _) = registry(refuses: {
            $0.headers["Authorization"] != "Basic " + Data("u:new".utf8).base64EncodedString()
        })
        let client = try Self.client(
            http, GivenCredentials(.basic(user: "u", password: "old"), next: .basic(user: "u", password: "new")))
        try await resolve(client)
        let text = await expectError(.unauthorized) {
            try await resolve(
                try Self.client(http, GivenCredentials(.basic(user: "u", password: "SECRET"))))
        }
        #expect(text.contains("auth.example") && !text.contains("SECRET"))
    }

    @Test(arguments: [
        #"Bearer realm="http://auth.example/token""#, #"Bearer realm="auth.example/token""#, #"Bearer realm="""#,
        #"Bearer realm="https://u:p@auth.example/""#, #"Bearer realm="file:///etc/passwd""#,
    ])
    func sendsCredentialsToNoSuchPlace(challenge: String) async throws {
        let http = ScriptedHTTP { .answer(401, $0, [("WWW-Authenticate", challenge)]) }
        await expectError(.malformed) {
            try await resolve(
                try Self.client(http, GivenCredentials(.basic(user: "u", password: "p"))))
        }
        #expect(http.requests.count == 1)
    }

    @Test func takesAPlainRealmFromAPlainRegistryOnly() async throws {
        let (http, _) = registry(challenge: ("WWW-Authenticate", #"Bearer realm="http://auth.example/token""#))
        var options = RegistryOptions()
        options.plainHTTP = true
        try await resolve(RegistryClient(http: http, options: options))
        #expect(http.lines[1].hasPrefix("GET http://auth.example/token?scope=repository%3Aapp%3Apull"))
    }

    /// A host that the registry redirects to must not be able to ask for the registry's credentials.
    @Test func answersNoChallengeOfAnotherHost() async throws {
        let http = ScriptedHTTP { request in
            var response = HTTPResponse.answer(
                401, request, [("WWW-Authenticate", #"Bearer realm="https://evil.example/""#)])
            response.url = "https://cdn.example/blob"
            return response
        }
        await expectError(.unauthorized) {
            try await Self.client(http, GivenCredentials(.basic(user: "u", password: "p")))
                .blob(Sample.config, in: Sample.reference(), maximumBytes: 100, deadline: Sample.deadline)
        }
        #expect(http.requests.count == 1)
    }

    @Test(arguments: ["Negotiate", "Digest realm=\"x\"", "", "Bearer"])
    func refusesChallengesItCannotAnswer(challenge: String) async throws {
        let http = ScriptedHTTP { .answer(401, $0, challenge.isEmpty ? [] : [("WWW-Authenticate", challenge)]) }
        await expectError(.unauthorized) { try await resolve(RegistryClient(http: http)) }
    }

    @Test(arguments: ["", "[]", "{}", #"{"token":""}"#, #"{"token":7}"#, #"{"token":"a\r\nX: y"}"#, "<html>"])
    func refusesAnAnswerWithoutAToken(body: String) async throws {
        let http = ScriptedHTTP { request in
            request.url.contains("/token")
                ? .answer(200, request, body: Array(body.utf8)) : .answer(401, request, [Self.challenge])
        }
        await expectError(.malformed) { try await resolve(RegistryClient(http: http)) }
    }

    @Test func takesATokenEndpointThatIsDownForAPassingFault() async throws {
        let http = ScriptedHTTP { request throws(HTTPError) in
            guard request.url.contains("/token") else { return .answer(401, request, [Self.challenge]) }
            throw HTTPError(
                kind: .status(503), host: "auth.example", method: .get, attempts: 4, detail: "it answers 503")
        }
        let text = await expectError(.unavailable) { try await resolve(RegistryClient(http: http)) }
        #expect(text.contains("auth.example"))
    }

    @Test func keepsTokensOfRepositoriesApart() async throws {
        let http = ScriptedHTTP { request in
            if request.url.contains("/token") {
                let scope = request.url.split(separator: "scope=").last.map(String.init) ?? ""
                return .answer(200, request, body: Array(#"{"token":"\#(scope)"}"#.utf8))
            }
            let repository = request.url.split(separator: "/")[3]
            return request.headers["Authorization"] == "Bearer repository%3A\(repository)%3Apull"
                ? .answer(200, request, RegistryClientTests.head)
                : .answer(401, request, [("WWW-Authenticate", #"Bearer realm="https://auth.example/token""#)])
        }
        let client = RegistryClient(http: http)
        for repository in ["a", "b", "a", "b"] {
            _ = try await client.resolve(Sample.reference("r.example/\(repository):v1"), deadline: Sample.deadline)
        }
        #expect(http.lines.filter { $0.contains("/token") }.count == 2)
    }
}
