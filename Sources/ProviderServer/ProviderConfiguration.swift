/// How the provider serves: addresses, files, limits and times.
package struct ProviderConfiguration: Sendable, Hashable {
    /// Where the main listener is, to which Gatekeeper connects; Ratify's default is `:6001`.
    package var address: ListenAddress
    /// Certificate, key and client authorities; `nil` serves plain HTTP, as Ratify's `serve` does without `--cert-dir`.
    package var certificates: ServingCertificateFiles?
    /// The names of which a client's certificate must have one; `nil` lets in every certificate of the client
    /// authorities.
    package var clientNames: ClientNames?
    /// Where `/healthz` and `/readyz` are; `nil` for nowhere.
    package var healthAddress: ListenAddress?
    /// Where `/metrics` is; `nil` for nowhere.
    package var metricsAddress: ListenAddress?

    /// The longest request body.
    package var maximumBodyBytes = 1 << 20
    /// The most keys in one request.
    package var maximumKeys = 1000
    /// The most bytes of a request's head.
    package var maximumHeaderBytes = 16 << 10
    /// The most fields of a request's head.
    package var maximumHeaderFields = 100

    /// How long a connection without a request stays open. Gatekeeper up to 3.21 never closes one.
    package var idleTimeout: Duration = .seconds(30)
    /// How many connections without a request stay open at once: beyond it the longest idle is closed, so that the
    /// memory they take is bounded whatever the rate of requests.
    package var maximumIdleConnections = 64
    /// How many connections may be open at once, whatever they do. One that is shaking hands takes some 30 kB.
    package var maximumConnections = ProviderConfiguration.usualConnections
    /// The usual number: Gatekeeper asks as many questions at once as it has processors.
    package static let usualConnections = 2048
    /// How many connections to the health listener may be open at once, and how many to the metrics listener: the
    /// oldest makes room.
    package var maximumPlainConnections = 128
    /// How long they stay open without a request, and how long a request may take to come.
    package var plainTimeout: Duration = .seconds(5)
    /// How long a TLS handshake may take.
    package var handshakeTimeout: Duration = .seconds(5)
    /// How long a request's head may take from its first byte.
    package var headerTimeout: Duration = .seconds(5)
    /// How long a request's body may take from the end of the head.
    package var bodyTimeout: Duration = .seconds(5)

    /// How much of the configured verification or mutation timeout is kept for writing the answer.
    package var deadlineMargin: Duration = .milliseconds(50)
    /// How often the certificate files are looked at.
    package var certificateInterval: Duration = .seconds(1)
    /// How long the provider still accepts connections after it was told to stop, while `/readyz` says no: so that
    /// nobody is sent here any more when it does stop.
    package var shutdownDelay: Duration = .zero
    /// How long requests in flight may take after that, before they are cut.
    package var shutdownGrace: Duration = .seconds(10)

    /// A configuration with the default limits and times.
    package init(
        address: ListenAddress = ListenAddress(port: 6001), certificates: ServingCertificateFiles? = nil,
        healthAddress: ListenAddress? = ListenAddress(port: 9099),
        metricsAddress: ListenAddress? = ListenAddress(port: 8888)
    ) {
        self.address = address
        self.certificates = certificates
        self.healthAddress = healthAddress
        self.metricsAddress = metricsAddress
    }

    /// Whether clients are asked for a certificate, so that one that is there has been verified.
    package var asksForClientCertificates: Bool { certificates?.clientAuthorities.isEmpty == false }
}
