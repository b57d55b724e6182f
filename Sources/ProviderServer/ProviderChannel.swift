import NIOCore
import NIOHTTP1
import NIOSSL

/// A connection from outside: TLS with what is in force when it comes, then HTTP/1.1.
///
/// What happens on one is decided in its event loop, by ``ProviderConnection``: most requests are answered from memory,
/// and handing each of their parts to a task and back cost more than answering them.
struct ProviderChannel: Sendable {
    private let responder: any ProviderResponder
    private let decoder: NIOHTTPDecoderLimitConfiguration
    private let open: any ConnectionAdmission
    private let limits: ConnectionLimits
    private let tls: (@Sendable () throws -> NIOSSLContext)?

    /// - Parameter tls: what a new connection is made with; `nil` for plain HTTP.
    init(
        configuration: ProviderConfiguration, tls: (@Sendable () throws -> NIOSSLContext)?,
        open: any ConnectionAdmission,
        limits: ConnectionLimits, responder: any ProviderResponder
    ) {
        var decoder = NIOHTTPDecoderLimitConfiguration()
        decoder.maxHeaderFieldSize = configuration.maximumHeaderBytes
        decoder.maxHeaderListSize = configuration.maximumHeaderBytes
        decoder.maxHeaderFieldCount = configuration.maximumHeaderFields
        self.decoder = decoder
        self.responder = responder
        self.open = open
        self.limits = limits
        self.tls = tls
    }

    /// How many bytes are read at once, depending on how many there were before.
    private static let pieces = AdaptiveRecvByteBufferAllocator(minimum: 1024, initial: 2048, maximum: 16 << 10)

    /// One connection too many: what fails to be set up is closed.
    private struct Refused: Error {}

    /// Makes an accepted connection one of the provider's.
    func setUp(_ channel: any Channel) -> EventLoopFuture<Void> {
        channel.eventLoop.makeCompletedFuture {
            guard open.admits(channel) else { throw Refused() }
            // What a client sends is taken in small pieces: what has been read of it cannot be left where it is.
            try channel.syncOptions?.setOption(.maxMessagesPerRead, value: 1)
            try channel.syncOptions?.setOption(.recvAllocator, value: ProviderChannel.pieces)
            let pipeline = channel.pipeline.syncOperations
            if let tls {
                let context: NIOSSLContext
                do { context = try tls() } catch {
                    // Nothing to serve with yet.
                    channel.close(promise: nil)
                    throw error
                }
                try pipeline.addHandler(NIOSSLServerHandler(context: context))
            } else {
                // A client may close its side when it has asked. Under TLS that means one that is gone: TLS says itself
                // when one side has ended, and such a connection would wait out the shutdown timeout with its buffers.
                try channel.syncOptions?.setOption(.allowRemoteHalfClosure, value: true)
            }
            let connection = ProviderConnection(responder: responder, limits: limits, heads: decoder)
            try pipeline.addHandler(ByteToMessageHandler(RequestDecoder(connection, limits: decoder)))
            try pipeline.addHandler(connection)
        }
    }
}
