import PKI

/// Trust stores whose certificates come from elsewhere: a key management provider, a test.
public struct InMemoryTrustStore: TrustStore {
    private let stores: [TrustStoreName: [Certificate]]

    /// Stores with their certificates.
    ///
    /// - Throws: ``TrustStoreError`` when a store is empty or a certificate may not be in one.
    public init(_ stores: [TrustStoreName: [Certificate]]) throws(TrustStoreError) {
        for (name, certificates) in stores {
            guard !certificates.isEmpty else { throw TrustStoreError("the trust store \(name) has no certificate") }
            for certificate in certificates {
                if let refusal = TrustedCertificateRule.refusal(of: certificate, in: name.type) {
                    throw TrustStoreError("the trust store \(name) cannot be used: \(refusal)")
                }
            }
        }
        self.stores = stores
    }

    /// All certificates of a named store.
    public func certificates(type: TrustStoreType, named name: String) throws(TrustStoreError) -> [Certificate] {
        guard let found = stores.first(where: { $0.key.type == type && $0.key.name.utf8.elementsEqual(name.utf8) })
        else {
            let known = stores.keys.map(\.description).sorted().joined(separator: ", ")
            throw TrustStoreError(
                "there is no trust store \(type.rawValue):\(name); "
                    + (known.isEmpty ? "none is configured" : "configured are \(known)"))
        }
        return found.value
    }
}
