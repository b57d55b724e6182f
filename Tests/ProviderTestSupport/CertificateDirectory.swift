import Foundation
import ProviderServer
import TestSupport

/// A directory with `tls.crt`, `tls.key` and the client authority's `ca.crt`.
package final class CertificateDirectory: Sendable {
    package let url: URL
    package let serverAuthority: CertificateAuthority
    package let clientAuthority: CertificateAuthority
    package let server: Identity
    package let client: Identity

    /// A server and a client, each with an authority of its own.
    package init() throws {
        url = FileManager.default.temporaryDirectory.appending(path: "countersign-provider-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        serverAuthority = try CertificateAuthority(name: "server authority")
        clientAuthority = try CertificateAuthority(name: "gatekeeper-ca")
        server = try serverAuthority.issue(.server("countersign"))
        client = try clientAuthority.issue(.client("gatekeeper-webhook-service.gatekeeper-system.svc"))
        try write(server)
        try write("ca.crt", clientAuthority.certificate.pem)
    }

    /// As the provider takes them.
    package var files: ServingCertificateFiles {
        ServingCertificateFiles(directory: url.path, clientAuthorities: [url.path + "/ca.crt"])
    }

    /// Writes a certificate chain and its key.
    package func write(_ identity: Identity) throws {
        try write("tls.crt", identity.chainPEM)
        try write("tls.key", identity.keyPEM)
    }

    /// Writes any text.
    package func write(_ name: String, _ text: String) throws {
        try Data(text.utf8).write(to: url.appending(path: name), options: .atomic)
    }

    deinit { try? FileManager.default.removeItem(at: url) }
}
