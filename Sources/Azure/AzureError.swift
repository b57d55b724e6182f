import HTTP

/// Why Azure gave no token: which endpoint, what it said in its own words, and what to do.
///
/// It never holds what was sent to prove an identity, nor a token.
package struct AzureError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What a caller can act on.
    package enum Kind: String, Hashable, Sendable {
        /// A setting is missing or not usable.
        case configuration
        /// The federated token that proves this workload's identity cannot be read.
        case assertion
        /// Azure refuses the identity or what it asks for.
        case refused
        /// What was asked for is not there.
        case missing
        /// What was asked for is there, and its owner disabled it.
        case disabled
        /// Azure limits requests.
        case throttled
        /// No answer that means anything: name lookup, connection, TLS, or a 5xx status.
        case unavailable
        /// The deadline passed.
        case timeout
        /// The caller was cancelled.
        case cancelled
        /// An answer that is not what the protocol says.
        case malformed
    }

    /// What a caller can act on.
    package let kind: Kind
    /// The host that was asked; empty when none was.
    package let endpoint: String
    /// What happened and what to do.
    package let detail: String
    /// Azure's own error code: `invalid_client`, `UNAUTHORIZED`.
    package let code: String?
    /// How long Azure asks to wait.
    package let retryAfter: Duration?

    /// An error.
    package init(
        _ kind: Kind, endpoint: String = "", detail: String, code: String? = nil, retryAfter: Duration? = nil
    ) {
        self.kind = kind
        self.endpoint = endpoint
        self.detail = detail
        self.code = code
        self.retryAfter = retryAfter
    }

    /// Whether the same request may well succeed in a moment. A federated token may just be on its way to its file.
    package var isTransient: Bool {
        switch kind {
        case .assertion, .throttled, .unavailable, .timeout, .cancelled: true
        case .configuration, .refused, .missing, .disabled, .malformed: false
        }
    }

    /// Whether what is configured, here or at Azure, is at fault: asking again is of no use before somebody has mended
    /// it.
    package var isConfiguration: Bool {
        switch kind {
        case .configuration, .assertion, .refused, .missing, .disabled: true
        case .throttled, .unavailable, .timeout, .cancelled, .malformed: false
        }
    }

    /// What happened, where, and what to do, for a person.
    package var description: String { endpoint.isEmpty ? detail : "\(endpoint): \(detail)" }

    /// The error for a call that has no answer.
    init(_ error: HTTPError, endpoint: String, purpose: String) {
        let kind: Kind =
            switch error.kind {
            case .throttled: .throttled
            case .timeout: .timeout
            case .cancelled: .cancelled
            case .invalidURL, .invalidRequest, .configuration: .configuration
            case .responseTooLarge, .tooManyRedirects, .redirectRefused, .addressRefused: .malformed
            case .dns, .connect, .connectionLost, .tls, .proxy, .status, .tooSlow, .overBudget, .protocolFault:
                .unavailable
            }
        self.init(kind, endpoint: endpoint, detail: "\(purpose): \(error)", retryAfter: error.retryAfter)
    }
}
