import NIOCore
import NIOExtras
import NIOPosix
import ServiceLifecycle

/// Listens for Gatekeeper or Kyverno, until graceful shutdown or cancellation.
///
/// No task waits for a connection: accepting one would wake another thread, which costs a twentieth of a handshake. So the
/// connections are counted and told of the end through their channels.
struct ProviderListener: Service {
    let channel: ProviderChannel
    let connections: IdleConnections
    let address: ListenAddress
    /// How many connections wait in the kernel to be accepted.
    let backlog: Int32 = 1024
    /// Told when it listens.
    let onRunning: @Sendable (any Channel) -> Void

    func run() async throws {
        let group = MultiThreadedEventLoopGroup.singleton
        let quiescing = ServerQuiescingHelper(group: group)
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: backlog)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelInitializer { server in
                server.eventLoop.makeCompletedFuture {
                    try server.pipeline.syncOperations.addHandler(
                        quiescing.makeServerChannelHandler(channel: server))
                }
            }
            .childChannelInitializer { [channel] in channel.setUp($0) }
        let server = try await bootstrap.bind(host: address.bindHost, port: address.port).get()
        onRunning(server)
        // Done when the last connection has ended, after the listener has.
        let ended = server.eventLoop.makePromise(of: Void.self)
        try await withTaskCancellationHandler {
            await withGracefulShutdownHandler {
                try? await server.closeFuture.get()
            } onGracefulShutdown: {
                quiescing.initiateShutdown(promise: nil)
            }
            quiescing.initiateShutdown(promise: ended)
            try await ended.futureResult.get()
        } onCancel: { [connections] in
            quiescing.initiateShutdown(promise: nil)
            connections.cut()
        }
    }
}
