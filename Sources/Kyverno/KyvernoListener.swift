import Logging
import ProviderServer
import ServiceMetrics
import Verification

/// The listener for Kyverno, beside Gatekeeper's: it asks for a client certificate, but does not insist.
package struct KyvernoListener: Sendable, Hashable {
    /// Kyverno's controllers that evaluate policies, as its chart names them in the namespace `kyverno`.
    package static let defaultUsers: Set<String> = [
        "system:serviceaccount:kyverno:kyverno-admission-controller",
        "system:serviceaccount:kyverno:kyverno-background-controller",
        "system:serviceaccount:kyverno:kyverno-reports-controller",
    ]

    /// Where it listens.
    package var address: ListenAddress
    /// The users that a token may belong to.
    package var users: Set<String>

    /// A listener, by default for Kyverno's own service accounts.
    package init(address: ListenAddress, users: Set<String> = KyvernoListener.defaultUsers) {
        self.address = address
        self.users = users
    }
}

extension KyvernoListener {
    /// The listener as the provider's server takes it.
    ///
    /// - Parameters:
    ///   - configuration: how the provider serves, with the certificates that it has for Gatekeeper, too.
    ///   - callers: who confirms tokens; `nil` lets in client certificates only.
    /// - Throws: when it could not tell its callers apart.
    package func endpoint(
        configuration: ProviderConfiguration, service: any VerificationService, metrics: MetricsRegistry,
        logger: Logger, callers: (any CallerAuthenticator)?
    ) throws(ProviderServerError) -> ProviderEndpoint {
        guard configuration.certificates != nil else {
            throw ProviderServerError(
                "Kyverno cannot be served over plain HTTP, which would show its token: give a certificate directory (--cert-dir)"
            )
        }
        guard callers != nil || configuration.asksForClientCertificates else {
            throw ProviderServerError(
                "Kyverno cannot be told from anybody else: give access to the Kubernetes API, where its token is confirmed, or the authorities of client certificates (--ca-cert-file)"
            )
        }
        return ProviderEndpoint(
            .kyverno, address,
            KyvernoRoute(
                configuration: configuration, service: service, metrics: metrics, logger: logger,
                authenticator: callers, users: users))
    }
}

extension ProviderEndpoint.Name {
    /// Kyverno's listener.
    package static let kyverno = ProviderEndpoint.Name("kyverno")
}

extension ProviderPorts {
    /// The port of Kyverno's listener.
    package var kyverno: Int? { self[.kyverno] }
}
