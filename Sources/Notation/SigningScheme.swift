/// A signing scheme ("Signing Scheme" of the Notary Project's specifications).
public enum SigningScheme: String, Hashable, Sendable, CaseIterable {
    /// A user signs with a certificate of their own.
    case x509 = "notary.x509"
    /// A signing authority signs for users, and states when.
    case x509SigningAuthority = "notary.x509.signingAuthority"

    /// The type of the trust stores whose certificates signatures of this scheme must chain to ("Trust Stores").
    public var trustStoreType: TrustStoreType {
        switch self {
        case .x509: .ca
        case .x509SigningAuthority: .signingAuthority
        }
    }
}
