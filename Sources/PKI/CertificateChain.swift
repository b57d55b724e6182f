/// The checks that hold for every chain of certificates, whatever it is used for. What a profile adds (key sizes,
/// purposes, criticality) and when the certificates must be valid is for who knows the profile.
public enum CertificateChain {
    /// How long a chain may be.
    public static let maximumLength = 32

    /// What is wrong with the links of a chain, leaf first and self-signed root last; empty when nothing is.
    ///
    /// For each certificate the issuer's name must be, byte for byte, the subject of the next one, whose key must have
    /// signed it; the next one must be an authority that may sign certificates, with as many certificates below it as
    /// its path length allows (RFC 5280, section 6.1; intermediates whose subject is their issuer count too, as in the
    /// reference verifier). The last certificate must have signed itself.
    ///
    /// A fault in the names ends the walk, since what follows is not about these certificates any more.
    public static func faults(in certificates: [Certificate]) -> [ChainFault] {
        guard let leaf = certificates.first, let last = certificates.last else {
            return [ChainFault(.empty, subject: "", position: 0)]
        }
        guard certificates.count <= maximumLength else {
            return [ChainFault(.tooLong(certificates.count), subject: leaf.subject.rfc2253, position: 0)]
        }
        var faults: [ChainFault] = []
        for (position, certificate) in certificates.enumerated() {
            func fault(_ problem: ChainFault.Problem) {
                faults.append(ChainFault(problem, subject: certificate.subject.rfc2253, position: position))
            }
            if position > 0 {
                if !certificate.isCA { fault(.notAuthority) }
                if let usage = certificate.keyUsage, !usage.contains(.keyCertSign) { fault(.mayNotSignCertificates) }
                if let allowed = certificate.basicConstraints?.pathLength, allowed < position - 1 {
                    fault(.pathLength(allowed: allowed, found: position - 1))
                }
            }
            guard position + 1 < certificates.count else { break }
            let issuer = certificates[position + 1]
            guard certificate.issuer == issuer.subject else {
                fault(.nameMismatch(issuer: certificate.issuer.rfc2253, next: issuer.subject.rfc2253))
                return faults
            }
            if !certificate.isSigned(by: issuer) { fault(.badSignature(issuer: issuer.subject.rfc2253)) }
        }
        if !last.isSelfSigned {
            faults.append(
                ChainFault(.notSelfSigned, subject: last.subject.rfc2253, position: certificates.count - 1))
        }
        return faults
    }
}

/// What is wrong with a certificate's place in a chain.
public struct ChainFault: Error, Hashable, Sendable, CustomStringConvertible {
    /// The kinds of fault.
    public enum Problem: Hashable, Sendable {
        /// There is no certificate.
        case empty
        /// There are more certificates than are accepted.
        case tooLong(Int)
        /// The issuer's name is not the subject of the next certificate.
        case nameMismatch(issuer: String, next: String)
        /// The next certificate's key did not sign it.
        case badSignature(issuer: String)
        /// It issued a certificate but is not a certificate authority.
        case notAuthority
        /// It issued a certificate but its key usage does not allow that.
        case mayNotSignCertificates
        /// More certificates follow below it than its path length allows.
        case pathLength(allowed: Int, found: Int)
        /// It is the last of the chain but did not sign itself.
        case notSelfSigned
    }

    /// What is wrong.
    public let problem: Problem
    /// The subject of the certificate at fault.
    public let subject: String
    /// Its position in the chain; 0 is the leaf.
    public let position: Int

    init(_ problem: Problem, subject: String, position: Int) {
        self.problem = problem
        self.subject = subject
        self.position = position
    }

    /// What is wrong, for a person.
    public var description: String {
        let name = "certificate #\(position + 1) \"\(subject)\""
        return switch problem {
        case .empty: "the certificate chain is empty"
        case .tooLong(let count):
            "the certificate chain has \(count) certificates; at most \(CertificateChain.maximumLength) are accepted"
        case .nameMismatch(let issuer, let next):
            "\(name) was issued by \"\(issuer)\", but the next certificate of the chain is \"\(next)\""
        case .badSignature(let issuer): "the signature of \(name) is not by the key of its issuer \"\(issuer)\""
        case .notAuthority:
            "\(name) issued another certificate, but its basic constraints do not make it a certificate authority"
        case .mayNotSignCertificates: "\(name) issued another certificate, but its key usage lacks keyCertSign"
        case .pathLength(let allowed, let found):
            "\(name) allows \(allowed) intermediate certificates below it, but the chain has \(found)"
        case .notSelfSigned: "\(name) is the last of the chain, but it is not self-signed"
        }
    }
}
