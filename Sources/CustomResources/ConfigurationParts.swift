import ConfigurationModel
import KeyManagement
import OCI
import Verification

/// Makes what resources describe. The service composes it (`CountersignService`), and makes a configuration file's
/// parts with it too; this module knows no registry, no vault and no format of signatures.
package protocol ConfigurationParts: Sendable {
    /// Makes a store.
    func store(
        _ plugin: ServiceConfiguration.StorePlugin, warnings: inout [String]
    ) throws(ConfigurationError) -> any ReferrerStore

    /// Makes a source of trusted certificates. It looks at its source while it runs.
    func provider(
        _ plugin: ServiceConfiguration.ProviderPlugin, warnings: inout [String]
    ) throws(ConfigurationError) -> any CertificateProvider

    /// Makes a verifier, but for the certificates that it trusts.
    func verifier(
        _ plugin: ServiceConfiguration.VerifierPlugin, warnings: inout [String]
    ) throws(ConfigurationError) -> any VerifierDefinition

    /// What decisions of a configuration are shared under; `nil` when they cannot be, because replicas may see
    /// different things in one of its stores.
    ///
    /// - Parameter content: all that the configuration says, the same bytes in every replica.
    func fingerprint(of content: [UInt8], stores: [StoreType]) -> String?
}
