import Foundation
import PKI
import StrictJSON
import Synchronization

/// A token endpoint that a real ``DockerRegistry`` believes: it signs tokens as JWTs (ES256) with a key whose
/// certificate the registry is given.
package final class TokenServer: Sendable {
    /// The name of the registry, and of this server as the issuer.
    package static let service = "test-registry", issuer = "test-issuer"

    private let server: ScriptedServer
    private let authority: CertificateAuthority
    /// The host as the registry names it.
    private let host: String

    /// Starts a server.
    ///
    /// - Parameters:
    ///   - user: who may pull and push; everybody else may pull.
    ///   - refreshToken: what proves the same user by POST.
    ///   - lifetime: how long tokens are good for, in seconds.
    ///   - host: how the registry names it.
    package init(
        user: String, password: String, refreshToken: String, lifetime: Int = 300, host: String = "127.0.0.1"
    ) throws {
        self.host = host
        let authority = try CertificateAuthority(name: "token signer")
        self.authority = authority
        let basic = "Basic " + Data("\(user):\(password)".utf8).base64EncodedString()
        server = try ScriptedServer { request in
            let form = request.method == "POST" ? String(decoding: request.body, as: UTF8.self) : request.target
            let fields = Self.fields(form)
            var mayPush = request.header("Authorization") == basic
            if request.header("Authorization") != nil, !mayPush { return [.reply(401)] }
            if request.method == "POST" {
                guard fields["grant_type"] == "refresh_token", fields["refresh_token"] == refreshToken else {
                    return [.reply(401)]
                }
                mayPush = true
            }
            guard fields["service"] == Self.service,
                let token = try? Self.token(fields["scope"] ?? "", mayPush, lifetime, authority)
            else { return [.reply(400)] }
            return [
                .reply(
                    200, headers: [("Content-Type", "application/json")],
                    body:
                        #"{"\#(request.method == "POST" ? "access_token" : "token")":"\#(token)","expires_in":\#(lifetime)}"#
                )
            ]
        }
    }

    /// What the registry must be told to believe this server.
    package var authentication: DockerRegistry.Authentication {
        .token(
            realm: "http://\(authorityName)/token", service: Self.service, issuer: Self.issuer,
            certificate: authority.certificate.pem)
    }

    /// Host and port as the registry names them.
    package var authorityName: String { "\(host):\(server.port)" }

    /// How many tokens were asked for.
    package var requests: Int { server.requests.count }

    /// Ends it.
    package func stop() { server.stop() }

    private static func fields(_ text: String) -> [String: String] {
        var components = URLComponents()
        components.percentEncodedQuery = text.split(separator: "?").last.map(String.init)
        return Dictionary(
            (components.queryItems ?? []).map { ($0.name, $0.value ?? "") }, uniquingKeysWith: { first, _ in first })
    }

    private static func token(
        _ scope: String, _ mayPush: Bool, _ lifetime: Int, _ authority: CertificateAuthority
    ) throws -> String {
        let parts = scope.split(separator: ":")
        var access: [JSONValue] = []
        if parts.count == 3 {
            let actions = parts[2].split(separator: ",").filter { $0 == "pull" || mayPush }
            access = [
                [
                    "type": "repository", "name": .string(String(parts[1])),
                    "actions": .array(actions.map { .string(String($0)) }),
                ]
            ]
        }
        let now = Int64(Date().timeIntervalSince1970)
        let header: JSONValue = [
            "typ": "JWT", "alg": "ES256",
            "x5c": [.string(Data(authority.certificate.der).base64EncodedString())],
        ]
        let claims: JSONValue = [
            "iss": .string(issuer), "sub": "user", "aud": .string(service), "jti": .string(UUID().uuidString),
            "exp": .number(String(now + Int64(lifetime))), "nbf": .number(String(now - 60)),
            "iat": .number(String(now)),
            "access": .array(access),
        ]
        let signed = "\(base64URL(header.bytes)).\(base64URL(claims.bytes))"
        let signature = try authority.key.envelopeSignature(over: Array(signed.utf8), hash: .sha256)
        return "\(signed).\(base64URL(signature))"
    }

    private static func base64URL(_ bytes: [UInt8]) -> String {
        Data(bytes).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }
}
