import Foundation
import PKI
import StrictJSON
import TestSupport
import Testing

/// The whole service on Azure's emulator: workload identity, registry and key vault, from `config.json` and the
/// environment of a pod.
@Suite struct KeyVaultServiceTests {
    @Test func fromAFreshStartToTheFirstVerifiedImage() async throws {
        try await withVaultPod { pod in
            try pod.azure.addCertificate("release", pod.signers.release.identity, form: .pkcs12, isExportable: true)
            let image = try await pod.push("v1", signedBy: pod.signers.release)
            let strange = try await pod.push("v2", signedBy: pod.signers.stranger)
            let configuration = pod.configuration(["certificateName": "release"])
            try await withService(configuration, environment: pod.environment) {
                (service: RunningService) in
                #expect(try await eventually { try await service.readiness().status == 200 })
                expectAdmitted(try await service.verify(image))
                expectDenied(try await service.verify(strange))
                #expect(try await service.hasLogged("non-exportable"))
                // Neither a private key nor a token, nor the assertion that got it.
                for secret in ["PRIVATE KEY", "eyJ", "MII"] {
                    #expect(!service.logged.contains { $0.contains(secret) })
                }
                #expect(
                    try await eventually {
                        service.metrics.render().contains(
                            "ratify_akv_certificate_duration_count{certificate_name=\"release\",result=\"success\"}")
                    })
            }
        }
    }

    @Test func aVaultThatIsDownAtTheStartDelaysReadiness() async throws {
        try await withVaultPod { pod in
            try pod.azure.addCertificate("release", pod.signers.release.identity)
            pod.azure.inject(.status(503), path: "/secrets/release")
            let image = try await pod.push("v1", signedBy: pod.signers.release)
            try await withService(pod.configuration(["name": "release"]), environment: pod.environment) {
                (service: RunningService) in
                // The reason arrives when all attempts of the first look have failed.
                #expect(
                    try await eventually {
                        let reply = try await service.readiness()
                        return reply.status == 503 && reply.text.contains("(503)")
                    })
                // A transient fault: no verdict, and nothing remembered.
                for _ in 0..<2 {
                    let start = ContinuousClock.now
                    expectFault(
                        try await service.verify(image), nil, "verifying a signature", "ca:release", "release-ca",
                        "(503)", "trace")
                    #expect(start.duration(to: .now) < .seconds(60))
                }
                pod.azure.clearFaults()
                #expect(try await eventually { try await service.readiness().status == 200 })
                expectAdmitted(try await service.verify(image))
            }
        }
    }

    @Test func aVaultThatIsDownLongerThanTheIntervalTakesNothingAway() async throws {
        try await withVaultPod { pod in
            try pod.azure.addCertificate("release", pod.signers.release.identity)
            let images = [
                try await pod.push("v1", signedBy: pod.signers.release),
                try await pod.push("v2", signedBy: pod.signers.release),
            ]
            try await withService(pod.configuration(["name": "release"]), environment: pod.environment) {
                (service: RunningService) in
                expectAdmitted(try await service.verify(images[0]) { $0.admits() })
                pod.azure.inject(.status(503), path: "/secrets/release")
                #expect(try await service.hasLogged("stays in force", "(503)"))
                #expect(try await service.readiness().status == 200)
                let start = ContinuousClock.now
                expectAdmitted(try await service.verify(images[1]))
                #expect(start.duration(to: .now) < .seconds(60))
                pod.azure.clearFaults()
                #expect(try await service.hasLogged("key vault read"))
            }
        }
    }

    @Test func rotationTrustsOldAndNewTogether() async throws {
        try await withVaultPod { pod in
            let first = try pod.azure.addCertificate("release", pod.signers.release.identity)
            let old = try await pod.push("old", signedBy: pod.signers.release)
            let new = try await pod.push("new", signedBy: pod.signers.stranger)
            let configuration = pod.configuration(["name": "release", "versionHistoryLimit": 2])
            try await withService(configuration, remembers: .zero, environment: pod.environment) {
                (service: RunningService) in
                expectAdmitted(try await service.verify(old) { $0.admits() })
                expectDenied(try await service.verify(new))
                try pod.azure.addCertificate("release", pod.signers.stranger.identity, form: .pkcs12)
                expectAdmitted(try await service.verify(new) { $0.admits() })
                expectAdmitted(try await service.verify(old))
                // Whoever disables the old version ends what it vouches for.
                pod.azure.setEnabled(first, false)
                expectDenied(try await service.verify(old) { $0.denies() })
                expectAdmitted(try await service.verify(new))
            }
        }
    }

    @Test func aConfigurationThatChangesOpensNoGap() async throws {
        try await withVaultPod { pod in
            try pod.azure.addCertificate("release", pod.signers.release.identity)
            let image = try await pod.push("v1", signedBy: pod.signers.release)
            var configuration = pod.configuration(["name": "release"])
            try await withService(configuration, remembers: .zero, environment: pod.environment) {
                (service: RunningService) in
                expectAdmitted(try await service.verify(image) { $0.admits() })
                pod.azure.inject(.status(503), path: "/secrets/release")
                // One that is refused comes between.
                let trustStores = configuration.trustStores
                configuration.trustStores = ["ca": ["release": ["nobody"]]]
                try service.write(configuration)
                #expect(try await service.hasMetric("countersign_configuration_valid 0"))
                configuration.trustStores = trustStores
                configuration.verificationTimeout = 14_000
                try service.write(configuration)
                #expect(try await service.hasMetric("countersign_configuration_generation 2"))
                expectAdmitted(try await service.verify(image))
                #expect(try await service.readiness().status == 200)
            }
        }
    }

    @Test func anAudienceThatIsNotTheVaultsGetsNoToken() async throws {
        try await withVaultPod { pod in
            try pod.azure.addCertificate("release", pod.signers.release.identity)
            pod.azure.challenge(resource: "https://management.azure.com")
            try await withService(pod.configuration(["name": "release"]), environment: pod.environment) {
                (service: RunningService) in
                let isLogged = try await service.hasLogged("countersign.vault.localhost", "management.azure.com")
                let readiness = try await service.readiness()
                #expect(isLogged && readiness.status == 503)
            }
            #expect(pod.azure.count(pod.azure.tokenPath) == 0)
        }
    }

    @Test func whatCannotWorkIsRefusedAtTheMember() async throws {
        try await withVaultPod { pod in
            func problem(_ name: String, _ value: JSONValue?) async -> String {
                var configuration = pod.configuration(["name": "release"])
                guard var provider = configuration.providers[0].object else { return "" }
                provider[name] = value
                configuration.providers = [.object(provider)]
                do {
                    try await withService(configuration, environment: pod.environment) { _ in }
                    return ""
                } catch { return "\(error)" }
            }
            #expect(await problem("vaultURI", nil).contains("vaultURI is missing"))
            #expect(await problem("vaultURI", "http://a.vault.azure.net").contains("https"))
            #expect(await problem("certificates", nil).contains("neither certificates nor keys"))
            #expect(await problem("certificates", [["name": "a/b"]]).contains("certificates[0]"))
            #expect(await problem("refreshInterval", "1ms").contains("refreshInterval"))
            #expect(await problem("identity", "device").contains("workload"))
            #expect(await problem("tenantID", "../other").contains("tenant"))
        }
    }

    @Test func theCommandReadsTheVaultOfAConfiguration() async throws {
        try await withVaultPod { pod in
            try pod.azure.addCertificate("release", pod.signers.release.identity)
            let files = try CommandFiles()
            defer { files.remove() }
            let app = try Repository("registry.test/app", layout: files.path("layout"))
            try await app.push("v1", signedBy: pod.signers.release)
            var configuration = pod.configuration(["name": "release"])
            configuration.stores = [ConfigurationText.layout(files.path("layout"))]
            let config = files.directory.write(configuration.json.bytes, to: "vault.json")
            let verify = ["verify", app.name("v1"), "--config", config]
            let verified = try await Command.run(verify, environment: pod.environment)
            #expect(verified.status == 0, "\(verified)")
            pod.azure.setForbidden("release", true)
            let refused = try await Command.run(verify, environment: pod.environment)
            // Asking again changes nothing: the role must be given first.
            #expect(refused.status == 2 && refused.description.contains("ForbiddenByRbac"), "\(refused)")
        }
    }
}
