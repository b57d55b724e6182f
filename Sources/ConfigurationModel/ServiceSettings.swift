import Concurrency

/// What the provider needs to know of the configuration in force.
package struct ServiceSettings: Sendable, Equatable {
    /// How long a verify request may take from its arrival; Ratify's default is 2.9 s.
    package var verificationTimeout: Duration
    /// How long a mutate request may take from its arrival; Ratify's default is 0.95 s.
    package var mutationTimeout: Duration
    /// Request headers that may carry a trace id, the first one present wins.
    package var traceIDHeaderNames: [String]
    /// How many images are worked on at once.
    package var limits: ConcurrencyLimiter.Limits
    /// How many bytes of answers of registries and others may be in memory at once.
    package var maximumDownloadBytes = 64 << 20
    /// How long a verification may stand in for one that a fault prevents; zero: not at all.
    package var staleIfError: Duration
    /// Whether images that run in the cluster are verified before anybody asks.
    package var prewarming: PrewarmingSettings

    /// Settings, by default those of Ratify.
    package init(
        verificationTimeout: Duration = .milliseconds(2900), mutationTimeout: Duration = .milliseconds(950),
        traceIDHeaderNames: [String] = [], limits: ConcurrencyLimiter.Limits = ConcurrencyLimiter.Limits(),
        staleIfError: Duration = .zero, prewarming: PrewarmingSettings = PrewarmingSettings()
    ) {
        self.verificationTimeout = verificationTimeout
        self.mutationTimeout = mutationTimeout
        self.traceIDHeaderNames = traceIDHeaderNames
        self.limits = limits
        self.staleIfError = staleIfError
        self.prewarming = prewarming
    }
}
