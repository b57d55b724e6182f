import PKI

/// One rule that a certificate chain must keep whatever the time and whoever is trusted (signature specification,
/// "Certificate Requirements").
public protocol CertificateRule: Sendable {
    /// What in the chain, leaf first, breaks the rule; `nil` when nothing does.
    func violation(in chain: [Certificate]) -> CertificateRuleError?
}

/// Which certificate of a chain breaks which rule.
public struct CertificateRuleError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The subject of the certificate at fault.
    public let subject: String
    /// Its place in the chain: 0 is the leaf.
    public let position: Int
    /// What is wrong with it.
    public let problem: String

    init(_ chain: [Certificate], _ position: Int, _ problem: String) {
        self.subject = chain[position].subject.rfc2253
        self.position = position
        self.problem = problem
    }

    /// Which certificate, and what is wrong with it, for a person.
    public var description: String { "certificate \(position + 1) of the chain (\"\(subject)\"): \(problem)" }
}

/// The certificates that issue others in a chain, with their positions: all but the leaf. A chain of one certificate
/// has none: it "MUST meet Leaf Certificates requirements and ignore Root and Intermediate CA Certificates
/// requirements".
private func authorities(_ chain: [Certificate]) -> [(position: Int, certificate: Certificate)] {
    chain.indices.dropFirst().map { ($0, chain[$0]) }
}

/// Order and completeness: each certificate is issued by the next, the last one by itself and no other one by itself
/// ("Other requirements", items 1 and 2). Names compare by bytes. There is no path building: what is not in order or
/// not part of the chain is a fault.
public struct ChainOrderRule: CertificateRule {
    /// The rule.
    public init() {}

    /// Checks the rule.
    public func violation(in chain: [Certificate]) -> CertificateRuleError? {
        let last = chain.count - 1
        for (position, certificate) in chain.enumerated() where position < last {
            if certificate.isSelfIssued, certificate.isSelfSigned {
                return CertificateRuleError(
                    chain, position,
                    "it is self-signed but not the last one; only the root at the end may be, since the chain must be "
                        + "in order, leaf first")
            }
            let issuer = chain[position + 1]
            guard certificate.issuer == issuer.subject else {
                return CertificateRuleError(
                    chain, position,
                    "its issuer \"\(certificate.issuer)\" is not the next certificate \"\(issuer.subject)\"; the "
                        + "chain must be complete and in order, leaf first")
            }
            guard certificate.isSigned(by: issuer) else {
                return CertificateRuleError(
                    chain, position, "its signature was not made by the next certificate's key")
            }
        }
        guard chain[last].isSelfIssued, chain[last].isSelfSigned else {
            return CertificateRuleError(
                chain, last, "it is not self-signed; the chain must end with its self-signed root certificate")
        }
        return nil
    }
}

/// Signatures on certificates use no broken hash function, the root's own included ("Other requirements", item 3).
public struct CertificateSignatureRule: CertificateRule {
    /// The rule.
    public init() {}

    /// Checks the rule.
    public func violation(in chain: [Certificate]) -> CertificateRuleError? {
        chain.firstIndex { $0.signatureAlgorithm.isWeak }.map { position in
            CertificateRuleError(
                chain, position, "it is signed with \(chain[position].signatureAlgorithm), which is not accepted")
        }
    }
}

/// Basic constraints and path length ("Root and Intermediate CA Certificates", item 1; "Leaf Certificates", item 1).
public struct BasicConstraintsRule: CertificateRule {
    /// The rule.
    public init() {}

    /// Checks the rule.
    public func violation(in chain: [Certificate]) -> CertificateRuleError? {
        if chain[0].isCA {
            return CertificateRuleError(
                chain, 0, "it is a certificate authority by its basic constraints; a signing certificate may not be")
        }
        for (position, certificate) in authorities(chain) {
            guard let constraints = certificate.basicConstraints, constraints.isCA else {
                return CertificateRuleError(
                    chain, position,
                    "it issues a certificate without being a certificate authority by its basic "
                        + "constraints")
            }
            // The reference verifier does not look at this.
            guard constraints.isCritical else {
                return CertificateRuleError(chain, position, "its basic constraints are not marked critical")
            }
            let below = position - 1
            if let limit = constraints.pathLength, limit < below {
                return CertificateRuleError(
                    chain, position, "its path length is \(limit), but \(below) certificate authorities are below it")
            }
        }
        return nil
    }
}

/// Key usage ("Root and Intermediate CA Certificates", item 2; "Leaf Certificates", item 2).
public struct KeyUsageRule: CertificateRule {
    /// Whether the extension must be critical: for code signing it must, for timestamping it should.
    public let mustBeCritical: Bool

    /// The rule for code signing, or for timestamping.
    public init(mustBeCritical: Bool = true) { self.mustBeCritical = mustBeCritical }

    private static let forbidden: [KeyUsage.Usage] = [
        .keyEncipherment, .dataEncipherment, .keyAgreement, .keyCertSign, .cRLSign, .encipherOnly, .decipherOnly,
    ]

    /// Checks the rule.
    public func violation(in chain: [Certificate]) -> CertificateRuleError? {
        for (position, certificate) in chain.enumerated() {
            guard let keyUsage = certificate.keyUsage else {
                return CertificateRuleError(chain, position, "it has no key usage")
            }
            guard keyUsage.isCritical || !mustBeCritical else {
                return CertificateRuleError(chain, position, "its key usage is not marked critical")
            }
            let needed: KeyUsage.Usage = position == 0 ? .digitalSignature : .keyCertSign
            guard keyUsage.contains(needed) else {
                return CertificateRuleError(chain, position, "its key usage does not include \(needed)")
            }
            if position == 0, let usage = Self.forbidden.first(where: keyUsage.contains) {
                return CertificateRuleError(
                    chain, position, "its key usage includes \(usage), which a signing certificate may not have")
            }
        }
        return nil
    }
}

/// Extended key usage of a signing certificate ("Leaf Certificates", item 3). That of the others is not looked at.
public struct CodeSigningPurposeRule: CertificateRule {
    /// The rule.
    public init() {}

    /// The specification's list, and OCSPSigning, which the reference verifier refuses as well. The reference lets
    /// anyExtendedKeyUsage pass; the specification does not.
    private static let forbidden = [
        ExtendedKeyUsage.any, ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth,
        ExtendedKeyUsage.emailProtection, ExtendedKeyUsage.timeStamping, ExtendedKeyUsage.ocspSigning,
    ]

    /// Checks the rule.
    public func violation(in chain: [Certificate]) -> CertificateRuleError? {
        guard let usage = chain[0].extendedKeyUsage, let purpose = Self.forbidden.first(where: usage.contains) else {
            return nil
        }
        return CertificateRuleError(
            chain, 0,
            "its extended key usage includes \(ExtendedKeyUsage.name(of: purpose)), which a signing certificate may "
                + "not have")
    }
}

/// Kind and size of keys ("Leaf Certificates", item 4; "Signature Algorithm Requirements").
///
/// The specification states the sizes for leaves. They are asked of the certificates above as well (2048 bits RSA, 256
/// bits EC), since a chain is as strong as its weakest key; the reference verifier does not ask.
public struct KeyStrengthRule: CertificateRule {
    /// The rule.
    public init() {}

    /// Checks the rule.
    public func violation(in chain: [Certificate]) -> CertificateRuleError? {
        if SigningAlgorithm(key: chain[0].publicKey) == nil {
            return CertificateRuleError(
                chain, 0,
                "its key is \(chain[0].publicKey.kind); a signing key must be RSA with 2048, 3072 or 4096 bits, or EC "
                    + "P-256, P-384 or P-521")
        }
        for (position, certificate) in chain.enumerated() {
            let isStrong: Bool =
                switch certificate.publicKey.kind {
                case .rsa(let bits): bits >= 2048 && Self.hasSmallExponent(certificate.publicKey)
                case .ec(.p256), .ec(.p384), .ec(.p521): true
                case .ec(.other): false
                case .other(let name): name == "Ed25519"
                }
            guard isStrong else {
                return CertificateRuleError(
                    chain, position,
                    "its key (\(certificate.publicKey.kind)) is too weak or of a kind that is not "
                        + "supported")
            }
        }
        return nil
    }

    /// Whether the public exponent is below 2³¹, the most that the reference verifier's cryptography takes.
    private static func hasSmallExponent(_ key: PublicKey) -> Bool {
        guard let exponent = RSAExponent.bytes(of: key.keyBytes) else { return false }
        return exponent.count < 4 || (exponent.count == 4 && exponent[exponent.startIndex] < 0x80)
    }
}

/// Serial numbers are not negative (RFC 5280, section 4.1.2.2).
public struct SerialNumberRule: CertificateRule {
    /// The rule.
    public init() {}

    /// Checks the rule.
    public func violation(in chain: [Certificate]) -> CertificateRuleError? {
        chain.firstIndex { ($0.serialNumber.first ?? 0) >= 0x80 }.map {
            CertificateRuleError(chain, $0, "its serial number is negative")
        }
    }
}
