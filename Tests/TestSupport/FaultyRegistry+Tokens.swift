import Foundation
import OCIRegistry
import StrictJSON

/// A token that a ``FaultyRegistry`` has issued.
struct RegistryToken: Sendable {
    let scopes: Set<String>
    let issued = ContinuousClock.now
    let expires: ContinuousClock.Instant
}

/// A request to a ``FaultyRegistry``'s token endpoint.
package struct RegistryTokenRequest: Sendable {
    package let method: String
    package let service: String?
    /// As asked for: `repository:app:pull`, several in one text or several parameters.
    package let scopes: [String]
    /// The account, `nil` for anonymous requests.
    package let user: String?
    /// `password` or `refresh_token`, in requests by POST.
    package let grantType: String?
    /// Whether a token was issued.
    package let isGranted: Bool
}

/// Authentication: Basic, and the Docker token protocol by GET and by POST (OAuth 2).
extension FaultyRegistry {
    /// Every request for a token so far.
    package var tokenRequests: [RegistryTokenRequest] { state.withLock { $0.tokenRequests } }

    /// Makes every token worthless that was issued, or issued so long ago.
    package func revokeTokens(olderThan age: Duration = .zero) {
        state.withLock { state in state.tokens = state.tokens.filter { $0.value.issued + age > .now } }
    }

    /// Gives the account another password; what was issued for the former one is worthless.
    package func rotate(to password: String) {
        state.withLock {
            $0.password = password
            $0.tokens = [:]
        }
    }

    /// The refusal of a request, `nil` when it may go on.
    func authorize(_ request: EmulatorRequest, repository: String, _ state: State) -> EmulatorAnswer? {
        let authorization = request.header("Authorization")
        switch options.authentication {
        case .none: return nil
        case .basic(let user, let password):
            if authorization == FaultyRegistry.basic(user, state.password ?? password) { return nil }
            return .error(401, "UNAUTHORIZED", headers: [("WWW-Authenticate", "Basic realm=\"faulty registry\"")])
        case .token:
            let actions = ["GET", "HEAD"].contains(request.method) ? ["pull"] : ["pull", "push"]
            let needed = Set(repository.isEmpty ? [] : actions.map { "repository:\(repository):\($0)" })
            if let authorization, authorization.hasPrefix("Bearer "),
                let token = state.tokens[String(authorization.dropFirst(7))], token.expires > .now,
                needed.isSubset(of: token.scopes)
            {
                return nil
            }
            var challenge = "Bearer realm=\"\(url)/token\",service=\"faulty\""
            if !repository.isEmpty {
                challenge += ",scope=\"repository:\(repository):\(actions.joined(separator: ","))\""
            }
            return .error(401, "UNAUTHORIZED", headers: [("WWW-Authenticate", challenge)])
        }
    }

    func issueToken(_ request: EmulatorRequest, _ state: inout State) -> EmulatorAnswer {
        guard
            case .token(let user, let initial, let refreshToken, let anonymousPull, let lifetime) = options
                .authentication
        else { return .error(404, "NOT_FOUND") }
        let password = state.password ?? initial
        let form = request.method == "POST" ? request.form : request.query
        let scopes = (form["scope"] ?? "").split(separator: " ").map(String.init)
        let authorization = request.header("Authorization")
        var account: String?
        var isRefused = false
        if request.method == "POST" {
            switch form["grant_type"] {
            case "refresh_token": account = refreshToken != nil && form["refresh_token"] == refreshToken ? user : nil
            case "password": account = form["username"] == user && form["password"] == password ? user : nil
            default: break
            }
            isRefused = account == nil
        } else if let authorization {
            account = authorization == FaultyRegistry.basic(user, password) ? user : nil
            isRefused = account == nil
        }
        // Whoever may not do what was asked gets a token for less, as registries do; without any account, none.
        if account == nil, !anonymousPull { isRefused = true }
        state.tokenRequests.append(
            RegistryTokenRequest(
                method: request.method, service: form["service"], scopes: scopes, user: account,
                grantType: form["grant_type"], isGranted: !isRefused))
        guard !isRefused else { return .error(401, "UNAUTHORIZED") }
        var granted: Set<String> = []
        for scope in scopes {
            let parts = scope.split(separator: ":")
            guard parts.count == 3, parts[0] == "repository" else { continue }
            for action in parts[2].split(separator: ",") where account != nil || action == "pull" {
                granted.insert("repository:\(parts[1]):\(action)")
            }
        }
        state.counter += 1
        let token = "token-\(state.counter)"
        state.tokens[token] = RegistryToken(scopes: granted, expires: .now + .seconds(lifetime))
        let name = request.method == "POST" ? "access_token" : "token"
        let body: JSONValue = .object([name: .string(token), "expires_in": .number(String(lifetime))])
        return EmulatorAnswer(status: 200, headers: [("Content-Type", "application/json")], body: body.bytes)
    }

    private static func basic(_ user: String, _ password: String) -> String {
        "Basic " + Data("\(user):\(password)".utf8).base64EncodedString()
    }
}
