import FoundationEssentials
import HTTP
import Kubernetes
import Logging
import Synchronization

/// The outbound clients of the process: one for each set of trusted authorities, kept over changes of the
/// configuration, so that connections stay in use.
final class HTTPClients: Sendable {
    private let logger: Logger
    private let clients = Mutex<[String: Kept]>([:])
    private let direct = Mutex<HTTPClient?>(nil)
    private let cluster = Mutex<KubernetesClient?>(nil)

    /// A client, and what sends its requests at the pace that each host allows.
    private struct Kept {
        let client: HTTPClient
        let paced: PacedHTTPClient
    }

    init(logger: Logger) { self.logger = logger }

    /// The client that trusts the system's authorities, and those in a bundle.
    ///
    /// - Throws: when somebody's setting cannot be used: a bundle, `SSL_CERT_FILE`, a proxy.
    func client(caBundle: String?) throws(HTTPError) -> any HTTPSending {
        let key = caBundle ?? ""
        if let kept = clients.withLock({ $0[key] }) { return kept.paced }
        let configuration = HTTPClientConfiguration(extraCABundle: caBundle, userAgent: Release.agent) { [logger] in
            logger.notice("\($0)")
        }
        let client = try HTTPClient(configuration: configuration)
        let kept = Kept(client: client, paced: PacedHTTPClient(client))
        clients.withLock { $0[key] = kept }
        return kept.paced
    }

    /// A client that uses no proxy, for services of the machine itself.
    func withoutProxy() throws(HTTPError) -> HTTPClient {
        if let client = direct.withLock(\.self) { return client }
        let client = try HTTPClients.makeWithoutProxy()
        direct.withLock { $0 = client }
        return client
    }

    /// Another client that uses no proxy.
    static func makeWithoutProxy() throws(HTTPError) -> HTTPClient {
        let environment = ProcessInfo.processInfo.environment.filter { !$0.key.lowercased().hasSuffix("_proxy") }
        return try HTTPClient(
            configuration: HTTPClientConfiguration(
                connectTimeout: .seconds(2), userAgent: Release.agent, environment: environment))
    }

    /// The client of the cluster's API server, made when it is first asked for.
    func kubernetes(environment: [String: String]) throws(KubernetesError) -> KubernetesClient {
        try cluster.withLock { [logger] (cluster) throws(KubernetesError) in
            if let cluster { return cluster }
            let client = try KubernetesClient(.automatic(environment: environment)) { logger.notice("\($0)") }
            cluster = client
            return client
        }
    }

    func shutdown() async {
        await cluster.withLock(\.self)?.shutdown()
        let all = clients.withLock { clients in
            defer { clients = [:] }
            return Array(clients.values)
        }
        for kept in all { await kept.client.shutdown() }
        await direct.withLock(\.self)?.shutdown()
    }
}
