import CCurl
import FoundationEssentials
import Quotation
import Synchronization

/// The client for every outbound request of the process, over libcurl: pooled connections, HTTP/2 where the host
/// speaks it, deadlines, retries, redirects that keep credentials home, proxies, and the operator's own
/// certificate authorities.
///
/// One client has one thread, however many calls are under way.
public final class HTTPClient: HTTPSending {
    private struct State {
        /// `nil` once the client is shut down.
        var engine: TransferEngine?
        /// Engines with former trusted authorities that still have transfers under way.
        var retired: [TransferEngine] = []
        var trustStamp: [String]
        var nextTrustCheck: ContinuousClock.Instant
        var isCheckingTrust = false
    }

    private let configuration: HTTPClientConfiguration
    private let proxies: ProxySettings
    private let sources: TrustSources
    private let state: Mutex<State>

    /// Reads the trusted authorities and the proxy settings, and starts the client's thread.
    ///
    /// - Throws: `configuration` when a CA bundle or a proxy address is not usable.
    public init(configuration: HTTPClientConfiguration = .init()) throws(HTTPError) {
        guard ccurl_global_init() == CURLE_OK else { throw .configuration("libcurl cannot be initialised") }
        guard ccurl_uses_openssl() else {
            throw .configuration("this libcurl does TLS with another library than OpenSSL: install the OpenSSL flavour")
        }
        guard ccurl_resolves_asynchronously() else {
            throw .configuration("this libcurl resolves names while everything else waits: install one with AsynchDNS")
        }
        guard configuration.maximumConnectionsPerHost > 0, configuration.maximumConnections > 0 else {
            throw .configuration("the limits of connections must be at least 1")
        }
        self.configuration = configuration
        proxies = try ProxySettings(environment: configuration.environment)
        sources = TrustSources(configuration: configuration)
        let stamp = sources.stamp()
        if let name = configuration.tlsServerName {
            do { _ = try HTTPURL(parsing: "https://\(name)/") } catch {
                throw .configuration("the TLS server name is not a host's name")
            }
        }
        let engine = try HTTPClient.makeEngine(try sources.load(), try sources.identity(), configuration)
        state = Mutex(
            State(engine: engine, trustStamp: stamp, nextTrustCheck: .now + configuration.trustCheckInterval))
    }

    deinit {
        state.withLock { state in
            state.engine?.stop()
            for engine in state.retired { engine.stop() }
        }
    }

    /// Ends the client: calls under way fail as cancelled, connections are closed, and the thread has ended when
    /// this returns. Further calls fail.
    public func shutdown() async {
        let engines = state.withLock { state in
            let all = state.retired + [state.engine].compactMap(\.self)
            state.engine = nil
            state.retired = []
            return all
        }
        for engine in engines { engine.stop() }
        for engine in engines { await engine.ended() }
    }

    /// Sends a request and returns its answer. See ``HTTPRequest`` and ``RetryPolicy`` for what happens on the way.
    public func send(_ request: HTTPRequest) async throws(HTTPError) -> HTTPResponse {
        var call = try HTTPCall(request, configuration: configuration, proxies: proxies)
        var random = SystemRandomNumberGenerator()
        while true {
            guard !Task.isCancelled else { throw call.error(.cancelled, "the call was cancelled") }
            guard ContinuousClock.now < request.deadline else {
                throw call.error(.timeout, "the time for this call was over before it was sent")
            }
            call.attempts += call.isRedirected ? 0 : 1
            let result = await perform(call.exchange)
            let wait: Duration
            switch result {
            case .success(let answer):
                if let response = try call.take(answer, now: Date()) { return response }
                guard let delay = try call.delay(using: &random) else { continue }
                wait = delay
            case .failure(let fault):
                try call.take(fault)
                wait = try call.delay(using: &random) ?? .zero
            }
            do { try await Task.sleep(for: wait, tolerance: .milliseconds(5), clock: .continuous) } catch {
                throw call.error(.cancelled, "the call was cancelled")
            }
        }
    }

    private func perform(_ exchange: Exchange) async -> Result<Answer, Fault> {
        // A proxy would resolve and connect: what the URL itself says is all that can be judged here.
        if exchange.proxy != nil, let problem = exchange.addresses.problem(of: exchange.url) {
            return .failure(
                Fault(
                    kind: .addressRefused, detail: "not asked: \(exchange.sent.shown(problem))", isWorthRetrying: false)
            )
        }
        while let engine = currentEngine() {
            if let result = await engine.perform(exchange) { return result }
        }
        return .failure(Fault(kind: .cancelled, detail: "the client was shut down", isWorthRetrying: false))
    }

    /// Sends a request once and returns as soon as the head of the answer has arrived, of whatever status; its body
    /// is read as it arrives. Neither retries nor follows redirects, and takes a body of any length.
    ///
    /// - Parameters:
    ///   - request: its deadline is for the head; of its limits, only those on headers hold.
    ///   - idleTimeout: how long nothing may arrive while somebody is ready to take it.
    public func stream(_ request: HTTPRequest, idleTimeout: Duration) async throws(HTTPError) -> HTTPStream {
        var call = try HTTPCall(request, configuration: configuration, proxies: proxies)
        call.attempts = 1
        let buffer = StreamBuffer()
        var exchange = call.exchange
        exchange.stream = (buffer, idleTimeout)
        while let engine = currentEngine() {
            let transfer = Transfer(exchange)
            guard let result = await engine.perform(transfer) else { continue }
            switch result {
            case .failure(let fault): throw call.error(fault.kind, fault.detail)
            case .success(let answer):
                return HTTPStream(
                    status: answer.status, headers: answer.headers,
                    body: HTTPBody(buffer, transfer, engine, call), sent: call.sent)
            }
        }
        throw call.error(.cancelled, "the client was shut down")
    }

    // MARK: Trusted authorities

    private func currentEngine() -> TransferEngine? {
        let now = ContinuousClock.now
        let mustCheck = state.withLock { state in
            guard state.engine != nil, !state.isCheckingTrust, now >= state.nextTrustCheck else { return false }
            state.isCheckingTrust = true
            return true
        }
        if mustCheck { checkTrust() }
        return state.withLock { $0.engine }
    }

    /// Changed authorities come with an engine of their own, so that no connection made under the former ones is
    /// used again.
    private func checkTrust() {
        let stamp = sources.stamp()
        let isChanged = state.withLock { $0.trustStamp != stamp }
        var replacement: TransferEngine?
        var notice: HTTPClientNotice?
        if isChanged {
            do {
                let anchors = try sources.load()
                replacement = try HTTPClient.makeEngine(anchors, try sources.identity(), configuration)
                notice = .trustReloaded(certificates: anchors.count)
            } catch {
                notice = .trustReloadFailed(error.detail)
            }
        }
        let unused = state.withLock { state -> TransferEngine? in
            state.isCheckingTrust = false
            state.nextTrustCheck = .now + configuration.trustCheckInterval
            state.trustStamp = stamp
            state.retired.removeAll { $0.isEnded }
            guard let replacement else { return nil }
            // Shut down meanwhile.
            guard let former = state.engine else { return replacement }
            former.retire()
            state.retired.append(former)
            state.engine = replacement
            return nil
        }
        unused?.stop()
        if let notice { configuration.notice?(notice) }
    }

    private static func makeEngine(
        _ trust: TrustAnchors, _ identity: ClientIdentity?, _ configuration: HTTPClientConfiguration
    ) throws(HTTPError) -> TransferEngine {
        try TransferEngine(
            trust: trust, identity: identity, maximumConnectionsPerHost: configuration.maximumConnectionsPerHost,
            maximumConnections: configuration.maximumConnections, budget: configuration.budget)
    }
}
