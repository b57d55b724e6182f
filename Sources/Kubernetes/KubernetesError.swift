import HTTP

/// Why a call to the API server has no result: what was asked of whom, what happened, and what to do about it.
///
/// It holds no secrets: no token, no content of objects.
package struct KubernetesError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What happened.
    package enum Kind: Sendable, Hashable {
        /// There is no usable configuration: service account, kubeconfig.
        case configuration
        /// The API server does not know who asks (401).
        case unauthorized
        /// Who asks may not (403).
        case forbidden
        /// There is no such object, or no such type of objects (404).
        case notFound
        /// The object has changed since the version that the change is based on (409).
        case conflict
        /// The object to be made is there already (409).
        case alreadyExists
        /// The version to go on from is no longer kept (410).
        case gone
        /// The API server refuses the request or the object as invalid (400, 422 and other statuses below 500).
        case invalid
        /// The API server limits requests (429).
        case throttled
        /// The API server cannot be reached, or has a fault (5xx).
        case unavailable
        /// The answer is larger than is accepted.
        case tooLarge
        /// The answer is not what the API says it is.
        case malformed
        /// The task was cancelled, or the client shut down.
        case cancelled
    }

    /// What happened.
    package var kind: Kind
    /// The API server, `host:port`; empty when there is none yet.
    package var host: String
    /// What was asked: `GET verifiers.config.ratify.deislabs.io "name"`. Empty for faults of the configuration.
    package var request: String
    /// What happened, in words.
    package var detail: String
    /// How long the API server asks to wait, when it did.
    package var retryAfter: Duration?

    /// An error.
    package init(_ kind: Kind, host: String = "", request: String = "", detail: String, retryAfter: Duration? = nil) {
        self.kind = kind
        self.host = host
        self.request = request
        self.detail = detail
        self.retryAfter = retryAfter
    }

    /// Whether the same call may succeed in a moment.
    package var isTransient: Bool {
        switch kind {
        case .unavailable, .throttled, .cancelled, .unauthorized, .gone, .conflict, .malformed: true
        case .configuration, .forbidden, .notFound, .alreadyExists, .invalid, .tooLarge: false
        }
    }

    /// What was asked of whom, what happened and what to do, in one line without an ending period.
    package var description: String {
        var text = request.isEmpty ? "" : "\(request) from the Kubernetes API server \(host): "
        text += detail
        if let retryAfter { text += "; it asks to wait \(retryAfter.components.seconds) s" }
        if let remedy { text += "; \(remedy)" }
        return text
    }

    private var remedy: String? {
        switch kind {
        case .unauthorized: "check the token or client certificate of the service account or kubeconfig"
        case .forbidden: "grant this to the service account or user with a Role or ClusterRole"
        case .configuration, .notFound, .conflict, .alreadyExists, .gone, .invalid, .throttled, .unavailable, .tooLarge,
            .malformed, .cancelled:
            nil
        }
    }
}

extension KubernetesError {
    /// A call that has no answer.
    init(_ error: HTTPError, host: String, request: String) {
        let kind: Kind =
            switch error.kind {
            case .cancelled: .cancelled
            case .throttled: .throttled
            case .responseTooLarge: .tooLarge
            case .configuration, .invalidURL, .invalidRequest: .configuration
            case .protocolFault: .malformed
            case .dns, .connect, .connectionLost, .tls, .proxy, .timeout, .status, .tooSlow, .overBudget,
                .tooManyRedirects,
                .redirectRefused, .addressRefused:
                .unavailable
            }
        self.init(kind, host: host, request: request, detail: error.detail, retryAfter: error.retryAfter)
    }
}
