import KeyManagement
import Notation
import PKI

extension CertificateSet {
    /// Why none of these may be in a store of a type: the first that may not, and what is wrong with it; `nil` when all
    /// may. It was judged when the set was made.
    func refusal(in type: TrustStoreType) -> (certificate: Certificate, problem: String)? {
        let suspect = type == .tsa ? firstNonRoot : firstUntrusted
        return suspect.map { certificate in
            let problem = TrustedCertificateRule.refusal(of: certificate, in: type)
            return (certificate, problem ?? "\"\(certificate.subject)\" may not be in a store of type \(type.rawValue)")
        }
    }
}
