import Foundation
import HTTP
import OCI
import OCIRegistry
import TestSupport
import Testing

/// Registries and token endpoints that say in their answers what they were sent: no message repeats it.
@Suite struct EchoingRegistryTests {
    private static let password = #"pa$$+word/äß "7""#
    private static let basic = Data("robot:\(password)".utf8).base64EncodedString()

    /// What must not be in a message, in any case of letters.
    private static let forms: [String] = [
        password, basic, Data(password.utf8).base64EncodedString(), "pa$$+word", "word%2F", "cGEkJCt3b3Jk",
        "hostsecret",
    ]

    /// The ways in which a peer may write the password into a text.
    enum Form: String, CaseIterable {
        case plain, header, base64, passwordInBase64, percent, half, upper

        var text: String {
            let password = EchoingRegistryTests.password
            return switch self {
            case .plain: password
            case .header: "Authorization: Basic \(EchoingRegistryTests.basic)"
            case .base64: String(EchoingRegistryTests.basic.dropLast(2))
            case .passwordInBase64: Data(password.utf8).base64EncodedString()
            case .percent: password.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
            case .half: String(EchoingRegistryTests.basic.prefix(20))
            case .upper: password.uppercased()
            }
        }

        /// Inside a string of JSON.
        var json: String {
            text.replacing("\"", with: "\\\"").replacing("/", with: "\\/").replacing("ä", with: "\\u00e4")
        }
    }

    private func message(
        _ credential: RegistryCredential = .basic(user: "robot", password: password),
        referrers: Bool = true, registry script: @escaping @Sendable (ScriptedServer.Request) -> [ScriptedServer.Step]
    ) async throws -> String {
        let server = try ScriptedServer(script)
        defer { server.stop() }
        let http = try HTTPClient(configuration: HTTPClientConfiguration(environment: [:]))
        var options = RegistryOptions()
        options.retry = .none
        let client = RegistryClient(http: http, credentials: GivenCredentials(credential), options: options)
        let reference = try ImageReference(parsing: "127.0.0.1:\(server.port)/app:v1")
        var text = ""
        do {
            if referrers {
                _ = try await client.referrers(
                    of: Sample.subject, in: reference, artifactType: nil, deadline: .now + .seconds(20))
            } else {
                _ = try await client.resolve(reference, deadline: .now + .seconds(20))
            }
        } catch { text = "\(error)" }
        await http.shutdown()
        try #require(!text.isEmpty, "there is an error")
        let wasSent = server.requests.contains {
            $0.header("Authorization") != nil || String(decoding: $0.body, as: UTF8.self).contains("refresh_token=")
        }
        #expect(wasSent, "the secret was sent")
        for form in Self.forms { #expect(!text.lowercased().contains(form.lowercased()), "\(text)") }
        for line in text.split(separator: ": ") { #expect(line.utf8.count < 400) }
        return text
    }

    private static let challenge = ("WWW-Authenticate", "Basic realm=\"x\"")

    /// Asks for a password, and then answers with something else.
    private static func afterLogin(
        _ answer: [ScriptedServer.Step]
    ) -> @Sendable (ScriptedServer.Request) -> [ScriptedServer.Step] {
        { $0.header("Authorization") == nil ? [.reply(401, headers: [challenge])] : answer }
    }

    private static func document(_ form: Form) -> String {
        #"{"errors":[{"code":"DENIED","message":"you said \#(form.json), which is wrong"}]}"#
    }

    @Test(arguments: Form.allCases, [401, 403, 407, 418, 429, 500, 503])
    func inTheErrorDocument(form: Form, status: Int) async throws {
        let text = try await message(
            registry: Self.afterLogin([.reply(status, headers: [Self.challenge], body: Self.document(form))]))
        if ![429, 500, 503].contains(status) { #expect(text.contains("DENIED")) }
    }

    @Test(arguments: Form.allCases)
    func inTheCode(form: Form) async throws {
        _ = try await message(
            registry: Self.afterLogin([.reply(403, body: #"{"errors":[{"code":"\#(form.json)","message":"no"}]}"#)]))
    }

    /// The reason phrase, headers, a line that is none.
    @Test(arguments: Form.allCases)
    func inTheHead(form: Form) async throws {
        for head in [
            "HTTP/1.1 418 \(form.text)\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Type: \(form.text)\r\nContent-Length: 2\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\nX-\(form.text)\r\n\r\n", "HTTP/1.1 200 OK\r\n : \(form.text)\r\n\r\n",
            "\(form.text)\r\n\r\n",
            "HTTP/1.1 401 no\r\nWWW-Authenticate: \(form.text)\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 401 no\r\nWWW-Authenticate: Basic realm=\"\(form.text)\"\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 401 no\r\nWWW-Authenticate: Bearer realm=\"\(form.text)\"\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 302 Found\r\nLocation: \(form.text)\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 302 Found\r\nLocation: ftp://x/\(form.text)\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\(form.text)\r\nContent-Length: 0\r\n\r\n",
        ] {
            _ = try await message(registry: Self.afterLogin([.bytes(head), .close]))
        }
    }

    /// A password that can be a host's name, where the host leads to.
    @Test(arguments: [
        "HTTP/1.1 302 Found\r\nLocation: http://hostsecret-0123.invalid/x\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 302 Found\r\nLocation: http://0123.hostsecret-0123.invalid:99/x\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 401 no\r\nWWW-Authenticate: Bearer realm=\"http://hostsecret-0123.invalid/t\"\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.oci.image.index.v1+json\r\n"
            + "Link: <http://hostsecret-0123.invalid/v2/>; rel=\"next\"\r\nContent-Length: 64\r\n\r\n"
            + #"{"schemaVersion":2,"manifests":[],"annotations":{"a":"bcdefghi"}}"#.prefix(64),
    ])
    func inTheNameOfAHost(answer: String) async throws {
        _ = try await message(
            .basic(user: "robot", password: "hostSECRET-0123"), referrers: true,
            registry: Self.afterLogin([.bytes(answer), .close]))
    }

    /// A registry that has been told the password wants a token from a host of that name.
    @Test func inTheNameOfATokenEndpointLaterOn() async throws {
        let text = try await message(.basic(user: "robot", password: "hostSECRET-0123")) { request in
            guard request.header("Authorization") != nil else { return [.reply(401, headers: [Self.challenge])] }
            guard !request.target.contains("page=2") else {
                let realm = #"Bearer realm="https://hostsecret-0123.invalid/t",service="s""#
                return [.reply(401, headers: [("WWW-Authenticate", realm)])]
            }
            let next = "</v2/app/referrers/page=2>; rel=\"next\""
            return [
                .reply(
                    200, headers: [("Content-Type", MediaType.ociIndex), ("Link", next)],
                    body: #"{"schemaVersion":2,"manifests":[]}"#)
            ]
        }
        #expect(text.contains("wants a token from another host, (not shown: it repeats what was sent)"), "\(text)")
    }

    /// What stands in the list where a media type or a digest should be.
    @Test(arguments: Form.allCases)
    func inTheList(form: Form) async throws {
        let digest = Sample.subject.digest
        for list in [
            #"{"schemaVersion":2,"mediaType":"\#(form.json)","manifests":[]}"#,
            #"{"schemaVersion":2,"manifests":[{"mediaType":"x","digest":"\#(form.json)","size":1}]}"#,
            #"{"schemaVersion":2,"manifests":[{"mediaType":"x","digest":"sha256:\#(form.json)","size":1}]}"#,
            #"{"schemaVersion":2,"manifests":[{"mediaType":"x","digest":"\#(digest)","size":"\#(form.json)"}]}"#,
            #"{"schemaVersion":2,"manifests":[],"\#(form.json)":1,"\#(form.json)":1}"#,
        ] {
            _ = try await message(
                registry: Self.afterLogin([
                    .reply(200, headers: [("Content-Type", MediaType.ociIndex)], body: list)
                ]))
        }
    }

    /// The token endpoint hears the password, or a refresh token; the registry the token.
    @Test(
        arguments: [
            RegistryCredential.basic(user: "robot", password: password), .identityToken(password),
            .bearer("hostsecret.abc"),
        ], [400, 401, 403, 404, 500, 200])
    func atTheTokenEndpoint(credential: RegistryCredential, status: Int) async throws {
        // Half of a user with a password, in Base64, is a part of what was sent only where both were.
        let sendsBoth = if case .basic = credential { true } else { false }
        for form in Form.allCases where sendsBoth || form != .half {
            _ = try await message(credential) { request in
                if request.target.hasPrefix("/token") {
                    return [
                        .reply(status, body: #"{"errors":[{"code":"DENIED","message":"\#(form.json)"}],"token":"a b"}"#)
                    ]
                }
                guard request.header("Authorization") == nil else {
                    return [.reply(403, body: #"{"errors":[{"code":"DENIED","message":"hostsecret.abc"}]}"#)]
                }
                let realm = "http://\(request.header("Host") ?? "")/token"
                return [.reply(401, headers: [("WWW-Authenticate", #"Bearer realm="\#(realm)",service="s""#)])]
            }
        }
    }

    /// A token endpoint that gives the password itself as the token, and the registry then says it.
    @Test func theEndpointAndTheRegistryTogether() async throws {
        _ = try await message { request in
            if request.target.hasPrefix("/token") { return [.reply(200, body: #"{"token":"\#(Self.basic)"}"#)] }
            guard request.header("Authorization") == nil else {
                return [.reply(403, body: Self.document(.plain)), .close]
            }
            let realm = "http://\(request.header("Host") ?? "")/token"
            return [.reply(401, headers: [("WWW-Authenticate", #"Bearer realm="\#(realm)",service="s""#)])]
        }
    }

    /// What is no secret is quoted, in 80 characters.
    @Test func otherWordsAreShown() async throws {
        let text = try await message(
            registry: Self.afterLogin([
                .reply(
                    403,
                    body:
                        #"{"errors":[{"code":"DENIED","message":"ask the owner\u001b[31m\#(String(repeating: "x", count: 500))"}]}"#
                )
            ]))
        #expect(text.contains(": DENIED: ask the owner\\u{1b}[31mxxx") && text.contains("x…"), "\(text)")
        #expect(!text.contains(String(repeating: "x", count: 80)))
    }
}
