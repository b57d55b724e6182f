import ConfigurationModel
import OCI

/// One configuration, immutable. A request uses the same snapshot from its beginning to its end, even when a new
/// configuration arrives meanwhile.
package struct ConfigurationSnapshot: Sendable {
    /// Grows with each configuration that comes into force.
    package let generation: UInt64
    /// The same in every replica with the same configuration and version of the program; `nil` when its decisions
    /// cannot be shared.
    package let fingerprint: String?
    /// Where images and their signatures are looked up: the first store that has the image serves it.
    package let stores: [any ReferrerStore]
    /// The transport of the stores (https, http or either), which decides the port of a registry without one.
    package let transport: RegistryTransport
    /// Who judges artifacts: each judges every artifact of its types, and speaks for itself alone.
    package let verifiers: [any ArtifactVerifier]
    /// Decides from all outcomes.
    package let policy: any PolicyEnforcer
    /// Deadlines and trace headers.
    package let settings: ServiceSettings
    /// How many artifacts of one image are judged at most.
    package let maximumArtifacts: Int

    /// A snapshot with the given parts.
    package init(
        generation: UInt64, stores: [any ReferrerStore], verifiers: [any ArtifactVerifier],
        policy: any PolicyEnforcer, settings: ServiceSettings, maximumArtifacts: Int = 100,
        fingerprint: String? = nil
    ) {
        self.generation = generation
        self.fingerprint = fingerprint
        self.stores = stores
        let transports = Set(stores.compactMap(\.transport))
        transport = transports.count > 1 ? .either : transports.first ?? .https
        self.verifiers = verifiers
        self.policy = policy
        self.settings = settings
        self.maximumArtifacts = maximumArtifacts
    }
}
