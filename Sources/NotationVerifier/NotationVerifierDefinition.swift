import KeyManagement
import Notation
import Quotation
import Verification

/// A verifier of Notary Project signatures as a configuration describes it, but for the certificates that it trusts.
package struct NotationVerifierDefinition: VerifierDefinition {
    /// How revocation is checked.
    package struct Revocation: Sendable {
        let checker: any RevocationChecking
        /// How large the answers may become, while a verifier of this definition lives.
        let wish: RevocationAnswers.Wish?

        /// A checker, and the wish of its settings, if they have one.
        package init(_ checker: any RevocationChecking, wish: RevocationAnswers.Wish? = nil) {
            self.checker = checker
            self.wish = wish
        }
    }

    let name: String
    let type: String
    let artifactTypes: [String]
    let policy: TrustPolicyDocument
    let revocation: Revocation
    let chains: CertificateChainCache
    /// Whether reports hold every validation: for the command line, which alone shows them.
    let keepsDetails: Bool
    /// The trust stores of its policy, and what fills them.
    let uses: [TrustUse]
    package let directories: (any CertificateProvider)?
    private let sources: TrustStoreSources

    /// A definition.
    ///
    /// - Throws: `TrustStoreError` when the policy names a store that nothing fills.
    package init(
        name: String, type: String, artifactTypes: [String], policy: TrustPolicyDocument, sources: TrustStoreSources,
        directories: (any CertificateProvider)?, revocation: Revocation, chains: CertificateChainCache,
        keepsDetails: Bool
    ) throws(TrustStoreError) {
        self.name = name
        self.type = type
        self.artifactTypes = artifactTypes
        self.policy = policy
        self.sources = sources
        self.directories = directories
        self.revocation = revocation
        self.chains = chains
        self.keepsDetails = keepsDetails
        uses = try TrustUse.all(of: policy, verifier: name, from: sources)
    }

    package func missingProviders(in trusted: TrustedCertificates) -> [String] {
        uses.flatMap { use in
            use.providers.filter { trusted.provider(named: $0) == nil }.map { provider in
                "trust store \"\(use.store)\" takes its certificates from \"\(provider.quoted)\", and no key management provider has that name"
            }
        }
    }

    package func unusableStores(in trusted: TrustedCertificates) -> [String] {
        StoreMisfit.all(uses, in: trusted).map(\.sentence)
    }

    package func verifier(trusting trusted: TrustedCertificates, areProvidersAwaited: Bool) -> any ArtifactVerifier {
        NotationVerifier(
            self,
            trustStore: ConfiguredTrustStore(
                sources: sources, trusted: trusted, areProvidersAwaited: areProvidersAwaited))
    }
}
