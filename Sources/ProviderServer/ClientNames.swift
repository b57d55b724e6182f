import NIOCore
import NIOSSL
import PKI
import Quotation

/// The names of which a client's certificate must have one. A chain to the client authorities says only who issued it,
/// and Gatekeeper's authority may issue other certificates than Gatekeeper's own.
package struct ClientNames: Sendable, Hashable {
    private let names: Set<String>

    /// Names as certificates have them: DNS names of the subject alternative name, or the subject's common name; case
    /// does not count (RFC 4343). `nil` when there is none, or an empty one.
    package init?(_ names: [String]) {
        guard !names.isEmpty, names.allSatisfy({ !$0.isEmpty }) else { return nil }
        self.names = Set(names.map { $0.lowercased() })
    }

    /// Why the client of a connection is none of these; `nil` when it is one.
    package func fault(of channel: any Channel) -> String? {
        guard let certificate = try? channel.pipeline.syncOperations.nioSSL_peerCertificate(),
            let der = try? certificate.toDERBytes()
        else { return "the client has no certificate: \(wanted)" }
        return fault(ofCertificate: der)
    }

    /// Why a certificate is for none of these; `nil` when it is for one.
    func fault(ofCertificate der: [UInt8]) -> String? {
        let certificate: Certificate
        do { certificate = try Certificate(der: der) } catch {
            return "the client's certificate cannot be read: \(wanted)"
        }
        let found = certificate.dnsNames + [certificate.subject.commonName].compactMap { $0 }
        guard !found.contains(where: { names.contains($0.lowercased()) }) else { return nil }
        return "the client's certificate is for \(ClientNames.list(found)): \(wanted)"
    }

    private var wanted: String {
        "only \(names.sorted().map { "\"\($0)\"" }.joined(separator: ", ")) may ask, see --client-name"
    }

    /// Names that somebody else chose, a few of them.
    private static func list(_ names: [String]) -> String {
        var shown: [String] = []
        for text in names.map({ "\"\($0.quoted)\"" }) where !shown.contains(text) { shown.append(text) }
        guard !shown.isEmpty else { return "no name" }
        return shown.prefix(3).joined(separator: ", ") + (shown.count > 3 ? " and \(shown.count - 3) more" : "")
    }
}
