import FoundationEssentials
import HTTP
import StrictJSON
import Synchronization

/// One key vault, through its REST interface.
///
/// Tokens go to this vault only, and only after its challenge was found to be a key vault's. Every link that it sends
/// must lead to itself.
package final class KeyVaultClient: Sendable {
    /// Where the vault is.
    package let vault: HTTPURL
    private let source: any AzureTokenSource
    private let tokens: AzureTokenCache
    private let http: any HTTPSending
    /// What the vault's challenge asked for.
    private let scope = Mutex<AzureScope?>(nil)

    /// The version of the interface.
    static let apiVersion = "7.4"
    /// How many pages of a list are read: a page has up to 25 versions.
    private static let maximumPages = 200

    /// A vault.
    ///
    /// - Parameters:
    ///   - vaultURI: `https://NAME.vault.azure.net`, or that of another cloud.
    ///   - http: has to trust the vault.
    package init(
        vaultURI: String, source: any AzureTokenSource, tokens: AzureTokenCache, http: any HTTPSending
    ) throws(AzureError) {
        vault = try Self.vault(vaultURI)
        self.source = source
        self.tokens = tokens
        self.http = http
    }

    /// Reads the URL of a vault: https, a host, and nothing else.
    static func vault(_ text: String) throws(AzureError) -> HTTPURL {
        let url: HTTPURL
        do { url = try HTTPURL(parsing: text) } catch {
            throw AzureError(.configuration, detail: "vaultURI: \(error)")
        }
        guard url.scheme == .https else {
            throw AzureError(.configuration, detail: "vaultURI must be an https URL: tokens travel to it")
        }
        guard url.target == "/" else {
            throw AzureError(
                .configuration,
                detail: "vaultURI must be the vault's address alone, such as https://NAME.vault.azure.net")
        }
        return url
    }

    /// The vault's host, for messages.
    package var host: String { vault.authority }
    /// Who asks.
    package var identity: AzureIdentity { source.identity }

    // MARK: Requests

    /// A document of the vault.
    func get(
        _ path: String, purpose: String, advice: String, deadline: ContinuousClock.Instant
    ) async throws(AzureError) -> JSONValue {
        try await document(
            .get, "https://\(host)\(path)?api-version=\(Self.apiVersion)", json: nil, purpose: purpose, advice: advice,
            deadline: deadline)
    }

    /// What the vault answers to a document.
    func post(
        _ path: String, _ json: JSONValue, purpose: String, advice: String, deadline: ContinuousClock.Instant
    ) async throws(AzureError) -> JSONValue {
        try await document(
            .post, "https://\(host)\(path)?api-version=\(Self.apiVersion)", json: json, purpose: purpose,
            advice: advice, deadline: deadline)
    }

    /// The elements of all pages of a list.
    func list(
        _ path: String, purpose: String, advice: String, deadline: ContinuousClock.Instant
    ) async throws(AzureError) -> [JSONValue] {
        func malformed(_ what: String) -> AzureError {
            AzureError(.malformed, endpoint: host, detail: "\(purpose): \(what)")
        }
        var url = "https://\(host)\(path)?api-version=\(Self.apiVersion)"
        var elements: [JSONValue] = []
        for _ in 0..<Self.maximumPages {
            let page = try await document(
                .get, url, json: nil, purpose: purpose, advice: advice, deadline: deadline)
            guard let values = page["value"]?.array else { throw malformed("the answer is no list") }
            elements += values
            let next: String
            switch page["nextLink"] {
            case nil, .null, .string(""): return elements
            case .string(let text): next = text
            case .some(let other):
                throw malformed("nextLink is \(other.kind), so that whether there is more is not known")
            }
            guard let link = try? HTTPURL(parsing: next), link.hasSameOrigin(as: vault) else {
                throw malformed("the next page is said to be at another place than the vault")
            }
            url = link.text
        }
        throw malformed("the list has more than \(Self.maximumPages) pages")
    }

    private func document(
        _ method: HTTPMethod, _ url: String, json: JSONValue?, purpose: String, advice: String,
        deadline: ContinuousClock.Instant
    ) async throws(AzureError) -> JSONValue {
        let response = try await answer(method, url, json: json, purpose: purpose, deadline: deadline)
        guard response.status != 200 else {
            guard let document = try? StrictJSON.parse(response.body) else {
                throw AzureError(.malformed, endpoint: host, detail: "\(purpose): the answer is no JSON")
            }
            return document
        }
        let complaint = AzureComplaint(response, without: [])
        let kind: AzureError.Kind =
            switch (response.status, complaint.innerCode) {
            case (404, _): .missing
            case (403, "SecretDisabled"), (403, "CertificateDisabled"), (403, "KeyDisabled"): .disabled
            default: .refused
            }
        let what = kind == .missing ? "there is none" : kind == .disabled ? "it is disabled" : "the vault refuses"
        let hint = response.status == 403 && kind == .refused ? "; \(advice)" : ""
        throw AzureError(
            kind, endpoint: host, detail: "\(purpose): \(what) (\(response.status))\(complaint.suffix)\(hint)",
            code: complaint.innerCode ?? complaint.code)
    }

    /// Sends a request with a token for what the vault asks for. The first one goes without, to hear what that is.
    private func answer(
        _ method: HTTPMethod, _ url: String, json: JSONValue?, purpose: String, deadline: ContinuousClock.Instant
    ) async throws(AzureError) -> HTTPResponse {
        let call = AzureCall(http: http, endpoint: host, purpose: purpose)
        var refusals = 0
        while true {
            var headers: HTTPHeaders = [:]
            var sent: (token: AzureToken, scope: AzureScope)?
            if let scope = scope.withLock(\.self) {
                let token = try await tokens.token(from: source, for: scope, deadline: deadline)
                headers.set("Authorization", "Bearer \(token.value)")
                sent = (token, scope)
            }
            let response = try await call.send(
                method, url, headers: headers, json: sent == nil ? nil : json, deadline: deadline, note: { _ in })
            guard response.status == 401 else { return response }
            if let sent {
                // It may have been withdrawn before its end.
                tokens.forget(sent.token, from: source, for: sent.scope)
                refusals += 1
            }
            let challenge = try KeyVaultChallenge(response, vault: vault, tenant: source.identity.tenant)
            scope.withLock { $0 = challenge.scope }
            guard refusals < 2 else {
                let complaint = AzureComplaint(response, without: [])
                throw AzureError(
                    .refused, endpoint: host,
                    detail:
                        "\(purpose): the vault refuses the token of \(source.identity) (401)\(complaint.suffix); check tenantID and clientID",
                    code: complaint.code)
            }
        }
    }
}
