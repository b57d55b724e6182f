import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
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
        var requests: [FaultyRegistry.Request] = []
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
        var listener: (any Channel)?
        var serving: [Task<Void, Never>] = []
    }

    private typealias Connection = NIOAsyncChannel<HTTPServerRequestPart, HTTPServerResponsePart>

    /// What the registry holds.
    package let registry: FaultyRegistry
    /// The authority that vouches for the emulator, as PEM.
    package let authorityPEM: String
    let state: Mutex<State>

    /// `localhost:port`
    package var host: String { "localhost:\(state.withLock { $0.listener?.localAddress?.port } ?? 0)" }
    /// `https://localhost:port`
    package var url: String { "https://\(host)" }

    private init(_ settings: Settings, registry: FaultyRegistry, authorityPEM: String) {
        self.registry = registry
        self.authorityPEM = authorityPEM
        state = Mutex(State(settings: settings))
    }

    /// Starts an emulator, on any port unless one is given.
    package static func start(_ settings: Settings = .init(), port: Int = 0) async throws -> AzureEmulator {
        let authority = try CertificateAuthority(name: "emulator authority \(UUID().uuidString.prefix(8))")
        let identity = try authority.issue(.server("localhost", dns: ["localhost", "*.vault.localhost"]))
        let chain = try NIOSSLCertificate.fromPEMBytes(Array(identity.chainPEM.utf8))
        let context = try NIOSSLContext(
            configuration: .makeServerConfiguration(
                certificateChain: chain.map { .certificate($0) },
                privateKey: .privateKey(try NIOSSLPrivateKey(bytes: Array(identity.keyPEM.utf8), format: .pem))))
        let emulator = AzureEmulator(
            settings, registry: try await FaultyRegistry.start(), authorityPEM: authority.certificate.pem)
        let listener = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .serverChannelOption(.backlog, value: 512)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: context))
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline(withErrorHandling: true)
                    let connection = try Connection(wrappingChannelSynchronously: channel)
                    let task = Task { await emulator.serve(connection) }
                    emulator.state.withLock { $0.serving.append(task) }
                }
            }
            .bind(host: "127.0.0.1", port: port).get()
        emulator.state.withLock { $0.listener = listener }
        return emulator
    }

    /// Breaks every connection and stops listening.
    package func stop() async {
        let listener = state.withLock { $0.listener }
        try? await listener?.close().get()
        let serving = state.withLock { $0.serving }
        for task in serving { task.cancel() }
        for task in serving { await task.value }
        await registry.stop()
    }

    // MARK: For tests

    /// Every request so far.
    package var requests: [FaultyRegistry.Request] { state.withLock { $0.requests } }

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

    private func serve(_ connection: Connection) async {
        try? await connection.executeThenClose { inbound, outbound in
            var head: HTTPRequestHead?
            var body: [UInt8] = []
            for try await part in inbound {
                switch part {
                case .head(let value):
                    head = value
                    body = []
                case .body(let buffer): body += buffer.readableBytesView
                case .end:
                    guard let head else { return }
                    try await answer(FaultyRegistry.Request(head: head, body: body), outbound)
                }
            }
        }
    }

    private func answer(
        _ request: FaultyRegistry.Request, _ outbound: NIOAsyncChannelOutboundWriter<HTTPServerResponsePart>
    ) async throws {
        let fault = state.withLock { state -> RegistryFault.Kind? in
            state.requests.append(request)
            if request.path.hasPrefix("/v2/") || request.path.hasPrefix("/oauth2/"), let wait = state.limit?.take() {
                return .tooManyRequests(retryAfter: String(wait))
            }
            guard let index = state.faults.firstIndex(where: { $0.matches(request) }) else { return nil }
            if let remaining = state.faults[index].remaining { state.faults[index].remaining = remaining - 1 }
            return state.faults[index].kind
        }
        var answer: RegistryAnswer
        switch fault {
        case .delay(let time):
            try await Task.sleep(for: time)
            answer = respond(to: request)
        case .tooManyRequests, .status:
            answer = RegistryAnswer(status: 500)
            if let fault { answer.apply(fault, to: request) }
        default:
            answer = respond(to: request)
            if let fault { answer.apply(fault, to: request) }
        }
        var headers = HTTPHeaders(answer.headers.map { ($0.name, $0.value) })
        if !headers.contains(name: "Content-Length") {
            headers.add(name: "Content-Length", value: String(answer.body.count))
        }
        let skew = state.withLock { $0.settings.clockSkew }
        if skew != 0 {
            let format = DateFormatter()
            format.locale = Locale(identifier: "en_US_POSIX")
            format.timeZone = .gmt
            format.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'GMT'"
            let date = format.string(from: Date(timeIntervalSinceNow: TimeInterval(skew)))
            headers.replaceOrAdd(name: "Date", value: date)
        }
        try await outbound.write(
            .head(HTTPResponseHead(version: .http1_1, status: .init(statusCode: answer.status), headers: headers)))
        if request.method != "HEAD" { try await outbound.write(.body(.byteBuffer(ByteBuffer(bytes: answer.body)))) }
        try await outbound.write(.end(nil))
    }

    private func respond(to request: FaultyRegistry.Request) -> RegistryAnswer {
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
