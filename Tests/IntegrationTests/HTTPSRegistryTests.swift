import Foundation
import HTTP
import OCIRegistry
import StrictJSON
import TestSupport
import Testing

/// Registries over TLS whose certificates are signed by an authority of their own. The address 0.0.0.0 leads to this
/// machine and, unlike 127.0.0.1, is not one that is asked over plain HTTP.
@Suite struct HTTPSRegistryTests {
    /// A registry with `app:v1`, signed, and its authority's certificate in a file.
    private func withSecureRegistry(
        _ body: (FaultyRegistry, _ name: String, _ bundle: String) async throws -> Void
    ) async throws {
        let files = try TemporaryDirectory()
        defer { files.remove() }
        let authority = try CertificateAuthority(name: "registry root")
        let server = try authority.issue(.server("registry", ip: [[0, 0, 0, 0]]))
        let bundle = files.write(authority.certificate.pem, to: "ca.pem")
        var options = FaultyRegistry.Options()
        options.tls = (server.chainPEM, try server.keyPEM)
        try await withRegistry(options) { registry in
            let name = "0.0.0.0:\(registry.port)/app"
            let http = try HTTPClient(
                configuration: HTTPClientConfiguration(extraCABundle: bundle, environment: [:]))
            let app = try Repository(name, destination: RegistryClient(http: http))
            try await app.push("v1", signedBy: try Signers.shared.get().release)
            try await body(registry, app.name("v1"), bundle)
        }
    }

    @Test func anAuthorityOfTheStoresOwn() async throws {
        try await withSecureRegistry { registry, name, bundle in
            var configuration = try ConfigurationText.trustingRelease()
            configuration.stores = [["name": "oras", "caBundle": .string(bundle)]]
            try await withService(configuration) { service in
                expectAdmitted(try await service.verify(name))
                // A blob that would have to be fetched in the clear is not fetched.
                let other = name.replacing(":v1", with: ":v2")
                let app = try Repository(
                    String(name.dropLast(3)),
                    destination: RegistryClient(
                        http: try HTTPClient(
                            configuration: HTTPClientConfiguration(extraCABundle: bundle, environment: [:]))))
                try await app.push("v2", signedBy: try Signers.shared.get().other)
                registry.inject(.redirect(to: "http://0.0.0.0:\(registry.port)"), path: "/v2/app/blobs/*")
                expectDenied(try await service.verify(other), nil, "https to http")
            }
            // Without it nobody knows whom this registry is: that says nothing about the image.
            try await withService(try .trustingRelease()) { service in
                expectFault(try await service.verify(name), nil, "resolving the image", "0.0.0.0:\(registry.port)")
            }
            // A bundle that is not there is a configuration that is not valid.
            configuration.stores = [["name": "oras", "caBundle": .string(bundle + ".gone")]]
            await #expect(throws: (any Error).self) { try await withService(configuration) { _ in } }
        }
    }

    enum WrongCertificate: String, CaseIterable { case expired, ofAnotherHost, notYetValid }

    /// Who answers is not who was asked: that says nothing about the image.
    @Test(arguments: WrongCertificate.allCases)
    func aCertificateThatIsNotGood(wrong: WrongCertificate) async throws {
        let files = try TemporaryDirectory()
        defer { files.remove() }
        let authority = try CertificateAuthority(name: "registry root")
        var template = CertificateTemplate.server("registry", ip: [[0, 0, 0, 0]])
        switch wrong {
        case .expired: template.notAfter = Date(timeIntervalSinceNow: -3600)
        case .notYetValid: template.notBefore = Date(timeIntervalSinceNow: 3600)
        case .ofAnotherHost: template = .server("registry", ip: [[10, 0, 0, 1]])
        }
        let server = try authority.issue(template)
        var options = FaultyRegistry.Options()
        options.tls = (server.chainPEM, try server.keyPEM)
        try await withRegistry(options) { registry in
            var configuration = try ConfigurationText.trustingRelease()
            let bundle = files.write(authority.certificate.pem, to: "ca.pem")
            configuration.stores = [["name": "oras", "caBundle": .string(bundle)]]
            try await withService(configuration) { service in
                let start = ContinuousClock.now
                let answer = try await service.verify("0.0.0.0:\(registry.port)/app:v1")
                expectFault(answer, nil, "resolving the image", "the host's certificate is not accepted")
                #expect(start.duration(to: .now) < .seconds(30), "not tried again and again")
                #expect(registry.requests.isEmpty)
            }
        }
    }

    @Test func anAuthorityFromTheEnvironment() async throws {
        let files = try CommandFiles()
        defer { files.remove() }
        try await withSecureRegistry { _, name, bundle in
            let good = try await Command.run(["verify", name] + files.trust, environment: ["SSL_CERT_FILE": bundle])
            #expect(good.status == 0, "\(good)")
            let bad = try await Command.run(["verify", name] + files.trust)
            #expect(bad.status == 3, "\(bad)")
            #expect(bad.output.lowercased().contains("certificate"), "\(bad)")
        }
    }
}
