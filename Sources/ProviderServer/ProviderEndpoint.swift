/// A listener of the provider beside the main one: where it is, whom it lets in, and what answers there.
package struct ProviderEndpoint: Sendable {
    /// What a listener is for: in log lines and errors, and where its port is asked for.
    package struct Name: Sendable, Hashable, CustomStringConvertible {
        /// One word.
        package let description: String

        /// A name of one word.
        package init(_ name: String) { description = name }

        /// The main listener.
        package static let provider = Name("provider")
        /// `/healthz` and `/readyz`.
        package static let health = Name("health")
        /// `/metrics`.
        package static let metrics = Name("metrics")
    }

    let name: Name
    let address: ListenAddress
    let responder: any ProviderResponder

    /// A listener. It asks for a client certificate where the main one does, but does not insist: what answers here
    /// must tell callers without one apart by other means.
    package init(_ name: Name, _ address: ListenAddress, _ responder: any ProviderResponder) {
        self.name = name
        self.address = address
        self.responder = responder
    }
}

/// The ports the provider listens on, once it does.
package struct ProviderPorts: Sendable, Hashable {
    /// The port of the main listener.
    package let provider: Int
    private let others: [ProviderEndpoint.Name: Int]

    init(provider: Int, others: [ProviderEndpoint.Name: Int]) {
        self.provider = provider
        self.others = others
    }

    /// The port of another listener; `nil` where there is none.
    package subscript(name: ProviderEndpoint.Name) -> Int? { others[name] }

    /// The port of `/healthz` and `/readyz`.
    package var health: Int? { self[.health] }
    /// The port of `/metrics`.
    package var metrics: Int? { self[.metrics] }
}
