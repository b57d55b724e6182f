import Concurrency
import FoundationEssentials
import HTTP
import OCI
import OCIRegistry
import StrictJSON
import Synchronization

/// Credentials for Azure Container Registry: an identity's access token is exchanged at the registry for a refresh
/// token, which the registry's token endpoint then takes for tokens that allow pulling one repository.
///
/// Only registries in ``RegistryEndpoints`` ever get a token; to every other one the caller is anonymous.
package final class ContainerRegistryCredentials: RegistryCredentials {
    private let source: any AzureTokenSource
    private let tokens: AzureTokenCache
    private let tenant: String
    private let endpoints: RegistryEndpoints
    private let http: any HTTPSending
    private let observe: AzureObserver
    private let keeper = TokenKeeper<String>(maximumEntries: 256, workTime: .seconds(20))
    /// When a refusal last made a registry's token be forgotten.
    private let renewals = Mutex<[String: ContinuousClock.Instant]>([:])

    /// One image that may not be pulled must not make every call ask for another token of its registry.
    private static let renewalInterval = Duration.seconds(10)
    /// For a refresh token that does not say how long it is good for (Azure's live three hours).
    private static let unknownLifetime = Duration.seconds(600)

    /// How many tokens are kept, their bytes, about, and what they were worth so far.
    package var counts: CacheCounts { keeper.counts }
    /// How many bytes they take at most.
    package var maximumBytes: Int { keeper.maximumBytes }

    /// Credentials of an identity.
    ///
    /// - Parameters:
    ///   - tenantID: the tenant of the registries; without it `AZURE_TENANT_ID`.
    ///   - http: for the exchange; it has to trust the registries.
    package init(
        source: any AzureTokenSource, tokens: AzureTokenCache, tenantID: String? = nil,
        endpoints: RegistryEndpoints = .azure, environment: [String: String], http: any HTTPSending,
        observe: @escaping AzureObserver = { _ in }
    ) throws(AzureError) {
        tenant = try AzureSetting.tenant(tenantID, environment, for: "the registry's credentials")
        self.source = source
        self.tokens = tokens
        self.endpoints = endpoints
        self.http = http
        self.observe = observe
    }

    /// The registry's refresh token, or nothing for a registry that is not one of the endpoints.
    package func credential(
        for endpoint: String, repository: String, deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> RegistryCredential {
        guard endpoints.contain(endpoint) else { return .anonymous }
        let timeout = AzureError(
            .timeout, endpoint: endpoint,
            detail: "exchanging the token of \(source.identity): no answer within the time allowed")
        do throws(AzureError) {
            let token = try await keeper.token(for: endpoint, deadline: deadline, timeout: timeout) {
                [self] (deadline, note) async throws(AzureError) -> AzureToken in
                try await refreshToken(for: endpoint, deadline: deadline, note: note)
            }
            return .identityToken(token.value)
        } catch {
            let kind: RegistryError.Kind =
                switch error.kind {
                case .throttled: .throttled
                case .unavailable: .unavailable
                case .timeout: .timeout
                case .cancelled: .cancelled
                // Says nothing about the image: whoever corrects the identity gets another answer.
                case .configuration, .assertion, .refused, .missing, .disabled, .malformed: .credentials
                }
            throw RegistryError(
                kind, host: endpoint, detail: "getting credentials from Azure: \(error)", retryAfter: error.retryAfter,
                isConfiguration: error.isConfiguration)
        }
    }

    /// Forgets a refresh token that the registry refused.
    package func credentialRejected(_ credential: RegistryCredential, for endpoint: String, repository: String) async {
        guard case .identityToken(let value) = credential, endpoints.contain(endpoint) else { return }
        let now = ContinuousClock.now
        let isTime = renewals.withLock { renewals in
            if let last = renewals[endpoint], now < last + Self.renewalInterval { return false }
            if renewals.count >= 256 { renewals = renewals.filter { now < $0.value + Self.renewalInterval } }
            renewals[endpoint] = now
            return true
        }
        if isTime { keeper.forget(endpoint, value: value) }
    }

    private func refreshToken(
        for endpoint: String, deadline: ContinuousClock.Instant, note: @escaping @Sendable (AzureError) -> Void
    ) async throws(AzureError) -> AzureToken {
        let scope = AzureScope.containerRegistry
        let token = try await tokens.token(from: source, for: scope, deadline: deadline, heard: note)
        if let refreshToken = try await exchange(token, at: endpoint, deadline, isLastTry: false, note) {
            return refreshToken
        }
        // The access token may have been withdrawn before its end.
        tokens.forget(token, from: source, for: scope)
        let renewed = try await tokens.token(from: source, for: scope, deadline: deadline, heard: note)
        guard let refreshToken = try await exchange(renewed, at: endpoint, deadline, isLastTry: true, note) else {
            throw AzureError(
                .refused, endpoint: endpoint, detail: "the registry refuses the token of \(source.identity)")
        }
        return refreshToken
    }

    /// `POST /oauth2/exchange`; `nil` when the registry answers 401 and this is not the last try.
    private func exchange(
        _ token: AzureToken, at endpoint: String, _ deadline: ContinuousClock.Instant, isLastTry: Bool,
        _ note: @escaping @Sendable (AzureError) -> Void
    ) async throws(AzureError) -> AzureToken? {
        let purpose = "exchanging the token of \(source.identity)"
        let asked = ContinuousClock.now
        func finish(_ fault: AzureError.Kind?) {
            observe(AzureExchange(kind: .registryToken, duration: .now - asked, fault: fault))
        }
        do throws(AzureError) {
            let call = AzureCall(http: http, endpoint: endpoint, purpose: purpose)
            let response = try await call.send(
                .post, "https://\(endpoint)/oauth2/exchange", headers: [:],
                form: [
                    ("grant_type", "access_token"), ("service", endpoint), ("tenant", tenant),
                    ("access_token", token.value),
                ], deadline: deadline, note: note)
            if response.status == 401, !isLastTry {
                finish(.refused)
                return nil
            }
            guard response.status == 200 else {
                let complaint = AzureComplaint(response, without: [token.value])
                throw AzureError(
                    .refused, endpoint: endpoint,
                    detail:
                        "\(purpose): the registry refuses (\(response.status))\(complaint.suffix); check that the registry is in tenant \(tenant), accepts Entra tokens, and that this identity has the role AcrPull",
                    code: complaint.code)
            }
            guard let document = try? StrictJSON.parse(response.body), let value = document["refresh_token"]?.string,
                AzureToken.isUsable(value)
            else {
                throw AzureError(
                    .malformed, endpoint: endpoint, detail: "\(purpose): the answer holds no refresh token")
            }
            finish(nil)
            let lifetime = AzureToken.lifetime(ofJWT: value, now: Date()) ?? Self.unknownLifetime
            return AzureToken(value: value, obtained: asked, lifetime: min(max(lifetime, .zero), .seconds(24 * 3600)))
        } catch {
            finish(error.kind)
            throw error
        }
    }
}
