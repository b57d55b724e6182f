import FoundationEssentials
import HTTP
import Logging
import Synchronization

/// The outbound clients of the process: one for each set of trusted authorities, kept over changes of the
/// configuration, so that connections stay in use.
final class HTTPClients: Sendable {
    private let logger: Logger
    private let clients = Mutex<[String: HTTPClient]>([:])
    private let direct = Mutex<HTTPClient?>(nil)

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

    /// A client that uses no proxy, for services of the machine itself.
    func withoutProxy() throws(HTTPError) -> HTTPClient {
        if let client = direct.withLock(\.self) { return client }
        let environment = ProcessInfo.processInfo.environment.filter { !$0.key.lowercased().hasSuffix("_proxy") }
        let client = try HTTPClient(
            configuration: HTTPClientConfiguration(
                connectTimeout: .seconds(2), userAgent: Release.agent, environment: environment))
        direct.withLock { $0 = client }
        return client
    }

    func shutdown() async {
        var all = clients.withLock { clients in
            defer { clients = [:] }
            return Array(clients.values)
        }
        if let client = direct.withLock(\.self) { all.append(client) }
        for client in all { await client.shutdown() }
    }
}
