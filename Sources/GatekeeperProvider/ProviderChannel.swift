import HummingbirdCore
import Logging
import NIOCore
import NIOSSL

/// A connection from Gatekeeper or Kyverno: TLS with what is in force when it comes, then HTTP/1.1.
struct ProviderChannel: HTTPChannelHandler {
    typealias Value = HTTP1Channel.Value

    private let base: HTTP1Channel
    private let tls: (@Sendable () throws -> NIOSSLContext)?

    /// - Parameter tls: what a new connection is made with; `nil` for plain HTTP.
    init(
        configuration: ProviderConfiguration, tls: (@Sendable () throws -> NIOSSLContext)?, limits: ConnectionLimits,
        responder: @escaping Responder
    ) {
        var decoder = HTTP1Channel.Configuration.DecoderConfiguration()
        decoder.maxHeaderFieldSize = configuration.maximumHeaderBytes
        decoder.maxHeaderListSize = configuration.maximumHeaderBytes
        decoder.maxHeaderFieldCount = configuration.maximumHeaderFields
        self.base = HTTP1Channel(
            responder: responder,
            configuration: HTTP1Channel.Configuration(
                additionalChannelHandlers: [ConnectionTimeouts(limits: limits)],
                idleTimeout: TimeAmount(configuration.idleTimeout),
                httpDecoderConfiguration: decoder))
        self.tls = tls
    }

    var responder: Responder { base.responder }

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        // Half-closed TCP under TLS means a client that is gone: TLS says itself when one side has ended. With the option,
        // which the server sets for plain HTTP, such a connection would wait out the shutdown timeout with its buffers.
        let option: EventLoopFuture<Void> =
            tls == nil
            ? channel.eventLoop.makeSucceededVoidFuture()
            : channel.setOption(.allowRemoteHalfClosure, value: false)
        return option.flatMapThrowing {
            if let tls {
                let context: NIOSSLContext
                do { context = try tls() } catch {
                    // Nothing to serve with yet: the server does not close a connection that it could not set up.
                    channel.close(promise: nil)
                    throw error
                }
                try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: context))
            }
            try channel.pipeline.syncOperations.addHandler(ByteArrival())
        }.flatMap {
            base.setup(channel: channel, logger: logger)
        }
    }

    func handle(value: Value, logger: Logger) async { await base.handle(value: value, logger: logger) }
}
