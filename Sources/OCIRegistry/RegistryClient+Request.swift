import HTTP
import OCI
import Quotation
import StrictJSON

/// The answer to the first call to a repository, and whose call it was.
struct Introduction: Sendable {
    let caller: UInt64
    let result: Result<HTTPResponse, RegistryError>
}

/// One call to a registry.
struct RegistryCall: Sendable {
    /// What the caller may do with the repository, in the words of a token's scope.
    enum Actions: String, Hashable, Sendable { case pull, push = "pull,push" }

    /// How far the work is that a call is part of: the nearer its end, the sooner the call is sent when the registry
    /// limits requests.
    enum Precedence: Int, Sendable { case beginning = 0, continuing, usual, ending }

    var method = HTTPMethod.get
    /// What is done, for messages: "resolving the reference".
    var purpose: String
    var reference: ImageReference
    /// What it is about, for messages: `library/nginx:1.27`.
    var subject: String
    /// Below `/v2/repository/`.
    var path: String
    /// Where to go instead, when the registry has said where: an upload, the next page.
    var location: HTTPURL?
    var accept: String?
    var contentType: String?
    var body: [UInt8]?
    var maximumBytes = 64 * 1024
    var precedence = Precedence.usual
    var actions = Actions.pull
    var retry: RetryPolicy?
    /// Whether it asks what refers to an image.
    var isAboutSignatures = false
    /// Whether a redirect is followed, without `Authorization` once it leaves the registry.
    var followsRedirects = false
    var deadline: ContinuousClock.Instant

    /// An error of this call.
    func error(_ kind: RegistryError.Kind, _ detail: String, retryAfter: Duration? = nil) -> RegistryError {
        RegistryError(
            kind, host: reference.endpoint, subject: subject, detail: "\(purpose): \(detail)", retryAfter: retryAfter)
    }
}

extension RegistryClient {
    /// Where the registry of a reference is.
    func origin(_ reference: ImageReference) throws(RegistryError) -> HTTPURL {
        if let known = origins.value(for: reference.endpoint) { return known }
        let scheme = isPlain(reference.endpoint) ? "http" : "https"
        do {
            let origin = try HTTPURL(parsing: "\(scheme)://\(reference.endpoint)")
            origins.insert(origin, for: reference.endpoint)
            return origin
        } catch {
            throw RegistryError(.refused, host: reference.endpoint, detail: "this registry cannot be asked: \(error)")
        }
    }

    /// Sends a call, answering the registry's challenge with the caller's credential, and returns the answer, of
    /// whatever status except 401.
    func send(_ call: RegistryCall) async throws(RegistryError) -> HTTPResponse {
        let repository = call.reference.repository
        let (endpoint, credential) = try await credential(for: call)
        do { return try await send(call, credential) } catch {
            guard error.kind == .unauthorized, credential != .anonymous else { throw error }
            // The source may have kept it beyond its life, or it was renewed meanwhile: once more with another one.
            await credentials.credentialRejected(credential, for: endpoint, repository: repository)
            let renewed = try await credentials.credential(
                for: endpoint, repository: repository, deadline: call.deadline)
            guard renewed != credential else { throw error }
            return try await send(call, renewed)
        }
    }

    /// The credential for a call, and the endpoint that it is kept for. In plain HTTP a registry without a port is also
    /// the one at port 80.
    private func credential(
        for call: RegistryCall
    ) async throws(RegistryError) -> (endpoint: String, credential: RegistryCredential) {
        let reference = call.reference
        var endpoint = reference.endpoint
        var credential = try await credentials.credential(
            for: endpoint, repository: reference.repository, deadline: call.deadline)
        if credential == .anonymous, options.plainHTTP,
            let name = RegistryName(parsing: endpoint)?.with(defaultPort: 80), name.description != endpoint
        {
            endpoint = name.description
            credential = try await credentials.credential(
                for: endpoint, repository: reference.repository, deadline: call.deadline)
        }
        return (endpoint, credential)
    }

    private func send(
        _ call: RegistryCall, _ credential: RegistryCredential
    ) async throws(RegistryError) -> HTTPResponse {
        let origin = try origin(call.reference)
        let url: HTTPURL
        do {
            url = try call.location ?? origin.with(target: "/v2/\(call.reference.repository)/\(call.path)")
        } catch { throw call.error(.malformed, "\(error)") }
        let isOwn = url.hasSameOrigin(as: origin)
        var authorization = isOwn ? try await knownAuthorization(for: call, credential) : nil
        var isLastTry = false
        var tries = 0
        var first: HTTPResponse?
        if isOwn, authorization == nil, schemes.value(for: key(of: call)) == nil {
            first = try await introduction(call, url)
            // Somebody else's first call may have told meanwhile.
            if first == nil { authorization = try await knownAuthorization(for: call, credential) }
        }
        while true {
            let response: HTTPResponse
            if let known = first {
                response = known
            } else {
                response = try await transmit(call, url, authorization, secrets: credential.secrets)
            }
            first = nil
            guard response.status == 401 else { return response }
            // Only the registry itself may name the place that credentials go to, not a host it redirects to.
            guard isOwn, (try? HTTPURL(parsing: response.url))?.hasSameOrigin(as: origin) == true else {
                throw call.error(.unauthorized, "a host that the registry redirects to answered 401")
            }
            if let authorization { forget(authorization) }
            // A token that was kept, or with which the request waited for its turn, may have lost its worth since it
            // was good: that says nothing of the credentials, only a refusal of a new one does.
            let wasKept = authorization?.token.map { $0.obtained + Self.newTokenAge < .now } ?? false
            guard !isLastTry || wasKept && tries < Self.maximumTries else {
                throw refusal(response, call, credential)
            }
            guard let answer = try await self.authorization(answering: response, of: call, credential) else {
                throw refusal(response, call, credential)
            }
            authorization = answer
            isLastTry = true
            tries += 1
        }
    }

    /// How old a token may be whose refusal is one of the credentials.
    private static let newTokenAge = Duration.seconds(1)
    /// How many times a call answers a challenge.
    private static let maximumTries = 4

    /// The answer to the first call to a repository without credentials, if this call is the first; `nil` when it is
    /// known how the repository wants to be asked, or somebody else has just found out or failed to.
    ///
    /// Without this everybody who asks at a cold start would send a call that ends with 401.
    private func introduction(_ call: RegistryCall, _ url: HTTPURL) async throws(RegistryError) -> HTTPResponse? {
        let key = key(of: call)
        guard schemes.value(for: key) == nil else { return nil }
        let own = introductions.add(1, ordering: .relaxed).newValue
        let introduction = try await introducing.value(
            for: key, deadline: call.deadline, workTime: .zero,
            timeout: self.waitedTooLong(call.reference, call.subject, call.purpose)
        ) { [self] (_) async throws(RegistryError) -> Introduction in
            do throws(RegistryError) {
                let response = try await transmit(call, url, nil, secrets: [])
                // Only the registry itself may name the place that credentials go to.
                if (try? HTTPURL(parsing: response.url))?.hasSameOrigin(as: url) == true {
                    learnScheme(from: response, of: call)
                }
                return Introduction(caller: own, result: .success(response))
            } catch { return Introduction(caller: own, result: .failure(error)) }
        }
        // What somebody else's call came to says nothing about this one.
        return introduction.caller == own ? try introduction.result.get() : nil
    }

    private func transmit(
        _ call: RegistryCall, _ url: HTTPURL, _ authorization: Authorization?, secrets: [String]
    ) async throws(RegistryError) -> HTTPResponse {
        var headers = HTTPHeaders()
        if let accept = call.accept { headers.set("Accept", accept) }
        if let contentType = call.contentType { headers.set("Content-Type", contentType) }
        if let authorization { headers.set("Authorization", authorization.header) }
        var request = HTTPRequest(
            call.method, url, headers: headers, body: call.body, maximumResponseBytes: call.maximumBytes,
            deadline: call.deadline, retry: call.retry ?? options.retry,
            redirects: call.followsRedirects ? .follow(maximum: 5) : .refuse)
        request.redirectsToPrivateAddresses = options.privateAddresses
        request.place.precedence = call.precedence.rawValue
        request.place.group = call.reference.scopeName
        request.secrets = secrets
        return try await transmit(request) { error in
            RegistryError(
                Self.kind(of: error), host: call.reference.endpoint, subject: call.subject,
                detail: "\(call.purpose): \(error)", retryAfter: error.retryAfter,
                isConfiguration: error.kind == .configuration)
        }
    }

    /// Sends a request, counting it.
    func transmit(
        _ request: HTTPRequest, fault: (HTTPError) -> RegistryError
    ) async throws(RegistryError) -> HTTPResponse {
        requestCount.add(1, ordering: .relaxed)
        do {
            let response = try await http.send(request)
            options.onAnswer?(Self.host(request), response.status)
            return response
        } catch {
            let status: Int? =
                switch error.kind {
                case .throttled: 429
                case .status(let status): status
                default: nil
                }
            options.onAnswer?(Self.host(request), status)
            throw fault(error)
        }
    }

    private static func host(_ request: HTTPRequest) -> String { (try? request.parsedURL())?.authority ?? "" }

    /// What an ``HTTPError`` means to a caller of this module.
    static func kind(of error: HTTPError) -> RegistryError.Kind {
        switch error.kind {
        case .dns, .connect, .connectionLost, .tls, .proxy, .protocolFault, .status, .configuration, .tooSlow,
            .overBudget:
            .unavailable
        case .timeout: .timeout
        case .cancelled: .cancelled
        case .throttled: .throttled
        case .responseTooLarge: .tooLarge
        case .tooManyRedirects, .redirectRefused: .malformed
        case .invalidURL, .invalidRequest, .addressRefused: .refused
        }
    }

    /// The error for a status that the call has no use for.
    func unexpected(_ response: HTTPResponse, _ call: RegistryCall) -> RegistryError {
        let said = Self.message(in: response)
        return switch response.status {
        case 403: call.error(.forbidden, "the registry refuses (403)\(said); \(advice(onRefusalOf: call))")
        case 404: call.error(.notFound, "the registry has no such content (404)\(said); check the name")
        case 429: call.error(.throttled, "the registry limits requests (429)\(said)")
        case 500...: call.error(.unavailable, "the registry answers \(response.status)\(said)")
        default: call.error(.refused, "the registry answers \(response.status)\(said)")
        }
    }

    /// What to do about 403. An identity that has just read the repository has the right to; some registries, and
    /// proxies before them, answer so for what is not there.
    private func advice(onRefusalOf call: RegistryCall) -> String {
        guard call.actions == .pull, openRepositories.value(for: call.reference.scopeName) != nil else {
            return "grant this identity the right to \(call.actions.rawValue)"
        }
        guard call.isAboutSignatures else {
            return
                "this identity has just read the repository: it may be refused this content alone, or the content is not there"
        }
        return
            "this identity has just read the image, so some registries say this where there is nothing: most likely the image has no signature, sign it; if it has some, allow this identity to list them (the Referrers API, and tags that begin with sha256-)"
    }

    private func refusal(
        _ response: HTTPResponse, _ call: RegistryCall, _ credential: RegistryCredential
    ) -> RegistryError {
        let advice =
            credential == .anonymous
            ? "there are no credentials for this registry: add some, if the repository exists and is private"
            : "check these credentials, and that the repository exists"
        return call.error(
            .unauthorized, "the registry refuses \(credential) (401)\(Self.message(in: response)); \(advice)")
    }

    /// What the registry says in its error document (distribution specification, "Error Codes"), ready to follow a
    /// status, without anything that was sent.
    static func message(in response: HTTPResponse) -> String {
        guard response.body.count <= 64 * 1024, let document = try? StrictJSON.parse(response.body),
            let first = document["errors"]?.array?.first
        else { return "" }
        let parts = [first["code"]?.string, first["message"]?.string].compactMap { $0 }.filter { !$0.isEmpty }
        return parts.map { ": \(response.sent.quote($0))" }.joined()
    }
}
