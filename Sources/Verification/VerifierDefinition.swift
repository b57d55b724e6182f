import KeyManagement
import OCI

/// A verifier as configured, without the certificates that it trusts: these differ between the namespaces that it
/// answers for.
package protocol VerifierDefinition: Sendable {
    /// The certificates in directories of its own; `nil` when it names none. They must be among those that it trusts.
    var directories: (any CertificateProvider)? { get }

    /// The providers that it names and that are not there, each in a sentence.
    func missingProviders(in trusted: TrustedCertificates) -> [String]

    /// What keeps its trust stores from being used now, each in a sentence with what to do.
    func unusableStores(in trusted: TrustedCertificates) -> [String]

    /// What these stores do not find of the artifacts that it judges, each in a sentence with what to do.
    func warnings(about stores: [any ReferrerStore]) -> [String]

    /// The verifier that trusts these certificates.
    ///
    /// - Parameter areProvidersAwaited: whether a missing provider may still come, as custom resources arrive in any
    ///   order. Until it has, the verifier gives no verdict on what it may vouch for.
    func verifier(trusting trusted: TrustedCertificates, areProvidersAwaited: Bool) -> any ArtifactVerifier
}

extension VerifierDefinition {
    /// By default every store finds all.
    package func warnings(about stores: [any ReferrerStore]) -> [String] { [] }
}
