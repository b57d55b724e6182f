import NIOCore
import NIOPosix
import NIOSSL

/// The measuring side: plays Gatekeeper on HTTP/1.1 over TLS 1.3, without ALPN, with an RSA-2048 client certificate.
struct Gatekeeper: Sendable {
    private let port: Int
    private let context: NIOSSLContext
    private let group: MultiThreadedEventLoopGroup

    /// - Parameter curves: the groups for the key exchange in the order of preference. Go before 1.24 prefers X25519.
    init(
        port: Int, files: ServingFiles, group: MultiThreadedEventLoopGroup,
        curves: [NIOTLSCurve] = [.x25519, .secp256r1]
    ) throws {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv13
        configuration.curves = curves
        configuration.trustRoots = .certificates(
            try NIOSSLCertificate.fromPEMBytes(Array(files.providerAuthority.utf8)))
        configuration.certificateChain = try NIOSSLCertificate.fromPEMBytes(Array(files.clientChain.utf8))
            .map { .certificate($0) }
        configuration.privateKey = .privateKey(try NIOSSLPrivateKey(bytes: Array(files.clientKey.utf8), format: .pem))
        self.context = try NIOSSLContext(configuration: configuration)
        self.port = port
        self.group = group
    }

    /// Opens a connection; its handshake goes on.
    func connect() async throws -> any Channel {
        try await ClientBootstrap(group: group)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { [context] channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHandler(NIOSSLClientHandler(context: context, serverHostname: "localhost"))
                    try pipeline.addHandler(GatekeeperConnection())
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
    }

    /// Asks on a connection; gives the time from each question to its answer, in microseconds.
    func ask(
        _ question: Question, on channel: any Channel, limit: Int = 1, until deadline: NIODeadline = .distantFuture,
        isThorough: Bool = false
    ) async throws -> [Double] {
        let promise = channel.eventLoop.makePromise(of: [Double].self)
        channel.pipeline.fireUserInboundEventTriggered(
            GatekeeperConnection.Run(
                question: question, isThorough: isThorough, limit: limit, deadline: deadline, latencies: promise))
        // A connection that is closed already has no handler left to answer.
        channel.closeFuture.whenComplete { _ in promise.fail(BenchmarkError("the server closed a connection")) }
        return try await promise.futureResult.get()
    }

    /// Asks once on a connection of its own, with a thorough look at the answer, and closes it.
    func askOnce(_ question: Question) async throws {
        let channel = try await connect()
        do {
            _ = try await ask(question, on: channel, isThorough: true)
        } catch {
            try? await channel.close()
            throw error
        }
        try? await channel.close()
    }
}
