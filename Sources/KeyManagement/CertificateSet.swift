import FoundationEssentials
import PKI
import Synchronization

/// One trusted certificate, with what its provider calls it.
package struct TrustedCertificate: Hashable, Sendable {
    /// The file's name, or the name in a vault; empty where there is no name.
    package let name: String
    /// The version in a vault; empty where there are no versions.
    package let version: String
    /// The certificate.
    package let certificate: Certificate
    /// When the source last told of it, where that is not the same for all its certificates.
    package let lastRefreshed: Date?

    /// A certificate with its name.
    package init(name: String = "", version: String = "", certificate: Certificate, lastRefreshed: Date? = nil) {
        self.name = name
        self.version = version
        self.certificate = certificate
        self.lastRefreshed = lastRefreshed
    }
}

/// A certificate that was offered and is not trusted.
package struct RefusedCertificate: Hashable, Sendable, CustomStringConvertible {
    /// What its provider calls it.
    package let name: String
    /// The version in a vault; empty where there are no versions.
    package let version: String
    /// The certificate.
    package let certificate: Certificate

    /// Why, in the words of a status.
    package static let brief = "refused: neither a certificate authority nor self-signed"

    /// Why, for a person.
    package var description: String {
        let place = name.isEmpty ? "" : version.isEmpty ? "\(name): " : "\(name)/\(version): "
        return
            "\(place)certificate \"\(certificate.subject)\" (SHA-256 \(certificate.sha256Hex)) is neither a certificate "
            + "authority nor self-signed; only those can be trusted, add the root or intermediate that issued it"
    }
}

/// The certificates of a provider at one moment. It never changes, and is never empty: where there is nothing to trust
/// there is no set.
package struct CertificateSet: Sendable {
    /// Different from that of every other set of this process, unless the certificates are the same ones: a cache that
    /// holds results of these certificates has it in its key.
    package let generation: UInt64
    /// The certificates with their names, in the provider's order.
    package let entries: [TrustedCertificate]
    /// The certificates, each once.
    package let certificates: [Certificate]
    /// The first that is neither a certificate authority nor self-signed: it may be in no trust store. `nil` where
    /// ``part(_:)`` has been at work.
    package let firstUntrusted: Certificate?
    /// The first that is no root certificate authority: it may not be in a store of timestamp authorities. This is
    /// found out here, since whether a certificate is self-signed takes a signature check.
    package let firstNonRoot: Certificate?

    /// When the first of them expires.
    package var firstExpiry: Date { certificates.map(\.notAfter).min() ?? .distantPast }

    /// A set that follows another one, with a new generation if its certificates are others; nil when it would be
    /// empty.
    package init?(_ entries: [TrustedCertificate], after last: CertificateSet? = nil) {
        guard !entries.isEmpty else { return nil }
        self.entries = entries
        var seen: Set<Certificate> = []
        certificates = entries.map(\.certificate).filter { seen.insert($0).inserted }
        if let last, last.certificates == certificates {
            generation = last.generation
            (firstUntrusted, firstNonRoot) = (last.firstUntrusted, last.firstNonRoot)
        } else {
            generation = Generation.next()
            firstUntrusted = certificates.first { !$0.isCA && !$0.isSelfSigned }
            firstNonRoot = certificates.first { !$0.isCA || !$0.isSelfSigned }
        }
    }

    /// Parts certificates into those that can be trusted, authorities and self-signed ones, and others.
    ///
    /// A signature is trusted when one of the certificates in its chain is among the trusted ones: a leaf there would
    /// be trusted without its issuer ever being asked (trust store specification, "Trust store").
    package static func part(_ offered: [TrustedCertificate]) -> (
        trusted: [TrustedCertificate], refused: [RefusedCertificate]
    ) {
        var trusted: [TrustedCertificate] = []
        var refused: [RefusedCertificate] = []
        for entry in offered {
            if entry.certificate.isCA || entry.certificate.isSelfSigned {
                trusted.append(entry)
            } else {
                refused.append(
                    RefusedCertificate(name: entry.name, version: entry.version, certificate: entry.certificate))
            }
        }
        return (trusted, refused)
    }
}

/// Numbers that only grow, for this process.
package enum Generation {
    private static let last = Atomic<UInt64>(0)

    /// The next one.
    package static func next() -> UInt64 { last.add(1, ordering: .relaxed).newValue }
}
