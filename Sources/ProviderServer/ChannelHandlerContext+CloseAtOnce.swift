import NIOCore
import NIOSSL

extension ChannelHandlerContext {
    /// Ends a connection on which nothing is under way: tells the client so where TLS has a word for it, and does not
    /// wait for the client's own. That would be another round through the event loop for each connection, and a timer.
    ///
    /// Where the client has not taken everything yet, it is waited for as in any other close.
    func closeAtOnce() {
        guard let tls = try? pipeline.syncOperations.context(handlerType: NIOSSLServerHandler.self) else {
            return close(promise: nil)
        }
        close(mode: .output, promise: nil)
        let isTaken = try? channel.syncOptions?.getOption(.bufferedWritableBytes) == 0
        if isTaken == true { tls.close(promise: nil) } else { close(promise: nil) }
    }
}
