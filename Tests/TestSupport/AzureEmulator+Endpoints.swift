import Foundation
import StrictJSON

/// What each of Azure's endpoints checks and answers, by the documentation of Microsoft Entra ID, of the metadata
/// service and of Azure Container Registry (`AAD-OAuth.md`).
extension AzureEmulator {
    /// The only scope that registries take.
    private static let registryResource = "https://containerregistry.azure.net"

    private static func json(_ status: Int, _ body: JSONValue) -> EmulatorAnswer {
        EmulatorAnswer(status: status, headers: [("Content-Type", "application/json")], body: body.bytes)
    }

    private static func refusal(_ status: Int, _ error: String, _ description: String) -> EmulatorAnswer {
        json(
            status,
            [
                "error": .string(error),
                "error_description": .string("\(description) Trace ID: 0000\r\nTimestamp: 2026-01-01 00:00:00Z"),
            ])
    }

    private static func form(_ request: EmulatorRequest) -> [String: String]? {
        guard request.method == "POST",
            request.header("Content-Type")?.hasPrefix("application/x-www-form-urlencoded") == true
        else { return nil }
        return request.form
    }

    /// Client credentials with a client assertion.
    func accessToken(_ request: EmulatorRequest, _ state: inout State) -> EmulatorAnswer {
        guard let form = Self.form(request), form["grant_type"] == "client_credentials" else {
            return Self.refusal(
                400, "unsupported_grant_type", "AADSTS70003: The app requested an unsupported grant type.")
        }
        guard form["client_id"] == state.settings.client else {
            return Self.refusal(
                400, "unauthorized_client", "AADSTS700016: Application with identifier was not found in the directory.")
        }
        guard form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            form["client_assertion"] == state.settings.assertion
        else {
            // It repeats what it was sent: nobody may pass that on.
            return Self.refusal(
                401, "invalid_client",
                "AADSTS700213: No matching federated identity record found for \(form["client_assertion"] ?? "nothing")."
            )
        }
        let scope = form["scope"] ?? ""
        let resource = String(scope.dropLast("/.default".count))
        guard scope.hasSuffix("/.default"), isKnown(resource, request) else {
            return Self.refusal(400, "invalid_scope", "AADSTS70011: The provided value for 'scope' is not valid.")
        }
        return issue(&state, for: resource, numbersAsText: false)
    }

    /// Whether there is something that tokens can be for.
    private func isKnown(_ resource: String, _ request: EmulatorRequest) -> Bool {
        resource == Self.registryResource || resource == "https://vault.\(request.header("Host") ?? "")"
    }

    /// The metadata service.
    func metadata(_ request: EmulatorRequest, _ state: inout State) -> EmulatorAnswer {
        guard request.method == "GET", request.header("Metadata") == "true", request.header("X-Forwarded-For") == nil,
            request.query["api-version"] == "2018-02-01"
        else { return Self.refusal(400, "invalid_request", "Required metadata header not specified") }
        guard request.query["client_id"] == state.settings.client else {
            return Self.refusal(400, "invalid_request", "Identity not found")
        }
        guard let resource = request.query["resource"], isKnown(resource, request) else {
            return Self.refusal(400, "invalid_resource", "AADSTS500011: The resource principal was not found.")
        }
        return issue(&state, for: resource, numbersAsText: true)
    }

    private func issue(_ state: inout State, for resource: String, numbersAsText: Bool) -> EmulatorAnswer {
        state.counter += 1
        let token = "eyJhbGciOiJub25lIn0.access-token-\(state.counter).x"
        state.accessTokens[token] = Issued(resource, seconds: state.settings.accessTokenLifetime)
        let seconds = String(state.settings.accessTokenLifetime)
        var answer: JSONObject = [
            "token_type": "Bearer", "expires_in": numbersAsText ? .string(seconds) : .number(seconds),
            "access_token": .string(token),
        ]
        let expiry = Int(Date().timeIntervalSince1970) + state.settings.clockSkew + state.settings.accessTokenLifetime
        answer["expires_on"] = numbersAsText ? .string(String(expiry)) : .number(String(expiry))
        if let time = state.settings.refreshIn { answer["refresh_in"] = .number(String(time)) }
        return Self.json(200, .object(answer))
    }

    /// An access token for a refresh token.
    func exchange(_ request: EmulatorRequest, _ state: inout State) -> EmulatorAnswer {
        guard let form = Self.form(request), form["grant_type"] == "access_token",
            form["service"] == request.header("Host"), form["tenant"] == state.settings.tenant
        else { return .error(400, "BAD_REQUEST") }
        guard let token = form["access_token"], state.accessTokens[token]?.isGood(for: Self.registryResource) == true
        else {
            return .error(401, "UNAUTHORIZED")
        }
        state.counter += 1
        let now = Int64(Date().timeIntervalSince1970)
        let claims: JSONValue = [
            "jti": .string("refresh-\(state.counter)"), "iat": .number(String(now)),
            "exp": .number(String(now + Int64(state.settings.refreshTokenLifetime))),
        ]
        let encoded = Data(claims.bytes).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_")
            .replacing("=", with: "")
        let refreshToken = "eyJhbGciOiJub25lIn0.\(encoded).x"
        state.refreshTokens[refreshToken] = Issued("refresh", seconds: state.settings.refreshTokenLifetime)
        return Self.json(200, ["refresh_token": .string(refreshToken)])
    }

    /// A refresh token for a token that allows pulling one repository.
    func pullToken(_ request: EmulatorRequest, _ state: inout State) -> EmulatorAnswer {
        guard let form = Self.form(request), form["grant_type"] == "refresh_token",
            form["service"] == request.header("Host"), let token = form["refresh_token"],
            state.refreshTokens[token]?.isGood(for: "refresh") == true
        else { return .error(401, "UNAUTHORIZED") }
        let scope = (form["scope"] ?? "").split(separator: ":").map(String.init)
        guard scope.count == 3, scope[0] == "repository", scope[2] == "pull" else { return .error(400, "BAD_SCOPE") }
        state.counter += 1
        let pullToken = "pull-token-\(state.counter)"
        state.pullTokens[pullToken] = Issued(scope[1], seconds: state.settings.pullTokenLifetime)
        let lifetime = String(state.settings.pullTokenLifetime)
        return Self.json(200, ["access_token": .string(pullToken), "expires_in": .number(lifetime)])
    }

    /// The registry itself: nothing without a token for the very repository.
    func contents(_ request: EmulatorRequest, _ state: State) -> EmulatorAnswer {
        let name = request.path.dropFirst(4)
        let end = ["/manifests/", "/blobs/", "/referrers/"].compactMap { name.range(of: $0)?.lowerBound }.min()
        let repository = String(name[..<(end ?? name.endIndex)])
        let authorization = request.header("Authorization") ?? ""
        guard authorization.hasPrefix("Bearer "),
            state.pullTokens[String(authorization.dropFirst(7))]?.isGood(for: repository) == true
        else {
            let host = request.header("Host") ?? ""
            let challenge =
                #"Bearer realm="https://\#(host)/oauth2/token",service="\#(host)",scope="repository:\#(repository):pull""#
            return .error(401, "UNAUTHORIZED", headers: [("WWW-Authenticate", challenge)])
        }
        return registry.state.withLock { registry.respond(to: request, &$0) }
    }
}
