import Azure
import Foundation
import OCIRegistry
import Synchronization
import TestSupport
import Testing

@Suite struct ContainerRegistryCredentialsTests {
    @Test func anImageIsResolvedWithATokenForItsRepositoryOnly() async throws {
        try await withAzure { azure in
            let image = azure.azure.registry.putImage("team/app", tag: "v1")
            let exchanges = Mutex<[AzureExchange]>([])
            let observe: AzureObserver = { exchange in exchanges.withLock { $0.append(exchange) } }
            let client = azure.client(
                try azure.credentials(tokens: AzureTokenCache(observe: observe), observe: observe))
            for _ in 0..<3 {
                let found = try await client.resolve(azure.reference(), deadline: soon)
                #expect(found.digest == image.digest)
            }
            #expect(azure.azure.count(azure.azure.tokenPath) == 1)
            #expect(azure.azure.count("/oauth2/exchange") == 1)
            #expect(azure.azure.count("/oauth2/token") == 1)
            // Another repository, another token, from the same refresh token.
            azure.azure.registry.putImage("team/other", tag: "v1")
            _ = try await client.resolve(azure.reference("team/other"), deadline: soon)
            #expect(azure.azure.count("/oauth2/exchange") == 1)
            #expect(azure.azure.count("/oauth2/token") == 2)
            #expect(exchanges.withLock { $0.map(\.fault) } == [nil, nil])
        }
    }

    @Test func aRegistryThatIsNotAnEndpointGetsNoToken() async throws {
        try await withAzure { azure in
            azure.azure.registry.putImage("team/app", tag: "v1")
            let client = azure.client(try azure.credentials(endpoints: []))
            let error = await registryError { try await client.resolve(azure.reference(), deadline: soon) }
            #expect(error?.kind == .unauthorized)
            // On the wire: no identity was asked for, and nothing secret was sent.
            let requests = azure.azure.requests
            #expect(!requests.isEmpty)
            #expect(requests.allSatisfy { $0.path.hasPrefix("/v2/") || $0.path == "/oauth2/token" })
            for request in requests {
                #expect(request.header("Authorization") == nil)
                #expect(!String(decoding: request.body, as: UTF8.self).contains("token="))
            }
        }
    }

    @Test func aRefreshTokenThatIsRefusedIsRenewedOnce() async throws {
        try await withAzure { azure in
            azure.azure.registry.putImage("team/app", tag: "v1")
            let client = azure.client(try azure.credentials())
            _ = try await client.resolve(azure.reference(), deadline: soon)
            azure.azure.revokeRefreshTokens()
            _ = try await client.resolve(azure.reference(), deadline: soon)
            #expect(azure.azure.count("/oauth2/exchange") == 2)
            // Access tokens too: the exchange itself is refused, and gets another one.
            azure.azure.revokeAccessTokens()
            _ = try await azure.credentials(tokens: AzureTokenCache()).credential(
                for: azure.azure.host, repository: "team/app", deadline: soon)
        }
    }

    @Test func anAccessTokenThatIsRefusedIsRenewedOnce() async throws {
        try await withAzure { azure in
            let tokens = AzureTokenCache()
            _ = try await tokens.token(from: azure.workload, for: .containerRegistry, deadline: soon)
            azure.azure.revokeAccessTokens()
            _ = try await azure.credentials(tokens: tokens).credential(
                for: azure.azure.host, repository: "team/app", deadline: soon)
            #expect(azure.azure.count(azure.azure.tokenPath) == 2)
            #expect(azure.azure.count("/oauth2/exchange") == 2)
        }
    }

    @Test func refusalsOfOneRepositoryDoNotMakeEveryCallAskAgain() async throws {
        try await withAzure { azure in
            let credentials = try azure.credentials()
            for _ in 0..<5 {
                let credential = try await credentials.credential(
                    for: azure.azure.host, repository: "team/app", deadline: soon)
                await credentials.credentialRejected(credential, for: azure.azure.host, repository: "team/app")
            }
            #expect(azure.azure.count("/oauth2/exchange") == 2)
        }
    }

    @Test func tokensRotateUnderLoadWithoutAFailure() async throws {
        try await withAzure {
            $0.accessTokenLifetime = 5
            $0.refreshTokenLifetime = 4
            $0.pullTokenLifetime = 3
        } _: { azure in
            let image = azure.azure.registry.putImage("team/app", tag: "v1")
            let client = azure.client(try azure.credentials())
            let reference = try azure.reference()
            // Until every kind of token was replaced at least once: on a busy machine that takes longer.
            let end = soon
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        while azure.azure.count(azure.azure.tokenPath) < 2, .now < end {
                            let found = try await client.resolve(reference, deadline: soon)
                            #expect(found.digest == image.digest)
                            try await Task.sleep(for: .milliseconds(50))
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(azure.azure.count("/oauth2/exchange") >= 2)
            #expect(azure.azure.count(azure.azure.tokenPath) >= 2)
        }
    }

    @Test func aColdStartWithManyImagesNeedsOneExchange() async throws {
        try await withAzure { azure in
            azure.azure.inject(.delay(.milliseconds(300)), path: azure.azure.tokenPath)
            azure.azure.inject(.tooManyRequests(retryAfter: "1"), path: "/oauth2/exchange", count: 1)
            let client = azure.client(try azure.credentials())
            for number in 0..<100 { azure.azure.registry.putImage("team/app\(number)", tag: "v1") }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<100 {
                    let reference = try azure.reference("team/app\(number)")
                    group.addTask { _ = try await client.resolve(reference, deadline: soon) }
                }
                try await group.waitForAll()
            }
            #expect(azure.azure.count(azure.azure.tokenPath) == 1)
            // Once throttled, once answered.
            #expect(azure.azure.count("/oauth2/exchange") == 2)
        }
    }

    @Test func aTokenEndpointThatIsDownIsAPassingFaultThatNamesIt() async throws {
        try await withAzure { azure in
            azure.azure.inject(.status(503), path: azure.azure.tokenPath)
            let client = azure.client(try azure.credentials())
            let error = try #require(
                await registryError { try await client.resolve(azure.reference(), deadline: soon) })
            #expect(error.kind == .unavailable && error.isTransient)
            #expect(error.description.contains("getting a token") && error.description.contains("503"), "\(error)")
            #expect(azure.azure.count("/oauth2/exchange") == 0)
        }
    }

    @Test func throttlingIsNamedAndNotMadeWorse() async throws {
        try await withAzure { azure in
            azure.azure.inject(.tooManyRequests(retryAfter: "300"), path: "/oauth2/exchange")
            let credentials = try azure.credentials()
            for _ in 0..<20 {
                let error = await registryError {
                    try await credentials.credential(
                        for: azure.azure.host, repository: "app", deadline: .now + .seconds(3))
                }
                #expect(error?.kind == .throttled && error?.isTransient == true)
                #expect(error?.retryAfter == .seconds(300))
            }
            // After the first answer nobody asks again before its time.
            #expect(azure.azure.count("/oauth2/exchange") == 1)
        }
    }

    @Test func anIdentityThatIsRefusedIsNoVerdictOnAnImage() async throws {
        try await withAzure { azure in
            azure.azure.change { $0.client = "another" }
            let error = try #require(
                await registryError {
                    try await azure.credentials().credential(
                        for: azure.azure.host, repository: "app", deadline: soon)
                })
            #expect(error.kind == .credentials && error.isTransient)
            #expect(error.description.contains("AADSTS700016"), "\(error)")
        }
    }
}
