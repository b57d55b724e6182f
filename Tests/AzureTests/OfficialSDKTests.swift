import Foundation
import PKI
import StrictJSON
import TestSupport
import Testing

/// Azure's official Python SDKs accept the emulator: what our own client is tested with is a fair stand-in.
@Suite struct OfficialSDKTests {
    private static let directory = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "AzureSDK")

    /// Runs `check.py`, and gives what it wrote.
    private func run(_ checks: [String], _ azure: Setting, versions: [String] = [], retries: Int = 0) throws -> (
        isGood: Bool, output: String
    ) {
        let python = Self.directory.appending(path: ".venv/bin/python").path()
        try #require(
            FileManager.default.isExecutableFile(atPath: python),
            "the official SDKs are not installed: run Tests/AzureSDK/setup, or make setup-tests")
        let settings: JSONValue = [
            "vault": .string(azure.azure.vaultURL), "authorityHost": .string(azure.azure.host),
            "authority": .string(azure.directory.path("authority.pem")),
            "tokenFile": .string(azure.directory.path("token")), "tenant": .string(azure.settings.tenant),
            "client": .string(azure.settings.client), "versions": .array(versions.map(JSONValue.string)),
            "checks": .array(checks.map(JSONValue.string)), "retries": .number(String(retries)),
        ]
        let process = Process()
        process.executableURL = URL(filePath: python)
        process.arguments = [
            Self.directory.appending(path: "check.py").path(),
            azure.directory.write(settings.bytes, to: "settings.json"),
        ]
        process.environment = ["PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1", "NO_PROXY": "*"]
        let log = azure.directory.write([], to: "log")
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = try FileHandle(forWritingTo: URL(filePath: log))
        process.standardError = process.standardOutput
        try process.run()
        process.waitUntilExit()
        return (process.terminationStatus == 0, try String(contentsOfFile: log, encoding: .utf8))
    }

    @Test func certificatesSecretsKeysAndSignatures() async throws {
        try await withAzure { azure in
            // The SDKs send the federated token as it is in its file.
            azure.directory.write(azure.settings.assertion, to: "token")
            azure.azure.setVaultPageSize(2)
            let signer = try CertificateAuthority(name: "root").intermediate("issuing").issue(.codeSigning("signer"))
            let versions = [
                try azure.azure.addCertificate("release", signer, form: .pem),
                try azure.azure.addCertificate("release", signer, form: .pem),
                try azure.azure.addCertificate("release", signer, form: .pkcs12, isExportable: true),
            ]
            azure.azure.setEnabled(versions[1], false)
            for (name, kind) in [
                ("rsa", PublicKey.Kind.rsa(bits: 2048)), ("p256", .ec(.p256)), ("p384", .ec(.p384)),
                ("p521", .ec(.p521)),
            ] { azure.azure.addKey(name, try TestKeys.key(kind)) }
            let (isGood, output) = try run(["certificates", "secrets", "keys", "refusals"], azure, versions: versions)
            #expect(isGood, "\(output)")
            #expect(output.split(separator: "\n").count { $0.hasSuffix(": ok") } == 4, "\(output)")
            // The dance that our own client does, too: a challenge first, then a token for what it names.
            #expect(azure.azure.requests.contains { $0.path.hasPrefix("/keys/") && $0.header("Authorization") == nil })
        }
    }

    @Test func theyRefuseAnotherAudienceAndWaitWhenThrottled() async throws {
        try await withAzure { azure in
            azure.directory.write(azure.settings.assertion, to: "token")
            let signer = try CertificateAuthority(name: "root").issue(.codeSigning("signer"))
            try azure.azure.addCertificate("release", signer)
            azure.azure.inject(.tooManyRequests(retryAfter: "1"), path: "/secrets/release*", count: 1)
            let throttled = try run(["throttled"], azure, retries: 2)
            #expect(throttled.isGood, "\(throttled.output)")
            let tokens = azure.azure.count(azure.azure.tokenPath)
            azure.azure.challenge(resource: "https://management.azure.com")
            let other = try run(["wrong_audience"], azure)
            #expect(other.isGood, "\(other.output)")
            #expect(azure.azure.count(azure.azure.tokenPath) == tokens)
        }
    }
}
