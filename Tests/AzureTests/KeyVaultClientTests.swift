import Azure
import Foundation
import PKI
import StrictJSON
import TestSupport
import Testing

/// How a vault is asked: the challenge, the token, and what is refused on the way.
@Suite struct KeyVaultClientTests {
    private let signer: Identity

    init() throws {
        signer = try CertificateAuthority(name: "root").intermediate("issuing").issue(.codeSigning("signer"))
    }

    @Test func theChallengeSaysWhatTheTokenIsFor() async throws {
        try await withAzure { azure in
            try azure.azure.addCertificate("release", signer)
            let vault = try azure.vault()
            let release = try KeyVaultObject(name: "release")
            let chain = try await vault.chain(release, version: "", deadline: soon)
            #expect(chain.certificates == signer.chain && chain.isEnabled && !chain.hasPrivateKey)
            _ = try await vault.chain(release, version: chain.version, deadline: soon)
            let asked = azure.azure.requests.filter { $0.path.hasPrefix("/secrets/") }
            // Without a token first, and never again.
            #expect(asked.map { $0.header("Authorization") != nil } == [false, true, true])
            #expect(asked.allSatisfy { $0.query["api-version"] == "7.4" })
            #expect(azure.azure.count(azure.azure.tokenPath) == 1)
        }
    }

    @Test func bothFormsOfSecretsGiveTheChain() async throws {
        try await withAzure { azure in
            for (name, form, isExportable) in [
                ("a", KeyVaultForm.pem, false), ("b", .pem, true), ("c", .pkcs12, false), ("d", .pkcs12, true),
            ] {
                try azure.azure.addCertificate(name, signer, form: form, isExportable: isExportable)
                let chain = try await azure.vault().chain(KeyVaultObject(name: name), version: "", deadline: soon)
                #expect(Set(chain.certificates) == Set(signer.chain), "\(name)")
                #expect(chain.hasPrivateKey == isExportable, "\(name)")
            }
        }
    }

    @Test func aWrongAudienceGetsNoToken() async throws {
        try await withAzure { azure in
            try azure.azure.addCertificate("release", signer)
            for resource in [
                "https://management.example", "https://ocalhost", "https://x.\(azure.azure.host)", "vault",
            ] {
                azure.azure.challenge(resource: resource)
                let error = await azureError {
                    try await azure.vault().chain(KeyVaultObject(name: "release"), version: "", deadline: soon)
                }
                #expect(error?.kind == .refused || resource == "vault" && error?.kind == .malformed, "\(resource)")
                #expect(error?.description.contains("countersign.vault.localhost") == true)
            }
            azure.azure.challenge(tenant: "99999999-9999-9999-9999-999999999999")
            let tenant = await azureError {
                try await azure.vault().chain(KeyVaultObject(name: "release"), version: "", deadline: soon)
            }
            #expect(tenant?.kind == .refused && tenant?.description.contains("tenantID") == true)
            // Not on the wire at all: no token was even asked for.
            #expect(azure.azure.count(azure.azure.tokenPath) == 0)
            #expect(azure.azure.requests.allSatisfy { $0.header("Authorization") == nil })
        }
    }

    @Test func aWithdrawnTokenIsRenewedOnce() async throws {
        try await withAzure { azure in
            try azure.azure.addCertificate("release", signer)
            let vault = try azure.vault()
            let release = try KeyVaultObject(name: "release")
            _ = try await vault.chain(release, version: "", deadline: soon)
            azure.azure.revokeAccessTokens()
            _ = try await vault.chain(release, version: "", deadline: soon)
            #expect(azure.azure.count(azure.azure.tokenPath) == 2)
            azure.azure.inject(.status(401), path: "/secrets/release")
            let error = await azureError { try await vault.chain(release, version: "", deadline: soon) }
            #expect(error != nil && azure.azure.count(azure.azure.tokenPath) <= 3)
        }
    }

    @Test func pagesAreFollowedOnTheVaultOnly() async throws {
        try await withAzure { azure in
            azure.azure.setVaultPageSize(2)
            for _ in 0..<7 { try azure.azure.addCertificate("release", signer) }
            let provider = try azure.provider([KeyVaultObject(name: "release", versionHistoryLimit: 5)])
            await provider.refresh()
            #expect(Set(provider.status.properties.map(\.version)).count == 5)
            #expect(azure.azure.requests.count { $0.query["$skiptoken"] != nil } == 3)
            azure.azure.linkElsewhere("https://localhost:1")
            await provider.refresh()
            #expect(provider.status.error?.contains("another place than the vault") == true)
            #expect(provider.current() != nil)
        }
    }

    /// A list whose rest nobody can find is not a short list: its versions would count as deleted.
    @Test func aLinkThatCannotBeReadIsNotTheEnd() async throws {
        try await withAzure { azure in
            azure.azure.setVaultPageSize(2)
            for _ in 0..<5 { try azure.azure.addCertificate("release", signer) }
            let provider = try azure.provider([KeyVaultObject(name: "release", versionHistoryLimit: 5)])
            for link: JSONValue in [7, true, [], ["href": "x"]] {
                azure.azure.link(by: link)
                await provider.refresh()
                #expect(provider.status.error?.contains("nextLink is") == true, "\(link)")
            }
            azure.azure.link(by: nil)
            await provider.refresh()
            #expect(provider.status.isSuccess)
            #expect(Set(provider.status.properties.map(\.version)).count == 5)
        }
    }

    @Test func whatTheVaultSaysIsInTheError() async throws {
        try await withAzure { azure in
            try azure.azure.addCertificate("release", signer)
            let vault = try azure.vault()
            let release = try KeyVaultObject(name: "release")
            azure.azure.setForbidden("release", true)
            let forbidden = await azureError { try await vault.chain(release, version: "", deadline: soon) }
            #expect(forbidden?.kind == .refused && forbidden?.code == "ForbiddenByRbac")
            #expect(forbidden?.description.contains("Key Vault Secrets User") == true)
            let missing = await azureError {
                try await vault.chain(KeyVaultObject(name: "other"), version: "", deadline: soon)
            }
            #expect(missing?.kind == .missing && missing?.description.contains("SecretNotFound") == true)
            azure.azure.setForbidden("release", false)
            azure.azure.inject(.tooManyRequests(retryAfter: "1"), path: "/secrets/release", count: 1)
            let start = ContinuousClock.now
            _ = try await vault.chain(release, version: "", deadline: soon)
            #expect(ContinuousClock.now - start >= .milliseconds(900))
            azure.azure.inject(.status(503), path: "/secrets/release")
            let down = await azureError {
                try await vault.chain(release, version: "", deadline: .now + .milliseconds(300))
            }
            #expect(
                down?.isTransient == true && down?.description.contains("503") == true, "\(String(describing: down))")
        }
    }

    @Test func aClockThatIsWrongChangesNothing() async throws {
        for skew in [-90_000, 90_000] {
            try await withAzure {
                $0.clockSkew = skew
            } _: { azure in
                try azure.azure.addCertificate("release", signer)
                let tokens = AzureTokenCache()
                for _ in 0..<2 {
                    _ = try await azure.vault(tokens: tokens).chain(
                        KeyVaultObject(name: "release"), version: "", deadline: soon)
                }
                #expect(azure.azure.count(azure.azure.tokenPath) == 1)
            }
        }
    }

    @Test func namesThatAVaultCannotHaveAreRefused() async throws {
        for name in ["", "a/b", "../x", "a b", "ä", String(repeating: "a", count: 128)] {
            #expect(throws: AzureError.self) { try KeyVaultObject(name: name) }
        }
        #expect(throws: AzureError.self) { try KeyVaultObject(name: "a", version: "1/2") }
        #expect(throws: AzureError.self) { try KeyVaultObject(name: "a", versionHistoryLimit: -1) }
        try await withAzure { azure in
            for uri in [
                "http://countersign.vault.azure.net", "https://x.vault.azure.net/secrets", "x.vault.azure.net",
                "https://a@x.vault.azure.net", "https://x.vault.azure.net/?a",
            ] {
                #expect(throws: AzureError.self) { try azure.vault(uri) }
            }
        }
    }
}
