import Concurrency
import FoundationEssentials

/// How an ``HTTPClient`` connects, and whom it trusts.
public struct HTTPClientConfiguration: Sendable {
    /// A PEM file of further certificate authorities to trust; read again when it changes.
    public var extraCABundle: String?
    /// Whether the system's authorities are trusted beside ``extraCABundle``. `false` for peers that only one
    /// authority vouches for, as a cluster's API server.
    public var trustsSystemStore: Bool
    /// Further authorities to trust, as PEM that is no file.
    public var extraAuthorities: [UInt8]
    /// What proves to peers that ask for it who this client is.
    public var clientCertificate: ClientCertificate?
    /// The name that every host's certificate must have, instead of the one in its URL.
    public var tlsServerName: String?
    /// The most connections to one host and port; further requests queue.
    public var maximumConnectionsPerHost: Int
    /// The most connections in all; further requests queue. Idle ones are kept up to this number too.
    public var maximumConnections: Int
    /// How long connecting may take, name resolution and TLS handshake included.
    public var connectTimeout: Duration
    /// A connection that was idle for longer is not used again: load balancers drop idle connections silently.
    public var idleConnectionLife: Duration
    /// The `User-Agent` of requests that do not bring their own.
    public var userAgent: String
    /// Where proxies (``ProxySettings``) and `SSL_CERT_FILE`, `SSL_CERT_DIR` are read from, once.
    public var environment: [String: String]
    /// How often the files with trusted authorities are looked at for changes; they are looked at when a request is
    /// sent, never in the background.
    public var trustCheckInterval: Duration
    /// What the bodies of all answers may take.
    package var budget = ResponseBodyBudget.process
    /// Told about changes of the trusted authorities and about failures to read changed files.
    public var notice: (@Sendable (HTTPClientNotice) -> Void)?

    /// A configuration with usual values and this process's environment.
    public init(
        extraCABundle: String? = nil, trustsSystemStore: Bool = true, extraAuthorities: [UInt8] = [],
        clientCertificate: ClientCertificate? = nil, tlsServerName: String? = nil, maximumConnectionsPerHost: Int = 32,
        maximumConnections: Int = 256, connectTimeout: Duration = .seconds(5),
        idleConnectionLife: Duration = .seconds(60), userAgent: String = "countersign",
        environment: [String: String] = ProcessInfo.processInfo.environment,
        trustCheckInterval: Duration = .seconds(10), notice: (@Sendable (HTTPClientNotice) -> Void)? = nil
    ) {
        self.extraCABundle = extraCABundle
        self.trustsSystemStore = trustsSystemStore
        self.extraAuthorities = extraAuthorities
        self.clientCertificate = clientCertificate
        self.tlsServerName = tlsServerName
        self.maximumConnectionsPerHost = maximumConnectionsPerHost
        self.maximumConnections = maximumConnections
        self.connectTimeout = connectTimeout
        self.idleConnectionLife = idleConnectionLife
        self.userAgent = userAgent
        self.environment = environment
        self.trustCheckInterval = trustCheckInterval
        self.notice = notice
    }
}

/// A client's certificate, with those between it and its authority, and its key.
public struct ClientCertificate: Sendable, Hashable {
    /// Where a PEM text comes from.
    public enum Source: Sendable, Hashable {
        case bytes([UInt8])
        /// A file that is read again when it changes.
        case file(String)
    }

    /// The certificates, the client's own first.
    public var certificates: Source
    /// The key, without a password.
    public var key: Source

    /// A certificate and its key.
    public init(certificates: Source, key: Source) {
        self.certificates = certificates
        self.key = key
    }
}

/// Something an ``HTTPClient`` wants its owner to know, for a log.
public enum HTTPClientNotice: Sendable, Hashable, CustomStringConvertible {
    /// The trusted authorities (and the client's certificate) were read again: so many authorities.
    case trustReloaded(certificates: Int)
    /// Changed files could not be used; the authorities read before stay in force.
    case trustReloadFailed(String)

    /// The notice, for a person.
    public var description: String {
        switch self {
        case .trustReloaded(let count): "the trusted certificate authorities were read again: \(count) certificates"
        case .trustReloadFailed(let reason):
            "the trusted certificate authorities could not be read again, the former ones stay in force: \(reason)"
        }
    }
}
