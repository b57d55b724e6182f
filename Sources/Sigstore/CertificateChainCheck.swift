import Encoding
import FoundationEssentials
import PKI

/// The step ``VerificationStep/certificateChain``: an authority of the trusted root issued the certificate, and all of
/// the chain was valid at each of the proven times. What time it is now plays no part.
enum CertificateChainCheck {
    /// Finds and verifies the chain.
    ///
    /// - Returns: the chain, leaf first.
    static func verify(
        _ leaf: Certificate, intermediates: [Certificate], root: TrustedRoot, times: [ProvenTime],
        memory: CertificateMemory
    ) throws(CertificateChainError) -> [Certificate] {
        guard !leaf.isCA else {
            throw CertificateChainError(
                .purpose, "the signing certificate is one of an authority: authorities sign certificates, nothing else")
        }
        guard leaf.extendedKeyUsage?.contains(ExtendedKeyUsage.codeSigning) == true else {
            throw CertificateChainError(
                .purpose, "the signing certificate is not for signing code: its extended key usage lacks codeSigning")
        }
        guard leaf.keyUsage?.contains(.digitalSignature) != false else {
            throw CertificateChainError(
                .purpose, "the signing certificate is not for signatures: its key usage lacks digitalSignature")
        }
        var outside: String?
        for authority in root.certificateAuthorities {
            guard let chain = chain(from: leaf, intermediates, to: authority, memory) else { continue }
            if let fault = fault(in: chain, purpose: ExtendedKeyUsage.codeSigning) {
                throw CertificateChainError(.rule, "the chain of the signing certificate: \(fault)")
            }
            if let found = outsideValidity(chain, authority, times) {
                outside = outside ?? found
                continue
            }
            return chain
        }
        if let outside { throw CertificateChainError(.outsideValidity, outside) }
        throw CertificateChainError(
            .unknownAuthority,
            "no authority of the trusted root issued the signing certificate; its issuer is \"\(leaf.issuer)\": take the "
                + "trusted root of the instance that issued it")
    }

    /// The chain to an authority's root, whenever it may have been valid.
    private static func chain(
        from leaf: Certificate, _ intermediates: [Certificate], to authority: CertificateAuthority,
        _ memory: CertificateMemory
    ) -> [Certificate]? {
        if authority.isLinked, leaf.issuer == authority.certificates[0].subject {
            return memory.isSigned(leaf, by: authority.certificates[0]) ? [leaf] + authority.certificates : nil
        }
        guard !intermediates.isEmpty || !authority.isLinked else { return nil }
        let path = CertificateChain.path(
            from: leaf, through: intermediates + authority.certificates, to: [authority.root], at: leaf.notBefore)
        // A certificate that is itself what is trusted has no issuer here.
        return path.flatMap { $0.count > 1 ? $0 : nil }
    }

    private static func outsideValidity(
        _ chain: [Certificate], _ authority: CertificateAuthority, _ times: [ProvenTime]
    ) -> String? {
        for proven in times {
            let moment = UTC.text(proven.time)
            guard authority.validity.contains(proven.time) else {
                return "the signature existed at \(moment); the trusted root has the authority of its certificate "
                    + "\(authority.validity)"
            }
            for (position, certificate) in chain.enumerated() where !certificate.isValid(at: proven.time) {
                return "the signature existed at \(moment), when "
                    + (position == 0 ? "its certificate" : "the certificate \"\(certificate.subject)\" above it")
                    + " was not valid: it is from \(UTC.text(certificate.notBefore)) to \(UTC.text(certificate.notAfter))"
            }
        }
        return nil
    }

    /// The critical extensions that are understood (RFC 5280, section 4.2).
    private static let understood: Set = [
        CertificateExtension.Identifier.keyUsage, CertificateExtension.Identifier.basicConstraints,
        CertificateExtension.Identifier.extendedKeyUsage, CertificateExtension.Identifier.subjectAlternativeName,
    ]

    /// What breaks the rules in a chain whose links are verified, leaf first; nil when nothing does.
    static func fault(in chain: [Certificate], purpose: String) -> String? {
        for (position, certificate) in chain.enumerated() {
            let name = position == 0 ? "the first certificate" : "the certificate \"\(certificate.subject)\""
            if let unknown = certificate.criticalExtensions.first(where: { !understood.contains($0) }) {
                return "\(name) has the critical extension \(unknown), which is not understood"
            }
            // The signature of the last one is its own; nobody relies on it.
            if position + 1 < chain.count, certificate.signatureAlgorithm.isWeak {
                return "\(name) is signed with \(certificate.signatureAlgorithm), which is not secure"
            }
            guard position > 0 else { continue }
            guard certificate.isCA, certificate.keyUsage?.contains(.keyCertSign) != false else {
                return "\(name) issued a certificate and may not"
            }
            if let allowed = certificate.basicConstraints?.pathLength, allowed < position - 1 {
                return "\(name) allows \(allowed) certificates of authorities below it, there are \(position - 1)"
            }
            if let usage = certificate.extendedKeyUsage, !usage.contains(purpose), !usage.contains(ExtendedKeyUsage.any)
            {
                return "\(name) may not issue certificates for \(ExtendedKeyUsage.name(of: purpose))"
            }
        }
        return nil
    }
}
