import ConfigurationModel

/// Gives the configuration that answers for a namespace.
package protocol ConfigurationSource: Sendable {
    /// The snapshot for a namespace's keys, `nil` for keys without one; or why there is none yet.
    func snapshot(for namespace: String?) -> Result<ConfigurationSnapshot, ConfigurationUnavailable>

    /// Changes whenever something changed that a kept decision for a namespace may rest on besides the configuration
    /// itself: the trusted certificates.
    func trustGeneration(for namespace: String?) -> UInt64

    /// How requests are served.
    var settings: ServiceSettings { get }

    /// What a decision for a namespace rests on besides the configuration itself, by content: the same in every replica
    /// with the same trusted certificates. `nil` when decisions cannot be shared.
    func trustFingerprint(for namespace: String?) -> String?

    /// Whether all that is needed to serve is loaded.
    var readiness: Readiness { get async }
}

extension ConfigurationSource {
    /// Nothing to share by.
    package func trustFingerprint(for namespace: String?) -> String? { nil }

    /// The settings of the configuration in force, the usual ones when there is none.
    package var settings: ServiceSettings {
        switch snapshot(for: nil) {
        case .success(let snapshot): snapshot.settings
        case .failure: ServiceSettings()
        }
    }
}

/// Why there is no configuration to answer with.
package struct ConfigurationUnavailable: Error, Sendable, CustomStringConvertible {
    /// What is missing and what to do.
    package let description: String

    /// A reason.
    package init(_ description: String) { self.description = description }
}
