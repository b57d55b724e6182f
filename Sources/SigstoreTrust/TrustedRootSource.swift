import KeyManagement
import Sigstore

/// A key management provider of trusted roots of Sigstore (type `sigstore`). It offers neither certificates nor keys
/// for anything else: who is in a trusted root counts for bundles and cosign's signatures alone.
package protocol TrustedRootSource: CertificateProvider {
    /// Verifies by the trusted root in force; nil as long as there is none. It is the same one until the root changes,
    /// so that all who use it share what it remembers of certificates.
    var verifier: BundleVerifier? { get }
}

extension TrustedRootSource {
    package var offersCertificates: Bool { false }
    package var offersKeys: Bool { false }
    package var isReady: Bool { verifier != nil }
}

extension TrustedCertificates {
    /// The verifier by the trusted root of a provider.
    ///
    /// - Throws: ``KeyManagementError`` that names the provider, when there is none of that name, it is of another
    ///   type, or it has no trusted root yet.
    package func bundleVerifier(named name: String) throws(KeyManagementError) -> BundleVerifier {
        guard let provider = provider(named: name) else {
            let sources = providers.filter { $0 is any TrustedRootSource }
            let known = sources.map { "\"\($0.name)\"" }.joined(separator: ", ")
            throw KeyManagementError(
                .missingProvider,
                "there is no key management provider \"\(name)\" of type sigstore"
                    + (known.isEmpty ? "" : "; there are: \(known)"))
        }
        guard let source = provider as? any TrustedRootSource else {
            throw KeyManagementError(
                .configuration,
                "key management provider \"\(name)\" is of type \(provider.type) and has no trusted root of Sigstore; "
                    + "name one of type sigstore")
        }
        guard let verifier = source.verifier else {
            throw KeyManagementError(
                .noTrustedRoot,
                "key management provider \"\(name)\" has no trusted root: \(source.status.error ?? "reason unknown")",
                isConfiguration: source.status.isConfiguration)
        }
        return verifier
    }
}
