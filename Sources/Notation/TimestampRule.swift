import PKI

/// Extended key usage of a timestamp authority: "the extendedKeyUsage extension MUST be present and MUST be marked as
/// critical. The value MUST contain id-kp-timeStamping only" ("Leaf Certificates", item 3). An authority above that is
/// limited to other purposes cannot give this one, as in the reference verifier.
public struct TimestampingPurposeRule: CertificateRule {
    /// The rule.
    public init() {}

    /// Checks the rule.
    public func violation(in chain: [Certificate]) -> CertificateRuleError? {
        guard let usage = chain[0].extendedKeyUsage, usage.isCritical,
            usage.purposes == [ExtendedKeyUsage.timeStamping]
        else {
            return CertificateRuleError(
                chain, 0, "its extended key usage must be there, critical, and timeStamping alone")
        }
        for (position, certificate) in chain.enumerated().dropFirst() {
            guard let usage = certificate.extendedKeyUsage else { continue }
            guard usage.contains(ExtendedKeyUsage.timeStamping) || usage.contains(ExtendedKeyUsage.any) else {
                return CertificateRuleError(
                    chain, position, "its extended key usage does not allow timeStamping for those below it")
            }
        }
        return nil
    }
}

/// Critical extensions of a timestamp authority's chain are ones that are understood (RFC 5280, section 4.2). The
/// reference verifier has its platform verify this chain, which refuses others; unlike the signing chain, whose other
/// extensions "MUST NOT be evaluated".
public struct UnderstoodExtensionsRule: CertificateRule {
    private typealias Identifier = CertificateExtension.Identifier
    private static let understood: Set = [
        Identifier.keyUsage, Identifier.basicConstraints, Identifier.extendedKeyUsage,
        Identifier.subjectAlternativeName, Identifier.certificatePolicies, Identifier.nameConstraints,
        Identifier.crlDistributionPoints, Identifier.authorityKeyIdentifier, Identifier.subjectKeyIdentifier,
        Identifier.authorityInformationAccess,
    ]

    /// The rule.
    public init() {}

    /// Checks the rule.
    public func violation(in chain: [Certificate]) -> CertificateRuleError? {
        for (position, certificate) in chain.enumerated() {
            if let unknown = certificate.criticalExtensions.first(where: { !Self.understood.contains($0) }) {
                return CertificateRuleError(
                    chain, position, "it has the critical extension \(unknown), which is not understood")
            }
            // Constraints are about the alternative names of those below: without such names there is nothing to check.
            if position > 0, certificate.extensionValue(Identifier.nameConstraints) != nil,
                chain[..<position].contains(where: { $0.extensionValue(Identifier.subjectAlternativeName) != nil })
            {
                return CertificateRuleError(
                    chain, position, "it constrains the names below it, which is not supported here")
            }
        }
        return nil
    }
}
