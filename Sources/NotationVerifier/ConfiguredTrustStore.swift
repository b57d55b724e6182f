import KeyManagement
import Notation
import PKI

/// Trust stores whose certificates come from key management providers.
package struct ConfiguredTrustStore: TrustStore {
    private let sources: TrustStoreSources
    private let trusted: TrustedCertificates
    private let areProvidersAwaited: Bool

    /// Stores that hold what providers have at the moment.
    ///
    /// - Parameter areProvidersAwaited: whether a provider that is not there may still come, as custom resources do in
    ///   any order.
    package init(sources: TrustStoreSources, trusted: TrustedCertificates, areProvidersAwaited: Bool = false) {
        self.sources = sources
        self.trusted = trusted
        self.areProvidersAwaited = areProvidersAwaited
    }

    package func certificates(type: TrustStoreType, named name: String) async throws(TrustStoreError) -> [Certificate] {
        let content = try await content(type: type, named: name)
        guard content.missing.isEmpty else {
            throw TrustStoreError(content.missing.joined(separator: "; "), isTransient: true)
        }
        return content.certificates
    }

    package func content(type: TrustStoreType, named name: String) async throws(TrustStoreError) -> TrustStoreContent {
        let store = "trust store \"\(type.rawValue):\(name)\""
        var content = TrustStoreContent(certificates: [])
        var refusal: String?
        for provider in try sources.providers(type, name) {
            do throws(KeyManagementError) {
                let set = try trusted.certificates(named: provider)
                refusal = refusal ?? set.refusal(in: type)?.problem
                content.certificates += set.certificates
            } catch {
                // A provider that never had certificates may still be fetching them, and a resource that is not there
                // may come; one that is not in the file does not, and a file that is not there is the operator's to
                // mend.
                let isConfiguration = error.isConfiguration && !areProvidersAwaited
                switch error.kind {
                case .noCertificates where isConfiguration:
                    throw TrustStoreError("\(store): \(error)", isTransient: true, isConfiguration: true)
                case .noCertificates: content.missing.append("\(store): \(error)")
                case .missingProvider where areProvidersAwaited:
                    content.missing.append(
                        "\(store): \(error): apply it, or take its name out of verificationCertStores")
                case .missingProvider, .configuration, .unreadable, .noKeys, .noTrustedRoot:
                    throw TrustStoreError(
                        "\(store): \(error)", isTransient: areProvidersAwaited, isConfiguration: isConfiguration)
                }
            }
        }
        if let refusal { throw TrustStoreError("\(store): \(refusal)") }
        guard !content.certificates.isEmpty || !content.missing.isEmpty else {
            throw TrustStoreError("\(store) has no certificates")
        }
        return content
    }
}
