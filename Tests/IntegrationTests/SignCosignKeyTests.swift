import Foundation
import PKI
import Sigstore
import StrictJSON
import TestSupport
import Testing

/// The keys that `countersign sign --cosign-key` signs with beside plain PEM: cosign's encrypted ones, and those of a
/// vault.
@Suite struct SignCosignKeyTests {
    /// Made by PyNaCl and Python's hashlib, with the password "correct horse".
    static let encrypted = """
        -----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----
        eyJrZGYiOnsibmFtZSI6InNjcnlwdCIsInBhcmFtcyI6eyJOIjo2NTUzNiwiciI6
        OCwicCI6MX0sInNhbHQiOiJiTlZDMEQrNFR1emxOT3lvTnlPdGh6YTUyajlJd0V1
        T1NBNEZIMk9ncitRPSJ9LCJjaXBoZXIiOnsibmFtZSI6Im5hY2wvc2VjcmV0Ym94
        Iiwibm9uY2UiOiI5cEVJbllLd2YrQTNKbXN1NnFxY0pGaExKTmZUOUVVOSJ9LCJj
        aXBoZXJ0ZXh0IjoidWdJK0tUWk1RTU5mUVV1S0JrTUtScmZPNmZIRnpSUzgyMTJa
        MU1sOGJMS3kxZ1NXZkNRRCtuUnE0SUhHdHZwcm93Tkx3c0VNSGF6ZllRbFZoWUxG
        NzZJS3diYWRjeHFiNmlWUldPcERTMDdTYmYvWENEVVByN3VzUTBxQ25oTXRsRFIr
        Ym5KSFNBS042bVNmU2ZKTkFXa0p3Nm53T3hMWTVTa29XWk1uTUdNU1FiLytlbzdj
        ak5iK3RlVmQyakdQTDV2YlhLZDF2bmZOTFE9PSJ9
        -----END ENCRYPTED SIGSTORE PRIVATE KEY-----
        """
    static let publicKey = """
        -----BEGIN PUBLIC KEY-----
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAESO5LeMkqT8xHYPD9H0HzJz6UJcqD
        l6E9fcHjb50uB6cdpKE1lLoZm45V4Gz2H014AE71Pv2GlIJPQXuywyTCKw==
        -----END PUBLIC KEY-----
        """

    private func withPlace(_ body: (SignCosignTests.Place, PublicKey) async throws -> Void) async throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let place = try await SignCosignTests.Place(
            try Repository("registry.example/app", layout: directory.path("layout")),
            ["--oci-layout", directory.path("layout")])
        defer { place.files.remove() }
        place.files.write(Self.encrypted, to: "cosign.key")
        try await body(place, try PublicKey(pem: Array(Self.publicKey.utf8)))
    }

    @Test func thePasswordComesFromTheEnvironmentOrStandardInput() async throws {
        try await withPlace { place, key in
            let file = place.files.path("cosign.key")
            for (environment, input) in [
                (["COSIGN_PASSWORD": "correct horse"], nil), ([:], "correct horse"), ([:], "correct horse\n"),
                ([:], "correct horse\r\n"), (["COSIGN_PASSWORD": "correct horse"], "another one"),
            ] {
                let run = try await place.sign(key: file, environment: environment, input: input)
                #expect(run.status == 0, "\(run)")
                #expect(!run.description.contains("horse"))
            }
            #expect(try await place.bundles(place.policy(by: key)).map(\.isVerified) == [true, true, true, true, true])
        }
    }

    @Test func withoutItsPasswordNothingIsSigned() async throws {
        try await withPlace { place, key in
            let file = place.files.path("cosign.key")
            for (environment, input, words) in [
                (["COSIGN_PASSWORD": "wrong horse"], nil, "$COSIGN_PASSWORD"),
                // Set and empty is a password, too: standard input is not asked.
                (["COSIGN_PASSWORD": ""], "correct horse", "$COSIGN_PASSWORD"), ([:], nil, "standard input"),
                ([:], "wrong horse", "standard input"), ([:], " correct horse", "standard input"),
                ([:], String(repeating: "x", count: 20_000), "no password"),
            ] as [([String: String], String?, String)] {
                let run = try await place.sign(key: file, environment: environment, input: input)
                #expect(run.status == 2 && run.output.isEmpty, "\(run)")
                #expect(run.errors.contains(words) && !run.description.contains("horse"), "\(run)")
            }
            // A file that would take 128 GiB.
            let block = try #require(try PEM.parse(Array(Self.encrypted.utf8)).first)
            let json = String(decoding: block.der, as: UTF8.self).replacing("65536", with: "134217728")
            place.files.write(PEM(label: block.label, der: Array(json.utf8)).text, to: "hostile.key")
            let run = try await place.sign(
                key: place.files.path("hostile.key"), environment: ["COSIGN_PASSWORD": "correct horse"])
            #expect(run.status == 2 && run.errors.contains("scrypt with N 134217728"), "\(run)")
            #expect(try await place.bundles(place.policy(by: key)).isEmpty)
        }
    }

    /// On a terminal the password is asked for, and not shown.
    @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/script"), "script is not installed"))
    func thePasswordIsTypedUnseen() async throws {
        try await withPlace { place, key in
            let command =
                ([Command.path, "sign", place.app.name(place.image), "--cosign-key", place.files.path("cosign.key")]
                + place.options).map { "'\($0)'" }.joined(separator: " ")
            for (typed, status) in [("correcX\u{7F}t horse\n", Int32(0)), ("wrong\n", 2), ("corr\u{3}", 2)] {
                let process = Process()
                let (input, output) = (Pipe(), Pipe())
                process.executableURL = URL(filePath: "/usr/bin/script")
                process.arguments = ["-qefc", command, "/dev/null"]
                process.environment = Command.environment(home: place.files.path)
                process.standardInput = input
                process.standardOutput = output
                try process.run()
                // Typed when it is asked for: what comes before is thrown away, as by every program that asks.
                var shown = Data()
                while !String(decoding: shown, as: UTF8.self).contains("Password"), process.isRunning {
                    shown += output.fileHandleForReading.availableData
                }
                input.fileHandleForWriting.write(Data(typed.utf8))
                shown += try output.fileHandleForReading.readToEnd() ?? Data()
                process.waitUntilExit()
                let text = String(decoding: shown, as: UTF8.self)
                #expect(process.terminationStatus == status, "\(text)")
                #expect(!text.contains("corr") && !text.contains("wrong\r"), "\(text)")
            }
            #expect(try await place.bundles(place.policy(by: key)).map(\.isVerified) == [true])
        }
    }

    // MARK: Keys of a vault

    private func withVault(
        _ body: (AzureEmulator, SignCosignTests.Place, [String: String]) async throws -> Void
    ) async throws {
        let azure = try await AzureEmulator.start()
        do {
            try await withPlace { place, _ in
                let token = place.files.write(AzureEmulator.Settings().assertion, to: "token")
                let environment = azure.workloadEnvironment(tokenFile: token).merging([
                    "AZURE_POD_IDENTITY_AUTHORITY_HOST": azure.url,
                    "SSL_CERT_FILE": place.files.write(azure.authorityPEM, to: "authority.pem"),
                ]) { $1 }
                try await body(azure, place, environment)
            }
        } catch {
            await azure.stop()
            throw error
        }
        await azure.stop()
    }

    private func name(_ azure: AzureEmulator, _ key: String) -> String {
        azure.vaultURL.replacing("https://", with: "azurekms://") + "/" + key
    }

    @Test(arguments: [
        (PublicKey.Kind.rsa(bits: 2048), "RS256"), (.rsa(bits: 3072), "RS384"), (.rsa(bits: 4096), "RS512"),
        (.ec(.p256), "ES256"), (.ec(.p384), "ES384"), (.ec(.p521), "ES512"),
    ])
    func keysOfAVaultSign(kind: PublicKey.Kind, algorithm: String) async throws {
        try await withVault { azure, place, environment in
            let key = try TestKeys.key(kind)
            let version = azure.addKey("release", key)
            for name in [name(azure, "release"), name(azure, "release/\(version)")] {
                let run = try await place.sign(
                    key: name, ["--cosign-format", "both", "-a", "key=\(name.count)"], environment: environment)
                #expect(run.status == 0, "\(run)")
            }
            var policy = BundlePolicy(keys: [try SigningKey(keyVault: key.publicKey)])
            policy.logThreshold = 0
            #expect(try await place.bundles(policy).map(\.isVerified) == [true, true])
            #expect(try await place.layers(policy).map(\.isVerified) == [true, true])
            // The digests went there, to one version of the key, and nothing else of the image.
            let requests = azure.requests.filter { $0.method == "POST" && $0.path.hasSuffix("/sign") }
            #expect(requests.map(\.path) == Array(repeating: "/keys/release/\(version)/sign", count: 4))
            for request in requests {
                let body = try StrictJSON.parse(request.body)
                #expect(body["alg"]?.string == algorithm && body.object?.names.sorted() == ["alg", "value"])
            }
        }
    }

    @Test func whatTheVaultRefusesIsNoSignature() async throws {
        try await withVault { azure, place, environment in
            let key = try PrivateKey.generate(.ec(.p256))
            let version = azure.addKey("release", key)
            let good = name(azure, "release")
            for (name, words) in [
                (name(azure, "other"), "there is none"), (name(azure, "release/0000"), "there is none"),
                (name(azure, ""), "key vault"), ("azurekms://", "azurekms://VAULT/NAME"),
                (good + "/a/b", "azurekms://VAULT/NAME"), ("azurekms:///release", "azurekms://VAULT/NAME"),
                ("azurekms://user@vault/release", "azurekms://VAULT/NAME"), (name(azure, "re%2Flease"), "key vault"),
            ] {
                let run = try await place.sign(key: name, environment: environment)
                #expect(run.status == 2 && run.output.isEmpty, "\(name): \(run)")
                #expect(run.errors.contains(words), "\(name): \(run)")
            }
            let managed = try await place.sign(
                key: good, ["--akv-identity", "managed"], environment: environment)
            #expect(managed.status == 0, "\(managed)")
            azure.setEnabled(version, false)
            let disabled = try await place.sign(key: good, environment: environment)
            #expect(disabled.status == 2 && disabled.errors.contains("disabled"), "\(disabled)")
            let misplaced = try await place.sign("--akv-identity", "managed")
            #expect(misplaced.status == 2 && misplaced.errors.contains("azurekms://"), "\(misplaced)")
            var policy = BundlePolicy(keys: [try SigningKey(keyVault: key.publicKey)])
            policy.logThreshold = 0
            #expect(try await place.bundles(policy).map(\.isVerified) == [true])
        }
    }
}
