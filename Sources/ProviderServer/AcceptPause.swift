import NIOCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Pauses a listening socket when a connection cannot be accepted. The connection stays in the queue, so the system
/// would report it again and again.
final class AcceptPause: ChannelInboundHandler {
    typealias InboundIn = any Channel

    private let shortage: AcceptShortage
    /// Makes room for one connection, if it can.
    private let relief: @Sendable () -> Bool
    private var isPausing = false

    init(_ shortage: AcceptShortage, relief: @escaping @Sendable () -> Bool) {
        self.shortage = shortage
        self.relief = relief
    }

    private static let pause = TimeAmount.milliseconds(200)

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let error = error as? IOError else { return context.fireErrorCaught(error) }
        shortage.report(error)
        // The client has gone: the next one need not wait.
        guard error.errnoCode != ECONNABORTED, !isPausing, !relief(), let options = context.channel.syncOptions else {
            return
        }
        // Nothing else makes the event loop forget the socket while an attempt to accept is due.
        do { try options.setOption(.autoRead, value: false) } catch { return }
        isPausing = true
        context.eventLoop.assumeIsolated().scheduleTask(in: AcceptPause.pause) {
            self.isPausing = false
            guard context.channel.isActive else { return }
            try? options.setOption(.autoRead, value: true)
        }
    }
}

@available(*, unavailable)
extension AcceptPause: Sendable {}
