import Quotation

/// A fault that says nothing about the image and may be gone in a moment: a timeout, throttling, a registry that is
/// down. With ``isConfiguration`` it lasts until the configuration is mended. It is never a verdict: no cache of ours
/// keeps it, and the provider reports it so that Gatekeeper does not keep it either.
package struct TransientFault: Error, Sendable, Hashable, CustomStringConvertible {
    /// The step that could not be finished.
    package enum Stage: String, Sendable, Hashable {
        case configuration = "configuration"
        case queue = "waiting for a place"
        case resolve = "resolving the image"
        case referrers = "listing signatures"
        case fetch = "fetching a signature"
        case verify = "verifying a signature"
    }

    /// The step in a word, for metrics.
    package var stageName: String {
        switch stage {
        case .configuration: "configuration"
        case .queue: "overloaded"
        case .resolve: "resolve"
        case .referrers: "referrers"
        case .fetch: "fetch"
        case .verify: "verify"
        }
    }

    /// The step.
    package let stage: Stage
    /// The host that was slow or down, when one was involved.
    package let host: String?
    /// What happened, and what to do.
    package let cause: String

    /// Whether it lasts until the configuration is mended: asking again is of no use before.
    package let isConfiguration: Bool

    /// A transient fault.
    package init(stage: Stage, host: String?, cause: String, isConfiguration: Bool = false) {
        self.isConfiguration = isConfiguration
        self.stage = stage
        self.host = host
        self.cause = cause.boundedQuote
    }

    /// There is no configuration to answer with.
    init(_ error: ConfigurationUnavailable) {
        self.init(stage: .configuration, host: nil, cause: error.description)
    }

    /// What to do.
    package var remediation: String {
        isConfiguration
            ? "Mend what the reason names: until then no image can be judged by it" : "Ask again in a moment"
    }

    /// Stage, host and cause in one line.
    package var description: String {
        if let host { "\(stage.rawValue) at \(host): \(cause)" } else { "\(stage.rawValue): \(cause)" }
    }
}
