/// Whether and how images that run in the cluster are verified before anybody asks (`cache.prewarm`).
package struct PrewarmingSettings: Sendable, Equatable {
    /// Off unless said.
    package var isEnabled: Bool
    /// How many images are verified in a minute at most, by this replica.
    package var ratePerMinute: Int
    /// The namespaces whose pods are left out: those that no constraint covers.
    package var excludedNamespaces: Set<String>
    /// Whether keys are `[namespace]image`, as the multi-tenant template asks.
    package var isByNamespace: Bool

    /// Settings, off.
    package init(
        isEnabled: Bool = false, ratePerMinute: Int = 60, excludedNamespaces: Set<String> = [],
        isByNamespace: Bool = false
    ) {
        self.isEnabled = isEnabled
        self.ratePerMinute = ratePerMinute
        self.excludedNamespaces = excludedNamespaces
        self.isByNamespace = isByNamespace
    }

    /// Reads `cache.prewarm`.
    init(_ section: ConfigurationReader, warnings: inout [String]) throws(ConfigurationError) {
        var section = section
        self.init()
        isEnabled = try section.bool("enabled") ?? false
        if let rate = try section.integer("ratePerMinute", in: 1...60_000) { ratePerMinute = Int(rate) }
        excludedNamespaces = Set(try section.strings("excludeNamespaces") ?? [])
        isByNamespace = try section.bool("byNamespace") ?? false
        warnings += section.unused()
    }

    /// The time between the beginnings of two verifications.
    package var interval: Duration { .seconds(60) / ratePerMinute }
}
