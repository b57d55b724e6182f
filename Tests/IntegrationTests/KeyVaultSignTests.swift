import Foundation
import PKI
import StrictJSON
import TestSupport
import Testing

/// `countersign sign --akv-key` against Azure's emulator, as a process.
@Suite struct KeyVaultSignTests {
    private struct Place {
        let azure: AzureEmulator
        let files: CommandFiles
        let app: Repository
        let environment: [String: String]

        init() async throws {
            azure = try await AzureEmulator.start()
            files = try CommandFiles()
            app = try Repository("registry.test/app", layout: files.path("layout"))
            let token = files.directory.write(AzureEmulator.Settings().assertion, to: "token")
            environment = azure.workloadEnvironment(tokenFile: token).merging([
                "AZURE_POD_IDENTITY_AUTHORITY_HOST": azure.url,
                "SSL_CERT_FILE": files.directory.write(azure.authorityPEM, to: "authority.pem"),
            ]) { $1 }
        }

        func sign(_ arguments: String..., environment changes: [String: String] = [:]) async throws -> Command.Outcome {
            try await Command.run(
                ["sign", app.name("v1"), "--oci-layout", files.path("layout"), "-o", "json"] + arguments,
                environment: environment.merging(changes) { $1 })
        }

        func verifies() async throws -> Bool {
            try await Command.run(
                ["verify", app.name("v1"), "--oci-layout", files.path("layout")] + files.trust
            ).status == 0
        }
    }

    private func withPlace(_ body: (Place) async throws -> Void) async throws {
        let place = try await Place()
        try await place.app.push("v1", content: "signed by a vault")
        do { try await body(place) } catch {
            place.files.remove()
            await place.azure.stop()
            throw error
        }
        place.files.remove()
        await place.azure.stop()
    }

    @Test(arguments: [
        (PublicKey.Kind.rsa(bits: 2048), "PS256"), (.rsa(bits: 3072), "PS384"), (.rsa(bits: 4096), "PS512"),
        (.ec(.p256), "ES256"), (.ec(.p384), "ES384"), (.ec(.p521), "ES512"),
    ])
    func everyAlgorithmSigns(kind: PublicKey.Kind, algorithm: String) async throws {
        try await withPlace { place in
            let signers = try Signers.shared.get()
            let identity = try signers.authority.intermediate("vault issuing").issue(.codeSigning("vault"), key: kind)
            let form: KeyVaultForm = algorithm.hasPrefix("PS") ? .pkcs12 : .pem
            let version = try place.azure.addCertificate("release", identity, form: form)
            let id = "\(place.azure.vaultURL)/certificates/release"
            let format = algorithm.hasSuffix("256") ? "jws" : "cose"
            let signed = try await place.sign("--akv-key", id, "--signature-format", format)
            #expect(signed.status == 0 && signed.json["algorithm"]?.string == algorithm, "\(signed)")
            #expect(try await place.verifies())
            // The digest went there, to the version of the certificate, and nothing else of the envelope.
            let requests = place.azure.requests.filter { $0.method == "POST" && $0.path.hasSuffix("/sign") }
            #expect(requests.map(\.path) == ["/keys/release/\(version)/sign"])
            #expect(try StrictJSON.parse(try #require(requests.first).body)["alg"]?.string == algorithm)
        }
    }

    @Test func aKeyAloneTakesItsChainFromAFile() async throws {
        try await withPlace { place in
            let release = try Signers.shared.get().release.identity
            let version = place.azure.addKey("alone", release.key)
            let key = "\(place.azure.vaultURL)/keys/alone"
            for id in [key, "\(key)/\(version)"] {
                let signed = try await place.sign(
                    "--akv-key", id, "--certificate-chain", place.files.path("release.chain"))
                #expect(signed.status == 0, "\(signed)")
            }
            #expect(try await place.verifies())
            let without = try await place.sign("--akv-key", key)
            #expect(without.status == 2 && without.errors.contains("CertificateNotFound"), "\(without)")
            // A chain of another key is noticed before anything is pushed.
            let other = try await place.sign(
                "--akv-key", key, "--certificate-chain", place.files.path("stranger.chain"))
            #expect(other.status != 0, "\(other)")
        }
    }

    @Test func anotherKeyOfTheSameKindIsNoticed() async throws {
        try await withPlace { place in
            place.azure.addKey("alone", try PrivateKey.generate(.ec(.p256)))
            let signed = try await place.sign(
                "--akv-key", "\(place.azure.vaultURL)/keys/alone", "--certificate-chain",
                place.files.path("other.chain"))
            #expect(signed.status == 1 && signed.errors.contains("the key that signed is another one"), "\(signed)")
            #expect(try await !place.verifies())
        }
    }

    @Test func whatTheVaultRefusesSaysWhatToDo() async throws {
        try await withPlace { place in
            let release = try Signers.shared.get().release.identity
            let version = try place.azure.addCertificate("release", release)
            let id = "\(place.azure.vaultURL)/certificates/release"
            place.azure.setForbidden("release", true)
            let forbidden = try await place.sign("--akv-key", id)
            #expect(forbidden.status == 2 && forbidden.errors.contains("--certificate-chain"), "\(forbidden)")
            let given = try await place.sign("--akv-key", id, "--certificate-chain", place.files.path("release.chain"))
            #expect(given.status == 0, "\(given)")
            place.azure.setForbidden("release", false)
            place.azure.setEnabled(version, false)
            let disabled = try await place.sign("--akv-key", id)
            #expect(disabled.status == 2 && disabled.errors.contains("Disabled"), "\(disabled)")
            place.azure.setEnabled(version, true)
            place.azure.challenge(resource: "https://management.azure.com")
            let audience = try await place.sign("--akv-key", id)
            #expect(audience.status == 2 && audience.errors.contains("no token was sent"), "\(audience)")
            place.azure.challenge()
            let managed = try await place.sign("--akv-key", id, "--akv-identity", "managed")
            #expect(managed.status == 0, "\(managed)")
            #expect(place.azure.count(AzureEmulator.metadataPath) == 1)
            for wrong in ["https://localhost/secrets/release", "http://a/keys/b", "release"] {
                let refused = try await place.sign("--akv-key", wrong)
                #expect(refused.status == 2 && refused.errors.contains("https://VAULT/keys"), "\(refused)")
            }
            let both = try await place.sign("--akv-key", id, "--key", place.files.path("release.key"))
            #expect(both.status != 0 && both.errors.contains("either --key"), "\(both)")
        }
    }
}
