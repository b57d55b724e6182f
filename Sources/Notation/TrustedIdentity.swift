import Quotation

/// Which identities a trust policy statement trusts (trust store and trust policy specification, "Trusted Identities
/// Constraints").
public enum TrustedIdentities: Sendable {
    /// `*`: whatever certificate chains to the trust stores.
    case any
    /// The listed ones.
    case listed([TrustedIdentity])

    /// Reads the `trustedIdentities` of a statement: at least one, `*` only alone, no overlap.
    init(_ texts: [String]) throws(TrustPolicyError) {
        if texts.contains("*") {
            guard texts.count == 1 else {
                throw TrustPolicyError("the trusted identity \"*\" cannot be combined with others")
            }
            self = .any
            return
        }
        var identities: [TrustedIdentity] = []
        for text in texts { identities.append(try TrustedIdentity(parsing: text)) }
        for (index, identity) in identities.enumerated() {
            for (other, another) in identities.enumerated() where index != other {
                // "they are considered overlapping if there exists a certificate for which multiple DNs evaluate true"
                // (as the reference checks it: one name's attributes are among the other's).
                if let name = identity.subject, let wider = another.subject, name.isSubset(of: wider) {
                    throw TrustPolicyError(
                        "the trusted identities \"\(identity.text)\" and \"\(another.text)\" overlap; keep the wider one"
                    )
                }
            }
        }
        self = .listed(identities)
    }

    /// Why the signing certificate of a chain is not of a trusted identity, `nil` when it is.
    func refusal(of chain: CodeSigningChain) -> ValidationFailure? {
        guard case .listed(let identities) = self else { return nil }
        let subjects = identities.compactMap(\.subject)
        guard !subjects.isEmpty else {
            return ValidationFailure(
                "the trust policy lists no identity of the kind \"\(TrustedIdentity.subjectPrefix)\", the only one that "
                    + "is supported",
                advice: "Add the signer's subject to trustedIdentities: \"x509.subject: C=…, ST=…, O=…\"")
        }
        switch chain.leafName {
        case .failure(let error):
            return ValidationFailure(
                "the signing certificate's subject cannot be compared with identities: \(error)",
                advice:
                    "Sign with a certificate whose subject has a country, a state and an organization, each type once, as identities need"
            )
        case .success(let name):
            guard !subjects.contains(where: { $0.isSubset(of: name) }) else { return nil }
            return ValidationFailure(
                "the signing certificate's subject \"\(chain.leaf.subject.rfc2253)\" matches none of the trusted "
                    + "identities " + identities.map { "\"\($0.text)\"" }.joined(separator: ", "),
                advice:
                    "Sign with a certificate of a trusted identity; or, if this signer is to be trusted, add its subject to trustedIdentities"
            )
        }
    }
}

/// One trusted identity: `x509.subject:` with a distinguished name. Others than `x509.subject` are kept, and match
/// nothing.
public struct TrustedIdentity: Hashable, Sendable {
    static let subjectPrefix = "x509.subject"

    /// The identity as the policy has it.
    public let text: String
    let subject: SubjectName?

    init(parsing text: String) throws(TrustPolicyError) {
        guard !text.isEmpty else { throw TrustPolicyError("a trusted identity is empty") }
        guard let colon = text.utf8.firstIndex(of: UInt8(ascii: ":")) else {
            throw TrustPolicyError(
                "the trusted identity \"\(text.quoted)\" has no \":\"; expected \"x509.subject: C=…, ST=…, O=…\"")
        }
        self.text = text
        guard text[..<colon].utf8.elementsEqual(Self.subjectPrefix.utf8) else {
            subject = nil
            return
        }
        let name = String(text[text.index(after: colon)...])
        guard !name.isEmpty else {
            throw TrustPolicyError("the trusted identity \"\(text.quoted)\" has no name after \":\"")
        }
        do { subject = try SubjectName(parsing: name) } catch { throw error.within("trusted identity") }
    }
}
