import Encoding
import HTTP
import IPAddresses
import OCI
import Quotation
import StrictJSON

/// The permission that a repository's calls need.
struct AuthorizationKey: Hashable, Sendable {
    let endpoint: String
    let repository: String
    let actions: RegistryCall.Actions
}

/// How a registry wants to be asked.
enum AuthorizationScheme: Hashable, Sendable {
    /// It answers without any credential.
    case open
    case basic
    case bearer(realm: HTTPURL, service: String?, scope: String, privateAddresses: PrivateAddresses)
}

/// What a token is asked for with: nobody else's token ever answers.
struct TokenQuestion: Hashable, Sendable {
    let endpoint: String
    let realm: HTTPURL
    let service: String?
    let scope: String
    let credential: RegistryCredential
    /// Whether the realm may be at a private address.
    let privateAddresses: PrivateAddresses
}

/// A token, and how long it is good for.
struct Token: Hashable, Sendable {
    let value: String
    let obtained: ContinuousClock.Instant
    let lifetime: Duration

    /// A little before its end: a request takes its time to arrive.
    var expires: ContinuousClock.Instant { obtained + lifetime - min(lifetime / 10, .seconds(5)) }
    /// From when on a new one is fetched in the background.
    var renewal: ContinuousClock.Instant { obtained + lifetime * 0.75 }
}

/// The `Authorization` of a call, and the question whose token it is.
struct Authorization: Sendable {
    let header: String
    let question: TokenQuestion?
    let token: Token?
}

extension RegistryClient {
    /// What is known to be wanted, from earlier challenges: saves a round trip that ends with 401.
    func knownAuthorization(
        for call: RegistryCall, _ credential: RegistryCredential
    ) async throws(RegistryError) -> Authorization? {
        if case .bearer(let token) = credential {
            return Authorization(header: "Bearer \(token)", question: nil, token: nil)
        }
        switch schemes.value(for: key(of: call)) {
        case nil, .open: return nil
        case .basic: return Self.basic(credential)
        case .bearer(let realm, let service, let scope, let privateAddresses):
            try check(realm, for: credential, call)
            let question = TokenQuestion(
                endpoint: call.reference.endpoint, realm: realm, service: service, scope: scope,
                credential: credential, privateAddresses: privateAddresses)
            do { return try await bearer(question, call) } catch {
                // Perhaps the registry has another endpoint by now: the next call asks for its challenge again.
                schemes.remove(key(of: call))
                throw error
            }
        }
    }

    /// Keeps how a repository wants to be asked, from its first answer. What cannot be used of it is an error where the
    /// answer is.
    func learnScheme(from response: HTTPResponse, of call: RegistryCall) {
        guard schemes.value(for: key(of: call)) == nil else { return }
        guard response.status == 401 else { return keep(.open, for: call) }
        let challenges = AuthenticationChallenge.parse(response.headers.all("WWW-Authenticate"))
        if let challenge = challenges.first(where: { $0.scheme == "bearer" && $0.parameters["realm"] != nil }) {
            if let scheme = try? tokenScheme(challenge, response, call) { keep(scheme, for: call) }
        } else if challenges.contains(where: { $0.scheme == "basic" }) {
            keep(.basic, for: call)
        }
    }

    /// What answers the challenges of a 401; `nil` when the credential answers none of them.
    func authorization(
        answering response: HTTPResponse, of call: RegistryCall, _ credential: RegistryCredential
    ) async throws(RegistryError) -> Authorization? {
        let challenges = AuthenticationChallenge.parse(response.headers.all("WWW-Authenticate"))
        if let challenge = challenges.first(where: { $0.scheme == "bearer" && $0.parameters["realm"] != nil }) {
            guard !credential.isBearer else { return nil }
            let scheme = try tokenScheme(challenge, response, call)
            keep(scheme, for: call)
            return try await knownAuthorization(for: call, credential)
        }
        if challenges.contains(where: { $0.scheme == "basic" }) {
            if case .identityToken = credential {
                throw call.error(
                    .unauthorized, "the registry wants a user name and a password, but there is an identity token only")
            }
            guard let basic = Self.basic(credential) else { return nil }
            keep(.basic, for: call)
            return basic
        }
        let said = Self.message(in: response)
        throw call.error(
            .unauthorized,
            challenges.isEmpty
                ? "the registry answers 401 without a challenge that can be read\(said)"
                : "the registry wants \"\(response.sent.quote(challenges[0].scheme))\" authentication, which is not supported\(said)"
        )
    }

    /// Forgets a token that was refused, unless it has been replaced already.
    func forget(_ authorization: Authorization) {
        guard let question = authorization.question, let token = authorization.token else { return }
        tokens.remove(question) { $0 == token }
    }

    func key(of call: RegistryCall) -> AuthorizationKey {
        AuthorizationKey(
            endpoint: call.reference.endpoint, repository: call.reference.repository, actions: call.actions)
    }

    private func keep(_ scheme: AuthorizationScheme, for call: RegistryCall) {
        let key = key(of: call)
        schemes.insert(scheme, for: key, cost: key.cacheCost + scheme.cacheCost)
    }

    private static func basic(_ credential: RegistryCredential) -> Authorization? {
        guard case .basic(let user, let password) = credential else { return nil }
        let encoded = Base64.encode(Array("\(user):\(password)".utf8))
        return Authorization(header: "Basic \(encoded)", question: nil, token: nil)
    }

    /// Where tokens come from, as the registry says; in plain HTTP only if the registry is asked so too.
    private func tokenScheme(
        _ challenge: AuthenticationChallenge, _ response: HTTPResponse, _ call: RegistryCall
    ) throws(RegistryError) -> AuthorizationScheme {
        let realm: HTTPURL
        do { realm = try HTTPURL(parsing: challenge.parameters["realm"] ?? "") } catch {
            throw call.error(.malformed, "the registry names a token endpoint that cannot be used: \(error)")
        }
        guard realm.scheme == .https || isPlain(call.reference.endpoint) else {
            throw call.error(
                .malformed,
                "the registry names a token endpoint in plain HTTP (\(response.sent.shown(realm.authority))): no credentials are sent there"
            )
        }
        let scope = challenge.parameters["scope"].flatMap { $0.isEmpty ? nil : $0 }
        // The registry is where the reference says; another place for tokens is what the registry says.
        var privateAddresses = PrivateAddresses.allowed
        if try !realm.hasSameOrigin(as: origin(call.reference)) {
            privateAddresses = options.privateAddresses
            if response.isFromPrivateAddress { privateAddresses = privateAddresses.withPrivateNetworks }
        }
        return .bearer(
            realm: realm, service: challenge.parameters["service"],
            scope: scope ?? "repository:\(call.reference.repository):\(call.actions.rawValue)",
            privateAddresses: privateAddresses)
    }

    /// A credential goes to the registry's own host, and to others only if they are known to be its realm.
    private func check(
        _ realm: HTTPURL, for credential: RegistryCredential, _ call: RegistryCall
    ) throws(RegistryError) {
        guard credential != .anonymous else { return }
        guard !options.tokenRealms.allow(realm, for: call.reference, at: try origin(call.reference)) else { return }
        let host = realm.scheme == .https ? realm.authority : "\(realm.host):\(realm.port)"
        // The registry chose the name, and may have been told the credential before.
        let (name, registry) = (SentSecrets(credential.secrets).quote(host), call.reference.registry)
        throw call.error(
            .unauthorized,
            "the registry wants a token from another host, \(name), and \(credential) is not sent there unless the"
                + " configuration names it; if that host is to have these credentials, add it to the store's tokenRealms:"
                + " {\"\(registry)\": [\"\(name)\"]} (on the command line --token-realm \(registry)=\(name))")
    }

    private func bearer(
        _ question: TokenQuestion, _ call: RegistryCall
    ) async throws(RegistryError) -> Authorization {
        func authorization(_ token: Token) -> Authorization {
            Authorization(header: "Bearer \(token.value)", question: question, token: token)
        }
        let now = ContinuousClock.now
        if let token = tokens.value(for: question, now: now) {
            if now >= token.renewal {
                Task { [self] in _ = try? await renewed(question, call, now + options.sharedFetchTime) }
            }
            return authorization(token)
        }
        return authorization(try await renewed(question, call, call.deadline))
    }

    private func renewed(
        _ question: TokenQuestion, _ call: RegistryCall, _ deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> Token {
        try await authorizing.value(
            for: question, deadline: deadline, workTime: options.sharedFetchTime,
            timeout: self.waitedTooLong(
                call.reference, call.subject,
                "getting a token from \(SentSecrets(question.credential.secrets).shown(question.realm.authority))")
        ) { [self] (deadline) async throws(RegistryError) -> Token in
            let token = try await fetchToken(question, call, deadline)
            tokens.insert(
                token, for: question, cost: question.cacheCost + token.value.utf8.count, expires: token.expires)
            return token
        }
    }

    /// Asks the token endpoint (Docker's token authentication specification, and OAuth 2 for identity tokens).
    private func fetchToken(
        _ question: TokenQuestion, _ call: RegistryCall, _ deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> Token {
        var fields: [(String, String)] = []
        if let service = question.service { fields.append(("service", service)) }
        // Several scopes come separated by spaces, and are asked for one by one.
        let scopes = question.scope.split(separator: " ").map(String.init)
        var headers: HTTPHeaders = ["Accept": "application/json"]
        var request: HTTPRequest
        if case .identityToken(let refreshToken) = question.credential {
            fields += [
                ("grant_type", "refresh_token"), ("client_id", "countersign"), ("refresh_token", refreshToken),
                ("scope", scopes.joined(separator: " ")),
            ]
            headers.set("Content-Type", "application/x-www-form-urlencoded")
            // Asking twice gives two tokens, which harms nobody.
            var retry = options.retry
            retry.retriesNonIdempotent = true
            request = HTTPRequest(
                .post, question.realm.text, headers: headers, body: Array(PercentEncoding.form(fields).utf8),
                deadline: deadline,
                retry: retry)
        } else {
            fields += scopes.map { ("scope", $0) }
            if let basic = Self.basic(question.credential) { headers.set("Authorization", basic.header) }
            let separator = question.realm.target.contains("?") ? "&" : "?"
            request = HTTPRequest(
                .get, question.realm.text + separator + PercentEncoding.form(fields), headers: headers,
                deadline: deadline,
                retry: options.retry)
        }
        request.maximumResponseBytes = 256 * 1024
        request.secrets = question.credential.secrets
        request.privateAddresses = question.privateAddresses
        request.place.precedence = RegistryCall.Precedence.ending.rawValue
        let asked = ContinuousClock.now
        // The registry chose the endpoint's name: after it was told the credential it may have put that into it.
        let name = SentSecrets(question.credential.secrets).shown(question.realm.authority)
        defer { options.onWork?(.token, name, asked.duration(to: .now)) }
        let place = "getting a token from \(name)"
        let response = try await transmit(request) { error in
            call.error(Self.kind(of: error), "\(place): \(error)", retryAfter: error.retryAfter)
        }
        switch response.status {
        case 200: break
        case 400, 401, 403:
            throw call.error(
                .unauthorized,
                "\(place): it refuses \(question.credential) (\(response.status))\(Self.message(in: response)); check the credentials for this registry, and that the repository exists"
            )
        default:
            throw call.error(.refused, "\(place): it answers \(response.status)\(Self.message(in: response))")
        }
        guard let document = try? StrictJSON.parse(response.body),
            let value = [document["token"]?.string, document["access_token"]?.string].compactMap({ $0 })
                .first(where: { !$0.isEmpty }),
            value.utf8.allSatisfy({ (0x21...0x7E).contains($0) })
        else { throw call.error(.malformed, "\(place): the answer holds no token") }
        // "If omitted, this defaults to 60 seconds."
        let seconds = document["expires_in"]?.integer.flatMap { $0 > 0 ? min($0, 24 * 3600) : nil } ?? 60
        return Token(value: value, obtained: asked, lifetime: .seconds(seconds))
    }
}

extension RegistryCredential {
    /// What of it only the registry and its token endpoint may know.
    var secrets: [String] {
        switch self {
        case .anonymous: []
        case .basic(let user, let password): [password, "\(user):\(password)"]
        case .identityToken(let token), .bearer(let token): [token]
        }
    }

    var isBearer: Bool { if case .bearer = self { true } else { false } }
}
