import Azure
import Foundation
import HTTP
import TestSupport
import Testing

@Suite struct WorkloadIdentityTests {
    @Test func givesATokenForTheScope() async throws {
        try await withAzure { azure in
            let token = try await AzureTokenCache().token(
                from: azure.workload, for: .containerRegistry, deadline: soon)
            #expect(token.lifetime == .seconds(3600))
            #expect(azure.azure.count(azure.azure.tokenPath) == 1)
            #expect("\(token)" == "a token")
        }
    }

    @Test func oneRequestServesAllWhoAsk() async throws {
        try await withAzure { azure in
            azure.azure.inject(.delay(.milliseconds(200)), path: azure.azure.tokenPath)
            let cache = AzureTokenCache()
            let source = try azure.workload
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<50 {
                    group.addTask {
                        _ = try await cache.token(from: source, for: .containerRegistry, deadline: soon)
                    }
                }
                try await group.waitForAll()
            }
            #expect(azure.azure.count(azure.azure.tokenPath) == 1)
        }
    }

    @Test func readsTheFederatedTokenAgainForEachRequest() async throws {
        try await withAzure { azure in
            let source = try azure.workload
            _ = try await source.fetch(.containerRegistry, deadline: soon) { _ in }
            azure.azure.change { $0.assertion = "eyJhbGciOiJub25lIn0.second-service-account-token.signature" }
            let error = await azureError { try await source.fetch(.containerRegistry, deadline: soon) { _ in } }
            #expect(error?.kind == .refused)
            azure.directory.write("eyJhbGciOiJub25lIn0.second-service-account-token.signature", to: "token")
            _ = try await source.fetch(.containerRegistry, deadline: soon) { _ in }
        }
    }

    @Test func renewsAheadOfTheEndInTheBackground() async throws {
        try await withAzure {
            $0.refreshIn = 1
        } _: { azure in
            let cache = AzureTokenCache()
            let source = try azure.workload
            let first = try await cache.token(from: source, for: .containerRegistry, deadline: soon)
            try await Task.sleep(until: first.renewal + .milliseconds(20))
            // Nobody waits for the renewal, nor hears of its failures, as long as the former token is good.
            azure.azure.inject(.status(503), path: azure.azure.tokenPath, count: 1)
            azure.azure.inject(.delay(.milliseconds(500)), path: azure.azure.tokenPath)
            let same = try await cache.token(from: source, for: .containerRegistry, deadline: soon)
            #expect(same.value == first.value)
            var current = same
            let end = soon
            while current.value == first.value, .now < end {
                try await Task.sleep(for: .milliseconds(50))
                current = try await cache.token(from: source, for: .containerRegistry, deadline: soon)
            }
            #expect(current.value != first.value)
            #expect(azure.azure.count(azure.azure.tokenPath) == 3)
        }
    }

    @Test func aRefusalSaysWhatAzureSaysButNeverTheAssertion() async throws {
        try await withAzure { azure in
            azure.directory.write("eyJhbGciOiJub25lIn0.some-other-token-of-a-pod.signature", to: "token")
            let error = try #require(
                await azureError { try await azure.workload.fetch(.containerRegistry, deadline: soon) { _ in } })
            #expect(error.kind == .refused)
            #expect(!error.isTransient)
            #expect(error.code == "invalid_client")
            #expect(error.endpoint == azure.azure.host)
            let text = error.description
            #expect(text.contains("AADSTS700213") && text.contains(azure.settings.client), "\(text)")
            #expect(!text.contains("some-other-token") && !text.contains("\r"), "\(text)")
        }
    }

    @Test(arguments: [(true, AzureError.Kind.throttled), (false, .unavailable)])
    func whatPassesIsTriedAgainAndToldApart(throttles: Bool, kind: AzureError.Kind) async throws {
        let fault = throttles ? RegistryFault.Kind.tooManyRequests(retryAfter: nil) : .status(503)
        try await withAzure { azure in
            azure.azure.inject(fault, path: azure.azure.tokenPath, count: 2)
            let source = try azure.workload
            _ = try await source.fetch(.containerRegistry, deadline: soon) { _ in }
            #expect(azure.azure.count(azure.azure.tokenPath) == 3)
            azure.azure.inject(fault, path: azure.azure.tokenPath)
            let error = try #require(
                await azureError { try await source.fetch(.containerRegistry, deadline: soon) { _ in } })
            #expect(error.kind == kind && error.isTransient)
            #expect(error.description.hasPrefix(azure.azure.host), "\(error)")
        }
    }

    @Test func whoCannotWaitHearsOfTheThrottling() async throws {
        try await withAzure { azure in
            azure.azure.inject(.tooManyRequests(retryAfter: "6"), path: azure.azure.tokenPath, count: 1)
            let cache = AzureTokenCache()
            let source = try azure.workload
            let error = await azureError {
                try await cache.token(from: source, for: .containerRegistry, deadline: .now + .seconds(4))
            }
            #expect(error?.kind == .throttled, "\(String(describing: error))")
            // The work went on for whoever comes next.
            _ = try await cache.token(from: source, for: .containerRegistry, deadline: soon)
            #expect(azure.azure.count(azure.azure.tokenPath) == 2)
        }
    }

    @Test func parametersTakeThePlaceOfTheEnvironment() async throws {
        try await withAzure { azure in
            let source = try WorkloadIdentity(
                clientID: "33333333-3333-3333-3333-333333333333", tenantID: azure.settings.tenant,
                environment: azure.environment, http: azure.http)
            let error = await azureError { try await source.fetch(.containerRegistry, deadline: soon) { _ in } }
            #expect(error?.code == "unauthorized_client")
            azure.azure.change { $0.client = "33333333-3333-3333-3333-333333333333" }
            _ = try await source.fetch(.containerRegistry, deadline: soon) { _ in }
        }
    }

    @Test func namesTheSettingThatIsMissing() async throws {
        try await withAzure { azure in
            for name in ["AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE"] {
                var environment = azure.environment
                environment[name] = nil
                let error = await azureError { try WorkloadIdentity(environment: environment, http: azure.http) }
                #expect(error?.kind == .configuration && error?.description.contains(name) == true)
            }
            var environment = azure.environment
            environment["AZURE_AUTHORITY_HOST"] = "http://login.example/"
            let plain = await azureError { try WorkloadIdentity(environment: environment, http: azure.http) }
            #expect(plain?.kind == .configuration)
            environment = azure.environment
            environment["AZURE_TENANT_ID"] = "../other"
            let path = await azureError { try WorkloadIdentity(environment: environment, http: azure.http) }
            #expect(path?.kind == .configuration)
            environment = azure.environment
            environment["AZURE_FEDERATED_TOKEN_FILE"] = azure.directory.path("missing")
            let file = await azureError {
                try await WorkloadIdentity(environment: environment, http: azure.http).fetch(
                    .containerRegistry, deadline: soon
                ) { _ in }
            }
            #expect(file?.kind == .assertion && file?.isTransient == true)
        }
    }
}
