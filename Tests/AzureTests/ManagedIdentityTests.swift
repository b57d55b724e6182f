import Azure
import Foundation
import HTTP
import TestSupport
import Testing

@Suite struct ManagedIdentityTests {
    @Test func asksTheMetadataServiceForTheUserAssignedIdentity() async throws {
        try await withAzure { azure in
            let token = try await azure.managed.fetch(.containerRegistry, deadline: soon) { _ in }
            #expect(token.lifetime == .seconds(3600))
            let request = try #require(azure.azure.requests.first)
            #expect(request.path == AzureEmulator.metadataPath)
            #expect(request.query["client_id"] == azure.settings.client)
        }
    }

    @Test(arguments: [404, 410, 429, 500, 502, 503])
    func triesAgainWhatTheServiceWantsToBeTriedAgain(status: Int) async throws {
        try await withAzure { azure in
            azure.azure.inject(.status(status), path: AzureEmulator.metadataPath, count: 3)
            _ = try await azure.managed.fetch(.containerRegistry, deadline: soon) { _ in }
            #expect(azure.azure.count(AzureEmulator.metadataPath) == 4)
        }
    }

    @Test func anIdentityThatIsNotAssignedIsARefusal() async throws {
        try await withAzure { azure in
            let source = try ManagedIdentity(
                clientID: "another", environment: azure.environment, http: azure.http)
            let error = try #require(
                await azureError { try await source.fetch(.containerRegistry, deadline: soon) { _ in } })
            #expect(error.kind == .refused && !error.isTransient)
            #expect(error.description.contains("Identity not found"), "\(error)")
            #expect(azure.azure.count(AzureEmulator.metadataPath) == 1)
        }
    }

    @Test func theSystemAssignedIdentityHasNoClientID() async throws {
        try await withAzure { azure in
            var environment = azure.environment
            environment["AZURE_CLIENT_ID"] = nil
            let source = try ManagedIdentity(environment: environment, http: azure.http)
            #expect(source.identity.description == "the system-assigned managed identity")
            // The emulator's machine has none.
            let error = await azureError { try await source.fetch(.containerRegistry, deadline: soon) { _ in } }
            #expect(error?.kind == .refused)
            #expect(azure.azure.requests.last?.query["client_id"] == nil)
        }
    }
}
