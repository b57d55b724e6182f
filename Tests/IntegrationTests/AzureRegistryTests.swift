import ConfigurationModel
import CountersignService
import Foundation
import Logging
import OCI
import ServiceMetrics
import StrictJSON
import TestSupport
import Testing

/// A registry of Azure's, from `config.json` and the environment of a pod: the settings are those of a sovereign cloud.
@Suite struct AzureRegistryTests {
    /// An emulator, and what a pod of it would find in its environment.
    private struct Pod {
        let azure: AzureEmulator
        let directory: TemporaryDirectory
        let metrics = MetricsRegistry()
        var environment: [String: String]

        init() async throws {
            azure = try await AzureEmulator.start()
            directory = try TemporaryDirectory()
            environment = azure.workloadEnvironment(
                tokenFile: directory.write(AzureEmulator.Settings().assertion, to: "token"))
        }

        /// Makes the configuration, and uses its store.
        func with(
            _ provider: JSONObject, useHttp: Bool = false, _ body: (any ReferrerStore) async throws -> Void
        ) async throws {
            var text = try ConfigurationText.trustingRelease()
            text.stores = [
                [
                    "name": "oras", "authProvider": .object(provider), "useHttp": .bool(useHttp),
                    "caBundle": .string(directory.write(azure.authorityPEM, to: "authority.pem")),
                ]
            ]
            let builder = ConfigurationBuilder(
                metrics: metrics, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
                environment: environment)
            do {
                let built = try builder.build(text.json.bytes, generation: 1)
                #expect(built.warnings.isEmpty, "\(built.warnings)")
                try await body(try #require(built.snapshot.stores.first))
            } catch {
                await builder.shutdown()
                throw error
            }
            await builder.shutdown()
        }

        var reference: ImageReference {
            get throws { try ImageReference(parsing: "\(azure.host)/team/app:v1") }
        }

        func end() async {
            await azure.stop()
            directory.remove()
        }
    }

    private var soon: ContinuousClock.Instant { .now + .seconds(60) }

    @Test func aWorkloadIdentityPulls() async throws {
        let pod = try await Pod()
        let image = pod.azure.registry.putImage("team/app", tag: "v1")
        try await pod.with(["name": "azureWorkloadIdentity", "endpoints": [.string(pod.azure.host)]]) { store in
            let found = try await store.resolve(pod.reference, deadline: soon)
            #expect(found.digest == image.digest)
        }
        let metrics = pod.metrics.render()
        for name in ["ratify_aad_exchange_duration", "ratify_acr_exchange_duration"] {
            #expect(metrics.contains("\(name)_count{result=\"success\"} 1\n"), "\(metrics)")
        }
        await pod.end()
    }

    @Test func withoutEndpointsOnlyAzuresRegistriesGetATokenOfAnIdentity() async throws {
        let pod = try await Pod()
        pod.azure.registry.putImage("team/app", tag: "v1")
        try await pod.with(["name": "azureWorkloadIdentity"]) { store in
            await #expect(throws: RegistryError.self) { try await store.resolve(pod.reference, deadline: soon) }
        }
        #expect(pod.azure.count(pod.azure.tokenPath) == 0 && pod.azure.count("/oauth2/exchange") == 0)
        await pod.end()
    }

    @Test func aManagedIdentityAsksTheMetadataService() async throws {
        var pod = try await Pod()
        let service = try ScriptedServer { _ in
            [.reply(200, body: #"{"access_token":"of-nobody","expires_in":"3600","token_type":"Bearer"}"#)]
        }
        pod.environment["AZURE_POD_IDENTITY_AUTHORITY_HOST"] = service.url
        try await pod.with([
            "name": "azureManagedIdentity", "clientID": "assigned", "endpoints": [.string(pod.azure.host)],
        ]) { store in
            let error = await #expect(throws: RegistryError.self) {
                try await store.resolve(pod.reference, deadline: soon)
            }
            // The registry does not know that token: a fault of the set-up, no verdict.
            #expect(error?.kind == .credentials && error?.isTransient == true)
        }
        let request = try #require(service.requests.first)
        #expect(request.header("Metadata") == "true" && request.target.contains("client_id=assigned"))
        service.stop()
        await pod.end()
    }

    @Test func whatCannotWorkIsRefusedWithTheMemberOrVariableAtFault() async throws {
        var pod = try await Pod()
        let name: JSONObject = ["name": "azureWorkloadIdentity"]
        let plain = await #expect(throws: ConfigurationError.self) { try await pod.with(name, useHttp: true) { _ in } }
        #expect(plain?.path.hasSuffix(".useHttp") == true)
        let pattern = await #expect(throws: ConfigurationError.self) {
            try await pod.with(["name": "azureWorkloadIdentity", "endpoints": ["*"]]) { _ in }
        }
        #expect(pattern?.path.hasSuffix(".authProvider") == true)
        let other = await #expect(throws: ConfigurationError.self) { try await pod.with(["name": "other"]) { _ in } }
        #expect(other?.problem.contains("azureManagedIdentity") == true)
        pod.environment["AZURE_TENANT_ID"] = nil
        let tenant = await #expect(throws: ConfigurationError.self) { try await pod.with(name) { _ in } }
        #expect(tenant?.problem.contains("AZURE_TENANT_ID") == true)
        await pod.end()
    }
}
