import FoundationEssentials
import HTTP
import Logging
import Synchronization

/// The outbound clients of the process: one for each set of trusted authorities, kept over changes of the
/// configuration, so that connections stay in use.
final class HTTPClients: Sendable {
    private let logger: Logger
    private let clients = Mutex<[String: HTTPClient]>([:])

    init(logger: Logger) { self.logger = logger }

    /// The client that trusts the system's authorities, and those in a bundle.
    func client(caBundle: String?) throws(HTTPError) -> HTTPClient {
        let key = caBundle ?? ""
        if let client = clients.withLock({ $0[key] }) { return client }
        let client = try HTTPClient(
            configuration: HTTPClientConfiguration(extraCABundle: caBundle, userAgent: Release.agent) { [logger] in
                logger.notice("\($0)")
            })
        clients.withLock { $0[key] = client }
        return client
    }

    func shutdown() async {
        let all = clients.withLock { clients in
            defer { clients = [:] }
            return Array(clients.values)
        }
        for client in all { await client.shutdown() }
    }
}
