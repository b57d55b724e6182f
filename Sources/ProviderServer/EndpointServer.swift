import Logging
import NIOCore
import NIOSSL
import ServiceLifecycle
import ServiceMetrics
import Verification

/// Why the provider does not serve: what could not be read or bound, and what to do.
package struct ProviderServerError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The whole text.
    package let description: String

    /// An error with the whole text.
    package init(_ description: String) { self.description = description }
}

/// The whole HTTPS server as one service: its listeners, certificate reload, health and metrics. It knows no protocol:
/// each listener has a ``ProviderResponder``.
///
/// On graceful shutdown `/readyz` fails at once. After ``ProviderConfiguration/shutdownDelay`` no more connections are
/// accepted, requests in flight are answered, and everything closes.
package final class EndpointServer: Service {
    private let configuration: ProviderConfiguration
    private let responder: any ProviderResponder
    private let others: [ProviderEndpoint]
    private let metrics: MetricsRegistry
    private let logger: Logger
    private let certificates: CertificateReloader?
    private let connections: IdleConnections
    private let open: OpenConnections
    private let shortage: AcceptShortage
    private let reserve = ReservedDescriptors(count: 8)
    private let state: ServingState
    private let bound: BoundPorts

    /// A server that does not listen yet. The certificate files are read here, so that unusable ones fail at once.
    ///
    /// - Parameters:
    ///   - responder: the routes of the main listener, at the configuration's own address.
    ///   - others: further listeners.
    ///   - notReadyReason: why the service behind the routes is not ready; `nil` when it is.
    package init(
        configuration: ProviderConfiguration, responder: any ProviderResponder, others: [ProviderEndpoint] = [],
        notReadyReason: @escaping @Sendable () async -> String?, metrics: MetricsRegistry, logger: Logger
    ) throws(ProviderServerError) {
        try EndpointServer.check(configuration)
        self.configuration = configuration
        self.responder = responder
        self.others = others
        self.metrics = metrics
        self.logger = logger
        self.bound = BoundPorts(
            expecting: [.provider] + others.map(\.name)
                + (configuration.healthAddress == nil ? [] : [.health])
                + (configuration.metricsAddress == nil ? [] : [.metrics]))
        if let files = configuration.certificates {
            do {
                certificates = try CertificateReloader(
                    files: files, interval: configuration.certificateInterval, metrics: metrics, logger: logger)
            } catch {
                throw ProviderServerError("the provider has no usable serving certificate: \(error)")
            }
        } else {
            certificates = nil
        }
        state = ServingState(certificates: certificates, service: notReadyReason)
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

    /// Refuses client names without client authorities: the name in a certificate that nobody verified proves nothing.
    private static func check(_ configuration: ProviderConfiguration) throws(ProviderServerError) {
        guard configuration.clientNames == nil || configuration.asksForClientCertificates else {
            throw ProviderServerError(
                "the name of a client certificate says nothing when nobody vouches for it: with --client-name give the authorities of client certificates (--ca-cert-file or --ca-cert-secret)"
            )
        }
    }

    /// The ports, once the provider listens on all of them.
    ///
    /// - Throws: ``ProviderServerError`` when the provider stopped before.
    package var ports: ProviderPorts {
        get async throws { try await bound.all() }
    }

    /// Checks the certificate files now, instead of at the end of the interval.
    package func reloadCertificates() { certificates?.look() }

    /// Serves until graceful shutdown or cancellation.
    package func run() async throws {
        if certificates == nil {
            logger.warning(
                "serving plain HTTP: Gatekeeper only calls providers over TLS, give a certificate directory")
        } else if !configuration.asksForClientCertificates {
            logger.warning("any client is served: give Gatekeeper's CA certificate to ask for its client certificate")
        }
        let group = ServiceGroup(configuration: groupConfiguration())
        // Not a child task: a child would get the graceful shutdown at once, before the delay.
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
            services.append(plain(PlainResponder(health: state), address, .health))
        }
        if let certificates { services.append(certificates) }
        services += others.map { secure($0) { try $0.contextWithOptionalClient } }
        let main = ProviderEndpoint(.provider, configuration.address, responder)
        services.append(secure(main) { try $0.context })
        var quiet = logger
        quiet.logLevel = max(logger.logLevel, .warning)
        var group = ServiceGroupConfiguration(services: services, logger: quiet)
        group.maximumGracefulShutdownDuration = configuration.shutdownGrace
        return group
    }

    /// A TLS listener (plain HTTP without certificates) with the limits and timeouts of the configuration.
    ///
    /// - Parameter context: gets the TLS context for a new connection.
    private func secure(
        _ endpoint: ProviderEndpoint, context: @escaping @Sendable (CertificateReloader) throws -> NIOSSLContext
    ) -> any Service {
        let tls = certificates.map { certificates in { @Sendable in try context(certificates) } }
        let limits = ConnectionLimits(
            handshake: TimeAmount(configuration.handshakeTimeout), idle: TimeAmount(configuration.idleTimeout),
            header: TimeAmount(configuration.headerTimeout), body: TimeAmount(configuration.bodyTimeout),
            isTLS: tls != nil, connections: connections,
            metrics: metrics, logger: logger, refusals: RefusalLog())
        let listener = ProviderListener(
            channel: ProviderChannel(
                configuration: configuration, tls: tls, open: open, limits: limits, responder: endpoint.responder),
            connections: connections, address: endpoint.address, shortage: shortage,
            onRunning: { [self] in running($0, endpoint.address, endpoint.name) })
        return Listener(server: listener, address: endpoint.address, endpoint: endpoint.name)
    }

    private func plain(
        _ responder: PlainResponder, _ address: ListenAddress, _ endpoint: ProviderEndpoint.Name
    ) -> any Service {
        // Counted apart from the main listener's connections: probes must be answered when those are at their limit.
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

    private func running(_ channel: any Channel, _ address: ListenAddress, _ endpoint: ProviderEndpoint.Name) {
        let port = channel.localAddress?.port ?? address.port
        if endpoint == .provider { state.listening() }
        logger.info(
            "listening", metadata: ["for": "\(endpoint)", "address": "\(address)", "port": "\(port)"])
        bound.set(endpoint, port)
    }
}

/// Wraps a listener, so that its errors name the address and the endpoint.
private struct Listener: Service {
    let server: any Service
    let address: ListenAddress
    let endpoint: ProviderEndpoint.Name

    func run() async throws {
        do { try await server.run() } catch is CancellationError { throw CancellationError() } catch {
            throw ProviderServerError("cannot serve \(endpoint) on \(address): \(error)")
        }
    }
}
