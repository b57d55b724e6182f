import NIOCore
import NIOPosix
import NIOSSL
import Quotation

/// One connection: commands go out as they come, replies are in their order.
final class RedisConnection: Sendable {
    let channel: any Channel
    private let handler: NIOLoopBound<RepliesHandler>

    private init(channel: any Channel, handler: NIOLoopBound<RepliesHandler>) {
        self.channel = channel
        self.handler = handler
    }

    /// Connects, and proves who we are.
    static func open(_ configuration: RedisConfiguration, tls: NIOSSLContext?) async throws -> RedisConnection {
        let deadline = NIODeadline.now() + TimeAmount(configuration.connectTimeout)
        let (channel, handler) = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connectTimeout(TimeAmount(configuration.connectTimeout))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .connect(host: configuration.host, port: configuration.port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let tls {
                        let isAddress =
                            (try? SocketAddress(ipAddress: configuration.host, port: configuration.port)) != nil
                        try channel.pipeline.syncOperations.addHandler(
                            NIOSSLClientHandler(context: tls, serverHostname: isAddress ? nil : configuration.host))
                    }
                    let handler = RepliesHandler(
                        limits: configuration.limits, maximumPending: configuration.maximumPending)
                    try channel.pipeline.syncOperations.addHandler(handler)
                    return (channel, NIOLoopBound(handler, eventLoop: channel.eventLoop))
                }
            }
        let connection = RedisConnection(channel: channel, handler: handler)
        do {
            if let password = configuration.password {
                let parts = ["AUTH"] + (configuration.user.map { [$0] } ?? []) + [password]
                try await connection.expectOK(parts, deadline: deadline)
            }
            try await connection.expectOK(["PING"], deadline: deadline)
        } catch {
            connection.close()
            throw error
        }
        return connection
    }

    /// A command that must not be answered with an error. Its words are not in the error: one is a password.
    private func expectOK(_ parts: [String], deadline: NIODeadline) async throws {
        let reply = try await send(parts.map { Array($0.utf8) }, deadline: deadline)
        if case .error(let text) = reply {
            throw RedisError(.refused, "\(parts[0]) was refused: \(SentSecrets(Array(parts.dropFirst())).quote(text))")
        }
    }

    /// Sends a command and waits for its reply. A reply that does not come in time ends the connection: those that
    /// come after it would not either.
    func send(_ parts: [[UInt8]], deadline: NIODeadline) async throws -> RedisValue {
        let promise = channel.eventLoop.makePromise(of: RedisValue.self)
        let command = ByteBuffer(bytes: RedisParser.command(parts))
        channel.eventLoop.execute { [channel, handler] in
            guard handler.value.expect(promise) else { return }
            channel.writeAndFlush(command, promise: nil)
            let timer = channel.eventLoop.scheduleTask(deadline: deadline) {
                promise.fail(RedisError(.timeout, "no reply in time"))
                channel.close(promise: nil)
            }
            promise.futureResult.whenComplete { _ in timer.cancel() }
        }
        return try await promise.futureResult.get()
    }

    func close() { channel.close(promise: nil) }
}

/// Gives each reply to the command that it answers.
private final class RepliesHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let parser: RedisParser
    private let maximumPending: Int
    private var pending = CircularBuffer<EventLoopPromise<RedisValue>>()
    private var received = ByteBuffer()
    private var isClosed = false

    init(limits: RedisLimits, maximumPending: Int) {
        parser = RedisParser(limits: limits)
        self.maximumPending = maximumPending
    }

    /// Whether a reply will be waited for; if not, the promise has failed.
    func expect(_ promise: EventLoopPromise<RedisValue>) -> Bool {
        guard !isClosed else {
            promise.fail(RedisError(.unavailable, "the connection has ended"))
            return false
        }
        guard pending.count < maximumPending else {
            promise.fail(RedisError(.unavailable, "\(maximumPending) commands wait for their replies"))
            return false
        }
        pending.append(promise)
        return true
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        received.writeBuffer(&buffer)
        do throws(RedisProtocolError) {
            while let (value, count) = try parser.parse(received.readableBytesView) {
                received.moveReaderIndex(forwardBy: count)
                guard let promise = pending.popFirst() else {
                    return fail(context, RedisError(.malformed, "a reply that nothing asked for"))
                }
                promise.succeed(value)
            }
            received.discardReadBytes()
        } catch { fail(context, RedisError(.malformed, error.description)) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail(context, RedisError(.unavailable, "\(error)"))
    }

    func channelInactive(context: ChannelHandlerContext) {
        end(RedisError(.unavailable, "the connection has ended"))
        context.fireChannelInactive()
    }

    private func fail(_ context: ChannelHandlerContext, _ error: RedisError) {
        end(error)
        context.close(promise: nil)
    }

    private func end(_ error: RedisError) {
        isClosed = true
        let waiting = pending
        pending = []
        received.clear()
        for promise in waiting { promise.fail(error) }
    }
}

@available(*, unavailable)
extension RepliesHandler: Sendable {}
