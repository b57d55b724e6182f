import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Synchronization

/// An HTTP/1.1 server on loopback, with TLS or without: what every emulator serves with.
final class EmulatorServer: Sendable {
    /// Answers one request. What it throws ends the connection.
    typealias Handler = @Sendable (EmulatorRequest, EmulatorExchange) async throws -> Void
    private typealias Connection = NIOAsyncChannel<HTTPServerRequestPart, HTTPServerResponsePart>

    private struct State {
        var listener: (any Channel)?
        var isUp = false
        /// Connections accepted so far.
        var accepted = 0
        /// What is open, by its number among the accepted.
        var open: [Int: (channel: any Channel, serving: Task<Void, Never>)] = [:]
    }

    private let context: NIOSSLContext?
    private let state = Mutex(State())
    /// Not behind the lock of `state`: whoever answers may ask for it.
    private let boundPort = Atomic<Int>(0)

    /// The port that it listens on, or did until ``down()``.
    var port: Int { boundPort.load(ordering: .relaxed) }

    /// How many connections were accepted so far.
    var connections: Int { state.withLock { $0.accepted } }

    /// A server that does not listen yet.
    ///
    /// - Parameters:
    ///   - tls: its certificate chain and key as PEM; `nil` for plain HTTP.
    ///   - clientAuthority: who must have issued the certificate of a client, as PEM; `nil` when clients need none.
    init(tls: (certificateChain: String, key: String)? = nil, clientAuthority: String? = nil) throws {
        context = try tls.map { tls in
            let chain = try NIOSSLCertificate.fromPEMBytes(Array(tls.certificateChain.utf8))
            let key = try NIOSSLPrivateKey(bytes: Array(tls.key.utf8), format: .pem)
            var configuration = TLSConfiguration.makeServerConfiguration(
                certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
            if let clientAuthority {
                configuration.trustRoots = .certificates(
                    try NIOSSLCertificate.fromPEMBytes(Array(clientAuthority.utf8)))
                configuration.certificateVerification = .noHostnameVerification
            }
            return try NIOSSLContext(configuration: configuration)
        }
    }

    /// Listens, again after ``down()``.
    ///
    /// - Parameter port: 0 for the port that it had before, or one that the system chooses.
    func up(port: Int = 0, _ handler: @escaping Handler) async throws {
        state.withLock { $0.isUp = true }
        let listener = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .serverChannelOption(.backlog, value: 512)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try self.accept(channel, handler) }
            }
            .bind(host: "127.0.0.1", port: port == 0 ? self.port : port).get()
        boundPort.store(listener.localAddress?.port ?? 0, ordering: .relaxed)
        state.withLock { $0.listener = listener }
    }

    /// Stops listening, breaks every connection, and waits until nobody is served.
    func down() async {
        let listener = state.withLock { state in
            defer { (state.listener, state.isUp) = (nil, false) }
            return state.listener
        }
        try? await listener?.close().get()
        let open = state.withLock { $0.open.values.map { $0 } }
        for (channel, serving) in open {
            channel.close(promise: nil)
            serving.cancel()
        }
        for (_, serving) in open { await serving.value }
    }

    /// Hands a connection to its own task where it is made: one that came through an asynchronous sequence of
    /// connections could be dropped unserved while the listener closes, which NIO answers with a crash.
    private func accept(_ channel: any Channel, _ handler: @escaping Handler) throws {
        try state.withLock { state in
            guard state.isUp else { throw EmulatorExchange.Broken() }
            if let context { try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: context)) }
            try channel.pipeline.syncOperations.configureHTTPServerPipeline(withErrorHandling: true)
            let connection = try Connection(wrappingChannelSynchronously: channel)
            state.accepted += 1
            let number = state.accepted
            let serving = Task {
                try? await Self.serve(connection, handler)
                self.state.withLock { $0.open[number] = nil }
            }
            state.open[number] = (channel, serving)
        }
    }

    private static func serve(_ connection: Connection, _ handler: Handler) async throws {
        try await connection.executeThenClose { inbound, outbound in
            var head: HTTPRequestHead?
            var body: [UInt8] = []
            for try await part in inbound {
                switch part {
                case .head(let value): (head, body) = (value, [])
                case .body(let buffer): body += buffer.readableBytesView
                case .end:
                    guard let head else { return }
                    try await handler(
                        EmulatorRequest(head, body),
                        EmulatorExchange(method: head.method, channel: connection.channel, outbound: outbound))
                }
            }
        }
    }
}
