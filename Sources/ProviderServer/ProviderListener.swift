import NIOCore
import NIOExtras
import NIOPosix
import ServiceLifecycle

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Listens until graceful shutdown or cancellation.
///
/// No task waits for a connection, and none is handed from one event loop to another: waking another thread costs a
/// twentieth of a handshake, each time. So each event loop has a socket of its own that listens on the port, the
/// kernel shares the connections out, and they are counted and told of the end through their channels.
struct ProviderListener: Service {
    let channel: ProviderChannel
    let connections: IdleConnections
    let address: ListenAddress
    let shortage: AcceptShortage
    /// Makes room for one connection when the system allows no more, if that can be.
    var relief: @Sendable () -> Bool = { false }
    /// How many connections wait in the kernel to be accepted, for each socket.
    let backlog: Int32 = 1024
    /// Called when it listens.
    let onRunning: @Sendable (any Channel) -> Void

    /// The option that lets several sockets of one user listen on the same port.
    private static let sharedPort = NIOBSDSocket.Option(rawValue: SO_REUSEPORT)

    /// A socket that listens, and what tells its connections of the end.
    private struct Socket {
        let server: any Channel
        let quiescing: ServerQuiescingHelper
    }

    func run() async throws {
        let sockets = try await listen()
        // None of them goes on without the others.
        for socket in sockets {
            socket.server.closeFuture.whenComplete { _ in
                for socket in sockets { socket.quiescing.initiateShutdown(promise: nil) }
            }
        }
        onRunning(sockets[0].server)
        // Done when the last connection of each has ended, after its listener has.
        let ended = sockets.map { $0.server.eventLoop.makePromise(of: Void.self) }
        try await withTaskCancellationHandler {
            await withGracefulShutdownHandler {
                try? await sockets[0].server.closeFuture.get()
            } onGracefulShutdown: {
                for socket in sockets { socket.quiescing.initiateShutdown(promise: nil) }
            }
            for (socket, ended) in zip(sockets, ended) { socket.quiescing.initiateShutdown(promise: ended) }
            for ended in ended { try await ended.futureResult.get() }
        } onCancel: { [connections] in
            for socket in sockets { socket.quiescing.initiateShutdown(promise: nil) }
            connections.cut()
        }
    }

    // MARK: Sockets

    /// A socket for each event loop; one for all of them where the system does not let several share a port.
    private func listen() async throws -> [Socket] {
        let group = MultiThreadedEventLoopGroup.singleton
        let loops = Array(group.makeIterator())
        guard loops.count > 1 else { return [try await socket(on: group, for: group)] }
        // The first one binds the port without sharing it, which fails if another process listens there. Only then it
        // is shared.
        let first = try await socket(on: loops[0], for: loops[0])
        var sockets = [first]
        do {
            guard let bound = first.server.localAddress else { throw ChannelError.unknownLocalAddress }
            try await first.server.setOption(.socketOption(ProviderListener.sharedPort), value: 1).get()
            for loop in loops.dropFirst() { sockets.append(try await socket(on: loop, for: loop, sharing: bound)) }
            return sockets
        } catch {
            for socket in sockets { try? await socket.server.close() }
            return [try await socket(on: group, for: group)]
        }
    }

    /// A socket that listens.
    ///
    /// - Parameters:
    ///   - loops: where its connections are.
    ///   - bound: the address that another socket of ours has; `nil` for ``address``.
    private func socket(
        on loop: any EventLoopGroup, for loops: any EventLoopGroup, sharing bound: SocketAddress? = nil
    ) async throws -> Socket {
        let quiescing = ServerQuiescingHelper(group: loop)
        let bootstrap = ServerBootstrap(group: loop, childGroup: loops)
            .serverChannelOption(.backlog, value: backlog)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelInitializer { [shortage, relief] server in
                server.eventLoop.makeCompletedFuture {
                    try server.pipeline.syncOperations.addHandler(
                        quiescing.makeServerChannelHandler(channel: server))
                    try server.pipeline.syncOperations.addHandler(AcceptPause(shortage, relief: relief))
                }
            }
            .childChannelInitializer { [channel] in channel.setUp($0) }
        let server =
            if let bound {
                try await bootstrap.serverChannelOption(.socketOption(ProviderListener.sharedPort), value: 1).bind(
                    to: bound
                ).get()
            } else {
                try await bootstrap.bind(host: address.bindHost, port: address.port).get()
            }
        return Socket(server: server, quiescing: quiescing)
    }
}
