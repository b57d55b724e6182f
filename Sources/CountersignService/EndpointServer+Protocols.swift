import Gatekeeper
import Kyverno
import Logging
import ProviderServer
import ServiceMetrics
import Verification

extension EndpointServer {
    /// The provider that answers Gatekeeper and, where it has a listener, Kyverno. It does not listen yet.
    ///
    /// - Parameter callers: who confirms the tokens of Kyverno; `nil` lets in client certificates only.
    package convenience init(
        configuration: ProviderConfiguration, kyverno listener: KyvernoListener? = nil,
        service: any VerificationService, metrics: MetricsRegistry, logger: Logger,
        callers: (any CallerAuthenticator)? = nil
    ) throws(ProviderServerError) {
        // Where client certificates are asked for, who comes to Gatekeeper's listener with one may use this route too.
        var others: [String: any ProviderResponder] = [:]
        if configuration.asksForClientCertificates {
            others[KyvernoRoute.path] = KyvernoRoute(
                configuration: configuration, service: service, metrics: metrics, logger: logger)
        }
        var endpoints: [ProviderEndpoint] = []
        if let listener {
            endpoints.append(
                try listener.endpoint(
                    configuration: configuration, service: service, metrics: metrics, logger: logger, callers: callers)
            )
        }
        try self.init(
            configuration: configuration,
            responder: ExternalDataRoutes(
                configuration: configuration, service: service, metrics: metrics, logger: logger, others: others),
            others: endpoints, notReadyReason: { await service.readiness.notReadyReason }, metrics: metrics,
            logger: logger)
    }
}
