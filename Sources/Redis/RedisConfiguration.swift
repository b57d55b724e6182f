import Quotation

/// Where Redis is, and how we prove ourselves.
package struct RedisConfiguration: Sendable {
    /// TLS to the server.
    package enum Security: Sendable, Hashable {
        case plain
        /// The server's certificate must chain to the system's authorities, or to those of a PEM file and no others.
        case tls(authorities: String?)
    }

    /// Host name or address.
    package var host: String
    /// Port.
    package var port: Int
    /// Whether the way there is protected.
    package var security: Security
    /// The user (Redis 6 and later); `nil` is the default user.
    package var user: String?
    /// The password; `nil` sends none.
    package var password: String?
    /// How long one command may take.
    package var timeout: Duration = .milliseconds(50)
    /// How long connecting may take, TLS and password included.
    package var connectTimeout: Duration = .seconds(2)
    /// The first and the longest wait before it is tried again to connect.
    package var backoff: (first: Duration, longest: Duration) = (.milliseconds(100), .seconds(4))
    /// The most commands whose replies are waited for at once.
    package var maximumPending = 4096
    /// What a reply may be.
    package var limits = RedisLimits()

    /// What no message may repeat.
    var secrets: SentSecrets { SentSecrets([password].compactMap(\.self)) }

    /// A configuration.
    package init(
        host: String, port: Int = 6379, security: Security = .plain, user: String? = nil, password: String? = nil
    ) {
        self.host = host
        self.port = port
        self.security = security
        self.user = user
        self.password = password
    }
}

/// Why a command has no reply.
package struct RedisError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What happened.
    package enum Kind: Sendable, Hashable {
        /// There is no connection now; nothing was waited for.
        case unavailable
        /// The server did not reply in time.
        case timeout
        /// The server replied with an error.
        case refused
        /// The reply is not one of Redis.
        case malformed
        /// The certificate authorities cannot be used.
        case configuration
    }

    /// What happened.
    package let kind: Kind
    /// What happened, in words: no passwords, no values.
    package let description: String

    init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }
}
