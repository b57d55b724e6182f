import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import OCI
import StrictJSON
import Synchronization

/// A registry in the test's process with the Referrers API (distribution specification 1.1), that fails on demand
/// and remembers what it was asked. Loopback only, on a port the system chooses unless told.
///
/// ```swift
/// let registry = try await FaultyRegistry.start()
/// let image = registry.putImage("app", tag: "v1")
/// registry.inject(.tooManyRequests(retryAfter: "1"), path: "/v2/*/manifests/*", count: 1)
/// …
/// await registry.stop()
/// ```
package final class FaultyRegistry: Sendable {
    /// A request as it arrived.
    package struct Request: Sendable {
        package let method: String
        /// The path, percent-encoding left as it is, without the query.
        package let path: String
        /// The query's parameters, decoded.
        package let query: [String: String]
        package let headers: [(name: String, value: String)]
        package let body: [UInt8]

        /// The first header of this name, without regard to case.
        package func header(_ name: String) -> String? {
            headers.first { $0.name.lowercased() == name.lowercased() }?.value
        }
    }

    /// Who may do what.
    package enum Authentication: Sendable {
        /// Everyone may do everything.
        case none
        /// One account, for everything.
        case basic(user: String, password: String)
        /// Bearer tokens from the registry's own `/token`, for one account, which may also use `refreshToken`;
        /// without an account's credentials a token allows pulling if `anonymousPull` says so.
        case token(
            user: String, password: String, refreshToken: String? = nil, anonymousPull: Bool = false,
            lifetime: Int = 300)
    }

    /// How it behaves when nothing is injected.
    package struct Options: Sendable {
        /// Whether there is a Referrers API; otherwise it answers 404 and does not process `subject`.
        package var referrersAPI = true
        /// How many referrers one page lists; `nil` = all.
        package var referrersPageSize: Int?
        /// Whether `artifactType` filters, and `OCI-Filters-Applied` says so.
        package var filtersReferrers = true
        /// Whether `Link` holds a whole URL instead of a path.
        package var absoluteLinks = false
        package var authentication = Authentication.none
        /// Certificate chain and key as PEM, to serve https.
        package var tls: (certificateChain: String, key: String)?
        /// The port to listen on; 0 for one that the system chooses.
        package var port = 0

        package init() {}

        /// Whether somebody has to say who he is.
        package var isProtected: Bool { if case .none = authentication { false } else { true } }
    }

    struct State {
        var contents = RegistryContents()
        var requests: [Request] = []
        var faults: [RegistryFault] = []
        var tokens: [String: RegistryToken] = [:]
        var tokenRequests: [RegistryTokenRequest] = []
        var counter = 0
        /// The account's password, once it is another than the options say.
        var password: String?
        var load = RegistryLoad()
        var listener: (any Channel)?
        var serving: [Task<Void, Never>] = []
    }

    typealias Connection = NIOAsyncChannel<HTTPServerRequestPart, HTTPServerResponsePart>

    package let options: Options
    let state = Mutex(State())
    /// Not behind the lock of `state`: answers are made under it, and name the port.
    private let boundPort = Atomic<Int>(0)
    /// The port it listens on, or did until it was stopped.
    package var port: Int { boundPort.load(ordering: .relaxed) }

    /// `127.0.0.1:port`, as in image references.
    package var endpoint: String { "127.0.0.1:\(port)" }
    /// `http://127.0.0.1:port`, or https.
    package var url: String { "\(options.tls == nil ? "http" : "https")://\(endpoint)" }

    private init(options: Options) { self.options = options }

    /// Starts a registry.
    package static func start(_ options: Options = .init()) async throws -> FaultyRegistry {
        var context: NIOSSLContext?
        if let tls = options.tls {
            let chain = try NIOSSLCertificate.fromPEMBytes(Array(tls.certificateChain.utf8))
            let key = try NIOSSLPrivateKey(bytes: Array(tls.key.utf8), format: .pem)
            context = try NIOSSLContext(
                configuration: .makeServerConfiguration(
                    certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key)))
        }
        let registry = FaultyRegistry(options: options)
        // Each connection is handed to its own task where it is made: one that came through an asynchronous sequence of
        // connections could be dropped unserved while the listener closes, which NIO answers with a crash.
        let listener = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .serverChannelOption(.backlog, value: 512)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { [context] channel in
                channel.eventLoop.makeCompletedFuture {
                    if let context {
                        try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: context))
                    }
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline(withErrorHandling: true)
                    let connection = try Connection(wrappingChannelSynchronously: channel)
                    let task = Task { await registry.serve(connection) }
                    registry.state.withLock { $0.serving.append(task) }
                }
            }
            .bind(host: "127.0.0.1", port: options.port).get()
        registry.boundPort.store(listener.localAddress?.port ?? 0, ordering: .relaxed)
        registry.state.withLock { $0.listener = listener }
        return registry
    }

    /// Breaks every connection and stops listening.
    package func stop() async {
        let listener = state.withLock { $0.listener }
        try? await listener?.close().get()
        let serving = state.withLock { $0.serving }
        for task in serving { task.cancel() }
        for task in serving { await task.value }
    }

    // MARK: For tests

    /// Every request so far.
    package var requests: [Request] { state.withLock { $0.requests } }

    /// Forgets the requests so far.
    package func forgetRequests() { state.withLock { $0.requests = [] } }

    /// Makes matching requests fail, `count` times, or for good.
    package func inject(
        _ kind: RegistryFault.Kind, method: String? = nil, path: String = "*", query: [String: String] = [:],
        count: Int? = nil
    ) {
        state.withLock {
            $0.faults.append(RegistryFault(kind: kind, method: method, path: path, query: query, remaining: count))
        }
    }

    /// Behaves again.
    package func clearFaults() { state.withLock { $0.faults = [] } }

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
                    let request = Request(head: head, body: body)
                    guard try await answer(request, connection.channel, outbound) else { return }
                }
            }
        }
    }

    /// Answers one request. Returns whether the connection stays open.
    private func answer(
        _ request: Request, _ channel: any Channel, _ outbound: NIOAsyncChannelOutboundWriter<HTTPServerResponsePart>
    ) async throws -> Bool {
        let gate = state.withLock { state in
            state.requests.append(request)
            return state.faults.first { $0.gate != nil && $0.matches(request) }?.gate
        }
        await gate?.wait()
        let (good, latency) = state.withLock { state -> (RegistryAnswer, Duration) in
            (state.load.begin(request) ?? respond(to: request, &state), state.load.latency)
        }
        defer { state.withLock { $0.load.end(request) } }
        if latency > .zero { try await Task.sleep(for: latency) }
        let fault = state.withLock { state -> RegistryFault.Kind? in
            let isGood = (200..<300).contains(good.status)
            guard
                let index = state.faults.firstIndex(where: {
                    $0.gate == nil && $0.matches(request) && (isGood || !$0.needsGoodAnswer)
                })
            else { return nil }
            if let remaining = state.faults[index].remaining { state.faults[index].remaining = remaining - 1 }
            return state.faults[index].kind
        }
        var answer = good
        switch fault {
        case .reset:
            // Lingering for no time makes the end of the connection a reset.
            if let socket = channel as? any SocketOptionProvider {
                try await socket.setSoLinger(linger(l_onoff: 1, l_linger: 0)).get()
            }
            return false
        case .delay(let time): try await Task.sleep(for: time)
        case let fault?: answer.apply(fault, to: request)
        case nil: break
        }
        try await send(answer, for: request, outbound)
        return !answer.isCutShort
    }

    private func send(
        _ answer: RegistryAnswer, for request: Request,
        _ outbound: NIOAsyncChannelOutboundWriter<HTTPServerResponsePart>
    ) async throws {
        var headers = HTTPHeaders(answer.headers.map { ($0.name, $0.value) })
        if !headers.contains(name: "Content-Length") {
            headers.add(name: "Content-Length", value: String(answer.body.count))
        }
        let head = HTTPResponseHead(version: .http1_1, status: .init(statusCode: answer.status), headers: headers)
        try await outbound.write(.head(head))
        if request.method != "HEAD" {
            let size = answer.pace?.bytes ?? max(1, answer.body.count)
            for start in stride(from: 0, to: answer.body.count, by: size) {
                if start > 0, let pace = answer.pace { try await Task.sleep(for: pace.every) }
                let piece = answer.body[start..<min(start + size, answer.body.count)]
                try await outbound.write(.body(.byteBuffer(ByteBuffer(bytes: piece))))
            }
        }
        if !answer.isCutShort { try await outbound.write(.end(nil)) }
    }
}

extension FaultyRegistry.Request {
    init(head: HTTPRequestHead, body: [UInt8]) {
        let parts = head.uri.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        self.init(
            method: head.method.rawValue, path: String(parts[0]),
            query: parts.count > 1 ? Self.parameters(of: String(parts[1])) : [:],
            headers: head.headers.map { (name: $0.name, value: $0.value) }, body: body)
    }

    /// Parameters of a query or a form.
    static func parameters(of text: String) -> [String: String] {
        var parameters: [String: String] = [:]
        for pair in text.split(separator: "&") {
            let halves = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map {
                $0.replacingOccurrences(of: "+", with: " ").removingPercentEncoding ?? ""
            }
            // Of a repeated parameter all values count, as in `scope`.
            let value = halves.count > 1 ? halves[1] : ""
            parameters[halves[0]] = parameters[halves[0]].map { "\($0) \(value)" } ?? value
        }
        return parameters
    }
}
