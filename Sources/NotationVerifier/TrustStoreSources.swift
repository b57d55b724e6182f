import Notation

/// Which providers fill which trust stores, as `verificationCertStores` says; a store that is not named there takes
/// those of `verificationCerts`, as in Ratify.
package struct TrustStoreSources: Sendable {
    /// A store as the configuration names it: no policy can use a name that is not one.
    package struct Name: Hashable, Sendable {
        let type: TrustStoreType
        let name: String

        /// A name of a type.
        package init(type: TrustStoreType, name: String) {
            self.type = type
            self.name = name
        }
    }

    private let stores: [Name: [String]]
    private let fallback: String?

    /// Providers by store.
    ///
    /// - Parameter fallback: the provider for stores that are not named.
    package init(_ stores: [Name: [String]], fallback: String?) {
        self.stores = stores
        self.fallback = fallback
    }

    /// The names of the providers of a store.
    ///
    /// - Throws: `TrustStoreError` when nothing says what fills it.
    package func providers(_ type: TrustStoreType, _ name: String) throws(TrustStoreError) -> [String] {
        if let providers = stores[Name(type: type, name: name)] { return providers }
        guard let fallback else {
            throw TrustStoreError(
                "there is no trust store \"\(type.rawValue):\(name)\": add it to verificationCertStores, or certificate directories to verificationCerts"
            )
        }
        return [fallback]
    }
}
