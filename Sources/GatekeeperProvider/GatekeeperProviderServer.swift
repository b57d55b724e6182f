import Logging
import NIOCore
import NIOSSL
import ServiceLifecycle
import Verification

/// Why the provider does not serve: what could not be read or bound, and what to do.
package struct ProviderServerError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The whole text.
    package let description: String
}

/// The provider as one service: Gatekeeper's endpoint over mutual TLS, certificate reload, health and metrics.
///
/// On graceful shutdown `/readyz` says no at once, requests in flight are answered, then everything closes.
package final class GatekeeperProviderServer: Service {
    private let configuration: ProviderConfiguration
    private let service: any VerificationService
    private let metrics: MetricsRegistry
    private let logger: Logger
    private let callers: (any CallerAuthenticator)?
    private let certificates: CertificateReloader?
    private let connections: IdleConnections
    private let open: OpenConnections
    private let shortage: AcceptShortage
    private let reserve = ReservedDescriptors(count: 8)
    private let state: ServingState
    private let bound: BoundPorts

    /// A provider that does not listen yet. The certificate files are read here, so that ones that cannot be used are
    /// told at once.
    ///
    /// - Parameter callers: who confirms the tokens of Kyverno; `nil` lets in client certificates only.
    package init(
        configuration: ProviderConfiguration, service: any VerificationService, metrics: MetricsRegistry,
        logger: Logger, callers: (any CallerAuthenticator)? = nil
    ) throws(ProviderServerError) {
        try GatekeeperProviderServer.check(configuration, callers)
        self.configuration = configuration
        self.service = service
        self.metrics = metrics
        self.logger = logger
        self.callers = callers
        self.bound = BoundPorts(
            expecting: [.provider]
                + (configuration.kyverno == nil ? [] : [.kyverno])
                + (configuration.healthAddress == nil ? [] : [.health])
                + (configuration.metricsAddress == nil ? [] : [.metrics]))
        if let files = configuration.certificates {
            do {
                certificates = try CertificateReloader(
                    files: files, interval: configuration.certificateInterval, metrics: metrics, logger: logger)
            } catch {
                throw ProviderServerError(description: "the provider has no usable serving certificate: \(error)")
            }
        } else {
            certificates = nil
        }
        state = ServingState(certificates: certificates)
        let connections = IdleConnections(maximum: configuration.maximumIdleConnections)
        self.connections = connections
        let open = OpenConnections(maximum: configuration.maximumConnections, metrics: metrics, logger: logger)
        self.open = open
        shortage = AcceptShortage(metrics: metrics, logger: logger)
        metrics.collect { metrics in
            metrics.gauge(
                "countersign_maximum_connections", [], Double(open.maximum),
                help: "How many connections to the provider there may be.")
            let counts = connections.counts
            metrics.gauge(
                "countersign_open_connections", [("state", "idle")], Double(counts.idle),
                help: "Connections to the provider.")
            metrics.gauge(
                "countersign_open_connections", [("state", "busy")], Double(counts.open - counts.idle),
                help: "Connections to the provider.")
        }
    }

    /// Refuses names that nobody vouches for, and a listener for Kyverno that could not tell its callers apart.
    private static func check(
        _ configuration: ProviderConfiguration, _ callers: (any CallerAuthenticator)?
    ) throws(ProviderServerError) {
        guard configuration.clientNames == nil || configuration.certificates?.clientAuthorities.isEmpty == false else {
            throw ProviderServerError(
                description:
                    "the name of a client certificate says nothing when nobody vouches for it: with --client-name give the authorities of client certificates (--ca-cert-file or --ca-cert-secret)"
            )
        }
        guard configuration.kyverno != nil else { return }
        guard let certificates = configuration.certificates else {
            throw ProviderServerError(
                description:
                    "Kyverno cannot be served over plain HTTP, which would show its token: give a certificate directory (--cert-dir)"
            )
        }
        guard callers != nil || !certificates.clientAuthorities.isEmpty else {
            throw ProviderServerError(
                description:
                    "Kyverno cannot be told from anybody else: give access to the Kubernetes API, where its token is confirmed, or the authorities of client certificates (--ca-cert-file)"
            )
        }
    }

    /// The ports, as soon as the provider listens on all of them.
    ///
    /// - Throws: ``ProviderServerError`` when it stopped before.
    package var ports: ProviderPorts {
        get async throws { try await bound.all() }
    }

    /// Looks at the certificate files now, instead of at the end of the interval.
    package func reloadCertificates() { certificates?.look() }

    /// Serves until graceful shutdown or cancellation.
    package func run() async throws {
        if certificates == nil {
            logger.warning(
                "serving plain HTTP: Gatekeeper only calls providers over TLS, give a certificate directory")
        } else if configuration.certificates?.clientAuthorities.isEmpty == true {
            logger.warning("any client is served: give Gatekeeper's CA certificate to ask for its client certificate")
        }
        let group = ServiceGroup(configuration: groupConfiguration())
        // Not a child task: it would be told to shut down together with this one, and the delay could not pass.
        let serving = Task.detached { [bound] in
            do {
                try await group.run()
                bound.fail("the provider has stopped")
            } catch {
                bound.fail("\(error)")
                throw error
            }
        }
        try await withTaskCancellationHandler {
            try await withGracefulShutdownHandler {
                try await serving.value
            } onGracefulShutdown: { [state, configuration, logger] in
                state.stopping()
                logger.info("stopping: answering what is in flight")
                Task {
                    try? await Task.sleep(for: configuration.shutdownDelay)
                    await group.triggerGracefulShutdown()
                }
            }
        } onCancel: {
            serving.cancel()
        }
        logger.info("stopped")
    }

    /// The services in the order in which they start; they stop in the opposite order, so the provider drains first.
    private func groupConfiguration() -> ServiceGroupConfiguration {
        var services: [any Service] = []
        if let address = configuration.metricsAddress {
            services.append(plain(PlainResponder(metrics: metrics), address, .metrics))
        }
        if let address = configuration.healthAddress {
            services.append(plain(PlainResponder(healthOf: service, state: state), address, .health))
        }
        if let certificates { services.append(certificates) }
        if let listener = configuration.kyverno { services.append(kyverno(listener)) }
        services.append(provider())
        var quiet = logger
        quiet.logLevel = max(logger.logLevel, .warning)
        var group = ServiceGroupConfiguration(services: services, logger: quiet)
        group.maximumGracefulShutdownDuration = configuration.shutdownGrace
        return group
    }

    private func provider() -> any Service {
        let routes = ProviderRoutes(
            handler: ExternalDataHandler(
                service: service, metrics: metrics, logger: logger, maximumKeys: configuration.maximumKeys,
                deadlines: AnswerDeadlines(margin: configuration.deadlineMargin)),
            maximumBodyBytes: configuration.maximumBodyBytes,
            kyverno: asksForCertificates ? kyvernoRoute(authenticator: nil, users: []) : nil,
            clientNames: configuration.clientNames)
        var tls: (@Sendable () throws -> NIOSSLContext)?
        if let certificates { tls = { try certificates.context } }
        return secure(configuration.address, .provider, tls: tls, responder: routes)
    }

    private func kyverno(_ listener: KyvernoListener) -> any Service {
        let route = kyvernoRoute(authenticator: callers, users: listener.users)
        var tls: (@Sendable () throws -> NIOSSLContext)?
        if let certificates { tls = { try certificates.contextWithOptionalClient } }
        return secure(listener.address, .kyverno, tls: tls, responder: route)
    }

    private var asksForCertificates: Bool { configuration.certificates?.clientAuthorities.isEmpty == false }

    private func kyvernoRoute(authenticator: (any CallerAuthenticator)?, users: Set<String>) -> KyvernoRoute {
        KyvernoRoute(
            handler: KyvernoHandler(
                service: service, metrics: metrics, logger: logger,
                maximumImages: min(configuration.maximumKeys, KyvernoHandler.mostImages),
                deadlines: AnswerDeadlines(margin: configuration.deadlineMargin)),
            maximumBodyBytes: configuration.maximumBodyBytes, asksForCertificates: asksForCertificates,
            clientNames: configuration.clientNames, authenticator: authenticator, users: users)
    }

    /// A listener with the limits and times of connections from outside.
    private func secure(
        _ address: ListenAddress, _ endpoint: BoundPorts.Endpoint, tls: (@Sendable () throws -> NIOSSLContext)?,
        responder: any ProviderResponder
    ) -> any Service {
        let limits = ConnectionLimits(
            handshake: TimeAmount(configuration.handshakeTimeout), idle: TimeAmount(configuration.idleTimeout),
            header: TimeAmount(configuration.headerTimeout), body: TimeAmount(configuration.bodyTimeout),
            isTLS: tls != nil, connections: connections,
            metrics: metrics, logger: logger, refusals: RefusalLog())
        let listener = ProviderListener(
            channel: ProviderChannel(
                configuration: configuration, tls: tls, open: open, limits: limits, responder: responder),
            connections: connections, address: address, shortage: shortage,
            onRunning: { [self] in running($0, address, endpoint) })
        return Listener(server: listener, address: address, endpoint: endpoint)
    }

    private func plain(
        _ responder: PlainResponder, _ address: ListenAddress, _ endpoint: BoundPorts.Endpoint
    ) -> any Service {
        // Not among those of the provider: whoever asks how it is must be answered when it has as many as there may be.
        let connections = IdleConnections(maximum: configuration.maximumPlainConnections)
        let time = TimeAmount(configuration.plainTimeout)
        let limits = ConnectionLimits(
            handshake: time, idle: time, header: time, body: time, isTLS: false, connections: connections,
            metrics: metrics, logger: logger, refusals: RefusalLog())
        let open = NewestConnections(
            maximum: configuration.maximumPlainConnections, reserve: reserve, metrics: metrics)
        let listener = ProviderListener(
            channel: ProviderChannel(
                configuration: configuration, tls: nil, open: open, limits: limits, responder: responder),
            connections: connections, address: address, shortage: shortage, relief: { open.makeRoom() },
            onRunning: { [self] in running($0, address, endpoint) })
        return Listener(server: listener, address: address, endpoint: endpoint)
    }

    private func running(_ channel: any Channel, _ address: ListenAddress, _ endpoint: BoundPorts.Endpoint) {
        let port = channel.localAddress?.port ?? address.port
        if endpoint == .provider { state.listening() }
        logger.info(
            "listening", metadata: ["for": "\(endpoint.rawValue)", "address": "\(address)", "port": "\(port)"])
        bound.set(endpoint, port)
    }
}

/// A server whose errors name the address and what it is for.
private struct Listener: Service {
    let server: any Service
    let address: ListenAddress
    let endpoint: BoundPorts.Endpoint

    func run() async throws {
        do { try await server.run() } catch is CancellationError { throw CancellationError() } catch {
            throw ProviderServerError(description: "cannot serve \(endpoint.rawValue) on \(address): \(error)")
        }
    }
}
