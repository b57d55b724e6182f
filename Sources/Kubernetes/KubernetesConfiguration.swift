import FoundationEssentials
import HTTP

/// Where the API server is, whom it is trusted by, and who asks.
package struct KubernetesConfiguration: Sendable, CustomStringConvertible {
    /// What proves who asks, beside a client certificate.
    package enum Credentials: Sendable {
        case none
        case token(String)
        /// A file that is read again each minute, and when its token is refused: kubelet renews it.
        case tokenFile(String)
        /// A program that prints a token.
        case exec(ExecPlugin)
    }

    /// Who vouches for the API server.
    package enum Authorities: Sendable, Hashable {
        /// The system's authorities.
        case system
        /// Those in this file and no others; it is read again when it changes.
        case file(String)
        /// Those in this PEM text and no others.
        case pem([UInt8])
    }

    /// The API server.
    package var server: HTTPURL
    /// Who vouches for it.
    package var authorities: Authorities
    /// The name in its certificate, when it is not the one in ``server``.
    package var tlsServerName: String?
    /// The proxy on the way; `nil`: as the environment says.
    package var proxyURL: String?
    /// What proves who asks.
    package var credentials: Credentials
    /// A client certificate that does.
    package var clientCertificate: ClientCertificate?
    /// The namespace that is meant when none is named: the pod's own, or the context's.
    package var namespace: String
    /// Where this comes from, for messages.
    package var source: String
    /// The environment of the process, for proxies.
    package var environment: [String: String]

    /// A configuration.
    ///
    /// - Throws: `configuration` when a secret would travel unprotected, or the server's address is not usable.
    package init(
        server: String, authorities: Authorities, tlsServerName: String? = nil, proxyURL: String? = nil,
        credentials: Credentials = .none, clientCertificate: ClientCertificate? = nil, namespace: String = "default",
        source: String, environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws(KubernetesError) {
        do { self.server = try HTTPURL(parsing: server) } catch {
            throw .configuration("\(source): the API server's address: \(error)")
        }
        if case .none = credentials {
        } else if self.server.scheme != .https {
            throw .configuration("\(source): credentials are sent to an https address only, not to \(server)")
        }
        guard !self.server.target.contains("?") else {
            throw .configuration("\(source): the API server's address has a query")
        }
        self.authorities = authorities
        self.tlsServerName = tlsServerName
        self.proxyURL = proxyURL
        self.credentials = credentials
        self.clientCertificate = clientCertificate
        self.namespace = namespace
        self.source = source
        self.environment = environment
    }

    /// The server and where it comes from: no secrets.
    package var description: String { "\(server.text) (\(source))" }

    /// Where a pod's service account is mounted.
    package static let serviceAccountDirectory = "/var/run/secrets/kubernetes.io/serviceaccount"

    /// What a pod has: `KUBERNETES_SERVICE_HOST`, `KUBERNETES_SERVICE_PORT`, and the files of its service account.
    ///
    /// - Throws: `configuration` when this is no pod, or its service account's token is not mounted.
    package static func inCluster(
        environment: [String: String] = ProcessInfo.processInfo.environment,
        directory: String = serviceAccountDirectory
    ) throws(KubernetesError) -> KubernetesConfiguration {
        guard let host = environment["KUBERNETES_SERVICE_HOST"], !host.isEmpty,
            let port = environment["KUBERNETES_SERVICE_PORT"], !port.isEmpty
        else {
            throw .configuration(
                "this is no pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not in the environment")
        }
        let token = "\(directory)/token"
        let authority = "\(directory)/ca.crt"
        for file in [token, authority] where !FileManager.default.isReadableFile(atPath: file) {
            throw .configuration(
                "\(file) cannot be read: mount the service account's token (automountServiceAccountToken)")
        }
        let namespace = (try? Data(contentsOf: URL(filePath: "\(directory)/namespace"))).map {
            String(decoding: $0, as: UTF8.self).filter { !$0.isWhitespace }
        }
        return try KubernetesConfiguration(
            server: "https://\(host.contains(":") ? "[\(host)]" : host):\(port)", authorities: .file(authority),
            credentials: .tokenFile(token), namespace: namespace.flatMap { $0.isEmpty ? nil : $0 } ?? "default",
            source: "service account of the pod", environment: environment)
    }

    /// What a person or a pod has: a pod's service account, or else the kubeconfig in `$KUBECONFIG` or
    /// `~/.kube/config`.
    ///
    /// - Parameter context: a context of the kubeconfig; naming one leaves the pod's service account out.
    package static func automatic(
        context: String? = nil, environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws(KubernetesError) -> KubernetesConfiguration {
        let isPod = !(environment["KUBERNETES_SERVICE_HOST"] ?? "").isEmpty
        if isPod, context == nil, (environment["KUBECONFIG"] ?? "").isEmpty {
            return try inCluster(environment: environment)
        }
        if let paths = environment["KUBECONFIG"], !paths.isEmpty {
            return try kubeconfig(
                paths: paths.split(separator: ":").map(String.init), context: context, environment: environment)
        }
        guard let home = environment["HOME"], !home.isEmpty else {
            throw .configuration("no cluster to talk to: this is no pod, and neither KUBECONFIG nor HOME is set")
        }
        return try kubeconfig(path: "\(home)/.kube/config", context: context, environment: environment)
    }
}

extension KubernetesError {
    static func configuration(_ detail: String) -> KubernetesError { KubernetesError(.configuration, detail: detail) }
}
