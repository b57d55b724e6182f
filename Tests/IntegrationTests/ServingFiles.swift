import PKI
import ProviderServer
import TestSupport

/// Certificates to serve with, and Gatekeeper's own.
struct ServingFiles: Sendable {
    let directory: String
    let serverAuthority: CertificateAuthority
    let clientAuthority: CertificateAuthority
    let client: Identity

    /// Writes them below a directory.
    init(in directory: TemporaryDirectory) throws {
        serverAuthority = try CertificateAuthority(name: "provider-ca")
        clientAuthority = try CertificateAuthority(name: "gatekeeper-ca")
        client = try clientAuthority.issue(
            .client("gatekeeper-webhook-service.gatekeeper-system.svc"), key: .rsa(bits: 2048))
        let server = try serverAuthority.issue(.server("countersign"))
        directory.write(server.chainPEM, to: "tls/tls.crt")
        directory.write(try server.keyPEM, to: "tls/tls.key")
        directory.write(clientAuthority.certificate.pem, to: "tls/gatekeeper.crt")
        self.directory = directory.path("tls")
    }

    var files: ServingCertificateFiles {
        ServingCertificateFiles(directory: directory, clientAuthorities: [directory + "/gatekeeper.crt"])
    }

    var gatekeeper: TestClient.Options { TestClient.Options(identity: client, trusting: serverAuthority) }
}
