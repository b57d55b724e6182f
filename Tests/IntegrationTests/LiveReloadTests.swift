import Foundation
import OCI
import StrictJSON
import Synchronization
import TestSupport
import Testing

/// Configuration and trusted certificates that change while the service runs.
@Suite struct LiveReloadTests {
    /// A layout with one image, signed.
    private func withSigned(_ body: (Repository, ConfigurationText) async throws -> Void) async throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let app = try Repository("registry.example/app", layout: directory.path("layout"))
        try await app.push("v1", signedBy: try Signers.shared.get().release)
        var configuration = try ConfigurationText.trustingRelease()
        configuration.stores = [ConfigurationText.layout(directory.path("layout"))]
        try await body(app, configuration)
    }

    @Test func distrustTakesEffectThoughTheVerdictIsRemembered() async throws {
        try await withSigned { app, configuration in
            try await withService(configuration) { service in
                expectAdmitted(try await service.verify(app.name("v1")))
                var distrust = configuration
                distrust.trustPolicies = [
                    ConfigurationText.statement(identities: ["x509.subject: C=US, ST=WA, O=Someone Else"])
                ]
                try service.write(distrust)
                expectDenied(try await service.verify(app.name("v1")) { !$0.admits() }, nil, "trust")
                #expect(try await service.hasMetric("countersign_configuration_generation 2"))
                // And back.
                try service.write(configuration)
                expectAdmitted(try await service.verify(app.name("v1")) { $0.admits() })
            }
        }
    }

    @Test func aFileThatIsNotValidLeavesTheFormerOneInForce() async throws {
        try await withSigned { app, configuration in
            try await withService(configuration) { service in
                #expect(try await service.hasMetric("countersign_configuration_valid 1"))
                var broken = configuration
                broken.trustPolicies = [ConfigurationText.statement(level: "lenient")]
                for (text, words) in [
                    ("{", "not valid JSON"), (broken.json.text, "lenient"), (#"{"store":{}}"#, "names no store"),
                ] {
                    try service.write(text)
                    #expect(try await service.hasLogged("the former one stays in force", words))
                    #expect(try await service.hasMetric("countersign_configuration_valid 0"))
                    expectAdmitted(try await service.verify(app.name("v1")))
                    #expect(try await service.readiness().status == 200)
                }
                // A file that is gone for a moment is no other configuration either.
                try FileManager.default.removeItem(atPath: service.directory.path("config.json"))
                #expect(try await service.hasLogged("the former one stays in force", "cannot be read"))
                expectAdmitted(try await service.verify(app.name("v1")))
                try service.write(#"{"store":{}}"#)
                #expect(try await service.hasMetric("countersign_configuration_valid 0"))

                var distrust = configuration
                distrust.trustPolicies = [ConfigurationText.statement(scopes: ["registry.example/other"])]
                try service.write(distrust)
                expectDenied(try await service.verify(app.name("v1")) { !$0.admits() }, nil, "registryScopes")
                #expect(try await service.hasMetric("countersign_configuration_valid 1"))
                #expect(try await service.hasMetric("countersign_configuration_generation 2"))
            }
        }
    }

    @Test func aBrokenFileThatComesBackUnchangedIsValidAgain() async throws {
        try await withSigned { app, configuration in
            try await withService(configuration) { service in
                // Broken, or gone, and then what it was.
                for breakIt in [
                    { try service.write("{") },
                    { try FileManager.default.removeItem(atPath: service.directory.path("config.json")) },
                ] {
                    try breakIt()
                    #expect(try await service.hasMetric("countersign_configuration_valid 0"))
                    try service.write(configuration)
                    #expect(try await service.hasMetric("countersign_configuration_valid 1"))
                    expectAdmitted(try await service.verify(app.name("v1")))
                }
            }
        }
    }

    @Test func everyRequestIsAnsweredWhileConfigurationsChange() async throws {
        try await withSigned { app, configuration in
            var distrust = configuration
            distrust.trustPolicies = [ConfigurationText.statement(scopes: ["registry.example/other"])]
            let (trusted, distrusted) = (configuration, distrust)
            try await withService(configuration) { service in
                let isOver = Mutex(false)
                async let asked = {
                    var verdicts: Set<Bool> = []
                    let client = try await service.connect()
                    while !isOver.withLock({ $0 }) {
                        let answer = Answer(try await client.verify([app.name("v1")]), asked: [app.name("v1")])
                        #expect(answer.systemError == nil && answer.items.count == 1, "\(answer)")
                        if let verdict = answer.value()?["isSuccess"]?.bool { verdicts.insert(verdict) }
                    }
                    return verdicts
                }()
                for number in 0..<20 {
                    try service.write(number.isMultiple(of: 2) ? distrusted : trusted)
                    try await Task.sleep(for: .milliseconds(100))
                }
                isOver.withLock { $0 = true }
                #expect(try await asked == [true, false])
                expectAdmitted(try await service.verify(app.name("v1")) { $0.admits() })
            }
        }
    }

    @Test func whatAConfigurationNamesMayComeAfterIt() async throws {
        try await withSigned { app, configuration in
            let directory = try TemporaryDirectory()
            defer { directory.remove() }
            try await withService(configuration) { service in
                var moved = configuration
                moved.stores = [ConfigurationText.layout(directory.path("later"))]
                try service.write(moved)
                #expect(try await service.hasLogged("the former one stays in force", "no image layout"))
                let later = try Repository("registry.example/app", layout: directory.path("later"))
                try await later.push("v2", signedBy: try Signers.shared.get().other)
                expectAdmitted(try await service.verify(app.name("v2")) { $0.admits() })
            }
        }
    }

    /// Both at once: files are looked at every ten seconds.
    @Test func trustedCertificateFilesAreReadAgain() async throws {
        async let changed: Void = trustedCertificateFilesThatChange()
        async let came: Void = trustedCertificateFilesThatCome()
        _ = try await (changed, came)
    }

    private func trustedCertificateFilesThatChange() async throws {
        try await withSigned { app, configuration in
            let files = try TemporaryDirectory()
            defer { files.remove() }
            let signers = try Signers.shared.get()
            files.write(signers.strangerAuthority.certificate.pem, to: "trusted/root.pem")
            var configuration = configuration
            configuration.providers = [
                ["name": "release-ca", "type": "files", "paths": [.string(files.path("trusted"))]]
            ]
            try await withService(configuration) { service in
                expectDenied(try await service.verify(app.name("v1")), nil, "trust")
                files.write(signers.authority.certificate.pem, to: "trusted/root.pem")
                expectAdmitted(try await service.verify(app.name("v1")) { $0.admits() })
                #expect(try await service.hasMetric("countersign_configuration_generation 1"))
                let expiry = Int(signers.authority.certificate.notAfter.timeIntervalSince1970)
                let subject = signers.authority.certificate.subject
                #expect(
                    try await service.hasMetric(
                        #"countersign_trusted_certificate_expiry_seconds{provider="release-ca",subject="\#(subject)"} \#(expiry)"#
                    ))
            }
        }
    }

    private func trustedCertificateFilesThatCome() async throws {
        try await withSigned { app, configuration in
            let files = try TemporaryDirectory()
            defer { files.remove() }
            var configuration = configuration
            configuration.providers = [
                ["name": "release-ca", "type": "files", "paths": [.string(files.path("trusted"))]]
            ]
            try await withService(configuration) { service in
                let reply = try await service.readiness()
                #expect(reply.status == 503)
                #expect(reply.text.contains("release-ca"))
                // Nothing is known about the signer yet: that is no verdict.
                expectFault(try await service.verify(app.name("v1")), nil, "release-ca")
                files.write(try Signers.shared.get().authority.certificate.pem, to: "trusted/root.pem")
                #expect(try await eventually { try await service.readiness().status == 200 })
                expectAdmitted(try await service.verify(app.name("v1")))
            }
        }
    }

    @Test func servingCertificatesAreReplacedWithoutARestart() async throws {
        try await withSigned { app, configuration in
            try await withService(configuration) { service in
                let kept = try await service.connect()
                let before = try await kept.serverSerialNumber
                let renewed = try service.tls.serverAuthority.issue(.server("countersign"))
                service.directory.write(renewed.chainPEM, to: "tls/tls.crt")
                service.directory.write(try renewed.keyPEM, to: "tls/tls.key")
                #expect(try await eventually { try await service.connect().serverSerialNumber != before })
                expectAdmitted(try await service.verify(app.name("v1")))
                let answer = Answer(try await kept.verify([app.name("v1")]), asked: [app.name("v1")])
                expectAdmitted(answer)
            }
        }
    }
}
