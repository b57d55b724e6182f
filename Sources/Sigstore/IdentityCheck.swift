import PKI
import Quotation

/// The step ``VerificationStep/identity``: the certificate is trusted for what it says, and it says who signed.
enum IdentityCheck {
    /// Finds the identity of the policy that the signer is.
    ///
    /// - Returns: who signed.
    static func verify(
        _ leaf: Certificate, _ identities: [CertificateIdentity]
    ) throws(IdentityError) -> SignerIdentity {
        guard !identities.isEmpty else {
            throw IdentityError(.notConfigured, "the policy names no identity that may have signed")
        }
        let signer = try SignerIdentity(leaf)
        guard !signer.names.isEmpty else {
            throw IdentityError(
                .missing,
                "the signing certificate has no name that identifies a signer: no URI, e-mail address or user name")
        }
        if identities.contains(where: { $0.accepts(signer) }) { return signer }
        let reasons = identities.prefix(3).compactMap { $0.mismatch(signer) }
        throw IdentityError(
            .mismatch,
            identities.count == 1
                ? "the signer is not the one whom the policy names: " + reasons.joined()
                : "the signer \"\(signer.name.quoted)\" is none of the \(identities.count) whom the policy names: "
                    + reasons.joined(separator: "; ") + (identities.count > reasons.count ? "; …" : ""))
    }
}
