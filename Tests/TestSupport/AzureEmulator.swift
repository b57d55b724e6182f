import Foundation
import StrictJSON
import Synchronization

/// Azure in the test's process, with real TLS on loopback: the token endpoint of Microsoft Entra ID, the metadata
/// service, a key vault, and a container registry whose contents a ``FaultyRegistry`` keeps. It checks what it is sent
/// as Azure does, fails on demand, and remembers every request.
package final class AzureEmulator: Sendable {
    /// What it expects and how long its tokens live.
    package struct Settings: Sendable {
        package var tenant = "11111111-1111-1111-1111-111111111111"
        /// The client id of the workload identity, and of the managed one.
        package var client = "22222222-2222-2222-2222-222222222222"
        /// The federated token that is accepted.
        package var assertion = "eyJhbGciOiJub25lIn0.first-service-account-token.signature"
        /// Seconds.
        package var accessTokenLifetime = 3600
        /// When access tokens are to be renewed, if it says so.
        package var refreshIn: Int?
        package var refreshTokenLifetime = 3 * 3600
        package var pullTokenLifetime = 300
        /// By how many seconds its clock is wrong: the `Date` of answers, and every time that is no duration.
        package var clockSkew = 0

        package init() {}
    }

    /// What a pod with the workload identity finds in its environment.
    ///
    /// - Parameter tokenFile: where the service account token is.
    package func workloadEnvironment(tokenFile: String) -> [String: String] {
        let settings = state.withLock { $0.settings }
        return [
            "AZURE_CLIENT_ID": settings.client, "AZURE_TENANT_ID": settings.tenant,
            "AZURE_FEDERATED_TOKEN_FILE": tokenFile, "AZURE_AUTHORITY_HOST": url + "/",
        ]
    }

    /// What a token is for, and until when it is good.
    struct Issued {
        let purpose: String
        let expires: ContinuousClock.Instant

        init(_ purpose: String, seconds: Int) {
            self.purpose = purpose
            expires = .now + .seconds(seconds)
        }

        func isGood(for purpose: String) -> Bool { self.purpose == purpose && .now < expires }
    }

    struct State {
        var settings: Settings
        var requests: [EmulatorRequest] = []
        var faults: [RegistryFault] = []
        /// Issued access tokens, for the resource that they are for.
        var accessTokens: [String: Issued] = [:]
        var refreshTokens: [String: Issued] = [:]
        /// Tokens for pulling, for their repository.
        var pullTokens: [String: Issued] = [:]
        var vault = KeyVaultContents()
        var counter = 0
        /// How often the registry may be asked.
        var limit: RequestLimit?
    }

    /// What the registry holds.
    package let registry: FaultyRegistry
    /// The authority that vouches for the emulator, as PEM.
    package let authorityPEM: String
    private let server: EmulatorServer
    let state: Mutex<State>

    /// `localhost:port`
    package var host: String { "localhost:\(server.port)" }
    /// `https://localhost:port`
    package var url: String { "https://\(host)" }

    private init(_ settings: Settings, port: Int) async throws {
        let authority = try CertificateAuthority(name: "emulator authority \(UUID().uuidString.prefix(8))")
        let identity = try authority.issue(.server("localhost", dns: ["localhost", "*.vault.localhost"]))
        authorityPEM = authority.certificate.pem
        server = try EmulatorServer(tls: (identity.chainPEM, identity.keyPEM))
        registry = try await FaultyRegistry.start()
        state = Mutex(State(settings: settings))
        try await server.up(port: port) { try await self.answer($0, $1) }
    }

    /// Starts an emulator, on any port unless one is given.
    package static func start(_ settings: Settings = .init(), port: Int = 0) async throws -> AzureEmulator {
        try await AzureEmulator(settings, port: port)
    }

    /// Breaks every connection and stops listening.
    package func stop() async {
        await server.down()
        await registry.stop()
    }

    // MARK: For tests

    /// Every request so far.
    package var requests: [EmulatorRequest] { state.withLock { $0.requests } }

    /// How many requests came for a path, as `/oauth2/exchange`.
    package func count(_ path: String) -> Int { requests.count { $0.path == path } }

    /// Where this tenant's tokens come from.
    package var tokenPath: String { state.withLock { "/\($0.settings.tenant)/oauth2/v2.0/token" } }
    /// Where the metadata service gives tokens.
    package static let metadataPath = "/metadata/identity/oauth2/token"

    /// Changes what is expected: a rotated federated token, for instance.
    package func change(_ change: (inout Settings) -> Void) { state.withLock { change(&$0.settings) } }

    /// Makes matching requests fail, `count` times, or for good.
    package func inject(_ kind: RegistryFault.Kind, path: String, count: Int? = nil) {
        state.withLock {
            $0.faults.append(RegistryFault(kind: kind, method: nil, path: path, remaining: count))
        }
    }

    /// Lets the registry be asked so often, for tokens too; then it answers 429 until a pause is over.
    package func limit(_ budget: Int, pause: Duration) {
        state.withLock { $0.limit = RequestLimit(budget, pause: pause) }
    }

    /// How many requests were beyond the limit so far.
    package var refusedByLimit: Int { state.withLock { $0.limit?.refused ?? 0 } }

    /// How many tokens for pulling were issued so far.
    package var pullTokenCount: Int { state.withLock { $0.pullTokens.count } }

    /// Behaves again.
    package func clearFaults() { state.withLock { $0.faults = [] } }

    /// Withdraws every refresh token, and the tokens for pulling that came from them.
    package func revokeRefreshTokens() {
        state.withLock { state in
            state.refreshTokens = [:]
            state.pullTokens = [:]
        }
    }

    /// Withdraws every access token.
    package func revokeAccessTokens() { state.withLock { $0.accessTokens = [:] } }

    // MARK: Serving

    private func answer(_ request: EmulatorRequest, _ exchange: EmulatorExchange) async throws {
        let fault = state.withLock { state -> RegistryFault.Kind? in
            state.requests.append(request)
            if request.path.hasPrefix("/v2/") || request.path.hasPrefix("/oauth2/"), let wait = state.limit?.take() {
                return .tooManyRequests(retryAfter: String(wait))
            }
            return state.faults.take { $0.matches(request) }
        }
        var answer: EmulatorAnswer
        switch fault {
        case .delay(let time):
            try await Task.sleep(for: time)
            answer = respond(to: request)
        case .tooManyRequests, .status:
            answer = EmulatorAnswer(status: 500)
            if let fault { answer.apply(fault, to: request) }
        default:
            answer = respond(to: request)
            if let fault { answer.apply(fault, to: request) }
        }
        let skew = state.withLock { $0.settings.clockSkew }
        if skew != 0 {
            let format = DateFormatter()
            format.locale = Locale(identifier: "en_US_POSIX")
            format.timeZone = .gmt
            format.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'GMT'"
            answer.remove(header: "Date")
            answer.headers.append(("Date", format.string(from: Date(timeIntervalSinceNow: TimeInterval(skew)))))
        }
        try await exchange.send(answer)
    }

    private func respond(to request: EmulatorRequest) -> EmulatorAnswer {
        state.withLock { state in
            if Self.isForVault(request) { return vault(request, &state) }
            switch request.path {
            case "/\(state.settings.tenant)/oauth2/v2.0/token": return accessToken(request, &state)
            case AzureEmulator.metadataPath: return metadata(request, &state)
            case "/oauth2/exchange": return exchange(request, &state)
            case "/oauth2/token": return pullToken(request, &state)
            default:
                guard request.path.hasPrefix("/v2/") else { return .error(404, "NOT_FOUND") }
                return contents(request, state)
            }
        }
    }
}
