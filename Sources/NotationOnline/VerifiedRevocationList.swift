import FoundationEssentials
import Notation
import PKI
import Synchronization

/// A certificate revocation list that its issuer signed and that was not out of date when it came. A list may have a
/// million entries, so what it says of a certificate is looked up once.
final class VerifiedRevocationList: Sendable {
    /// The list.
    let list: RevocationList
    private let found = Mutex<[[UInt8]: [RevocationList.Entry]]>([:])

    /// Verifies a list (trust store and trust policy specification, "Revocation Checking with CRL", steps 1 and 2).
    ///
    /// - Parameter clockSkew: how far the issuer's clock may be ahead.
    init(
        _ list: RevocationList, issuer: Certificate, now: Date, clockSkew: TimeInterval
    ) throws(ValidationFailure) {
        // RFC 5280, section 6.3.3 (b)(1): the list is the issuer's by its name, and (f) and (g) by a key that may sign
        // it.
        guard list.issuer == issuer.subject else {
            throw ValidationFailure(
                "the list is by \"\(list.issuer)\", not by the certificate's issuer \"\(issuer.subject)\"")
        }
        guard issuer.keyUsage?.contains(.cRLSign) != false else {
            throw ValidationFailure(
                "the issuer \"\(issuer.subject)\" may not sign lists: its key usage lacks cRLSign")
        }
        guard !list.signatureAlgorithm.isWeak else {
            throw ValidationFailure("the list is signed with \(list.signatureAlgorithm), which is not accepted")
        }
        guard list.isSigned(by: issuer) else {
            throw ValidationFailure("the list's signature is not by the certificate's issuer \"\(issuer.subject)\"")
        }
        guard let nextUpdate = list.nextUpdate else {
            throw ValidationFailure("the list does not say when it ends (nextUpdate)")
        }
        guard now <= nextUpdate else {
            throw ValidationFailure("the list ended at \(RFC3339.text(nextUpdate)), and no newer one is published")
        }
        // RFC 5280, section 5.1.2.4: thisUpdate is when the list was issued. One of a time to come would outlast every
        // newer one. The reference verifier does not look at it.
        guard list.thisUpdate <= now.addingTimeInterval(clockSkew) else {
            throw ValidationFailure("the list is of a time to come, \(RFC3339.text(list.thisUpdate))")
        }
        // Section 5.2.3: "Conforming CRL issuers MUST NOT use CRLNumber values longer than 20 octets."
        guard list.number.map({ $0.count <= 20 }) ?? true else {
            throw ValidationFailure("the list's number is longer than 20 bytes")
        }
        // RFC 5280, section 5.2. The scope and the base of a delta list are understood, nothing else.
        typealias Identifier = CertificateExtension.Identifier
        if let unknown = list.extensions.first(where: {
            $0.isCritical && $0.oid != Identifier.issuingDistributionPoint && $0.oid != Identifier.deltaCRLIndicator
        }) {
            throw ValidationFailure("the list has the critical extension \(unknown.oid), which is not understood")
        }
        // Section 5.3: whoever's entry it is.
        if let unknown = list.unknownCriticalEntryExtensions.min() {
            throw ValidationFailure(
                "an entry of the list has the critical extension \(unknown), which is not understood")
        }
        self.list = list
    }

    /// When it ends.
    var nextUpdate: Date? { list.nextUpdate }

    /// What it says of a certificate.
    func entries(for certificate: Certificate) throws(ValidationFailure) -> [RevocationList.Entry] {
        if let known = found.withLock({ $0[certificate.serialNumber] }) { return known }
        let entries: [RevocationList.Entry]
        do {
            entries = try list.entries(forSerialNumber: certificate.serialNumber, issuedBy: certificate.issuer)
        } catch { throw ValidationFailure("the list's entry for the certificate cannot be read: \(error)") }
        found.withLock { found in
            if found.count >= 4_096 { found = [:] }
            found[certificate.serialNumber] = entries
        }
        return entries
    }
}
