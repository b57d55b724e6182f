import NIOCore
import NIOPosix
import NIOSSL

/// The measuring side: plays Gatekeeper on HTTP/1.1 over TLS 1.3, without ALPN, with a client certificate.
struct Gatekeeper: Sendable {
    /// Who it is, and whom it believes; all in PEM.
    struct Identity: Sendable {
        /// The authority of the server's certificate.
        let providerAuthority: String
        let clientChain: String
        let clientKey: String
    }

    private let host: String
    private let port: Int
    private let serverName: String
    private let context: NIOSSLContext
    let group: MultiThreadedEventLoopGroup

    /// - Parameters:
    ///   - serverName: the name that the server's certificate must have.
    ///   - curves: the groups for the key exchange in the order of preference. Go before 1.24 prefers X25519.
    init(
        host: String = "127.0.0.1", port: Int, serverName: String = "localhost", identity: Identity,
        group: MultiThreadedEventLoopGroup, curves: [NIOTLSCurve] = [.x25519, .secp256r1]
    ) throws {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv13
        configuration.curves = curves
        configuration.trustRoots = .certificates(
            try NIOSSLCertificate.fromPEMBytes(Array(identity.providerAuthority.utf8)))
        configuration.certificateChain = try NIOSSLCertificate.fromPEMBytes(Array(identity.clientChain.utf8))
            .map { .certificate($0) }
        configuration.privateKey = .privateKey(
            try NIOSSLPrivateKey(bytes: Array(identity.clientKey.utf8), format: .pem))
        self.context = try NIOSSLContext(configuration: configuration)
        self.host = host
        self.port = port
        self.serverName = serverName
        self.group = group
    }

    /// Opens a connection; its handshake goes on.
    func connect() async throws -> any Channel {
        try await ClientBootstrap(group: group)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .connectTimeout(.seconds(10))
            .channelInitializer { [context, serverName] channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHandler(NIOSSLClientHandler(context: context, serverHostname: serverName))
                    try pipeline.addHandler(GatekeeperConnection())
                }
            }
            .connect(host: host, port: port).get()
    }

    /// Asks on a connection what a workload hands out, until there is nothing more or one request fails.
    func ask(_ workload: Workload, on channel: any Channel) async throws -> Outcome {
        try await ask(on: channel) {
            GatekeeperConnection.Run(
                workload: workload, isThorough: workload.isThorough, timeout: workload.timeout, outcome: $0)
        }
    }

    /// Asks one question on a connection.
    func ask(
        _ job: Workload.Job, on channel: any Channel, isThorough: Bool = false, timeout: TimeAmount = .seconds(15)
    ) async throws -> Outcome {
        try await ask(on: channel) {
            GatekeeperConnection.Run(
                workload: nil, first: job, isThorough: isThorough, timeout: timeout, outcome: $0)
        }
    }

    private func ask(
        on channel: any Channel, _ run: (EventLoopPromise<Outcome>) -> GatekeeperConnection.Run
    ) async throws -> Outcome {
        let promise = channel.eventLoop.makePromise(of: Outcome.self)
        channel.pipeline.fireUserInboundEventTriggered(run(promise))
        // A connection that is closed already has no handler left to answer.
        channel.closeFuture.whenComplete { _ in promise.fail(BenchmarkError("the server closed a connection")) }
        return try await promise.futureResult.get()
    }

    /// Asks once on a connection of its own, with a thorough look at the answer, and closes it.
    func askOnce(_ question: Question) async throws {
        let channel = try await connect()
        do {
            _ = try await ask(Workload.Job(question: question, due: nil), on: channel, isThorough: true).allGood()
        } catch {
            try? await channel.close()
            throw error
        }
        try? await channel.close()
    }
}
