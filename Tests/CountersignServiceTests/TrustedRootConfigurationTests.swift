import ConfigurationModel
import Foundation
import KeyManagement
import Logging
import PKI
import ServiceMetrics
import Sigstore
import SigstoreTrust
import StrictJSON
import TUF
import TestSupport
import Testing

@testable import CountersignService

/// Key management providers of type `sigstore`: what their parameters mean, and which are refused. Nobody is asked for
/// anything here.
@Suite struct TrustedRootConfigurationTests {
    private let builder = ConfigurationBuilder(
        metrics: MetricsRegistry(), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
        environment: ["HOME": "/home/somebody"])
    private static let json = String(decoding: TrustedRoot.publicGoodJSON, as: UTF8.self)
    private static let root = String(decoding: ShippedRoot.github.bytes, as: UTF8.self)

    private func make(
        _ parameters: JSONObject, namespace: String? = nil, warnings: inout [String]
    ) throws -> any TrustedRootSource {
        let provider = try builder.provider(
            ServiceConfiguration.ProviderPlugin(
                name: "roots", type: .sigstore, parameters: parameters, path: "spec.parameters", namespace: namespace),
            warnings: &warnings)
        return try #require(provider as? any TrustedRootSource)
    }

    private func made(_ parameters: JSONObject, namespace: String? = nil) throws -> any TrustedRootSource {
        var warnings: [String] = []
        let provider = try make(parameters, namespace: namespace, warnings: &warnings)
        #expect(warnings.isEmpty, "\(warnings)")
        #expect(provider.type == "sigstore" && provider.name == "roots")
        return provider
    }

    private func refusal(_ parameters: JSONObject, namespace: String? = nil) -> String {
        var warnings: [String] = []
        let error = #expect(throws: ConfigurationError.self) {
            try make(parameters, namespace: namespace, warnings: &warnings)
        }
        return error?.description ?? ""
    }

    /// Until it was fetched the trusted root that is compiled in counts: of the public good instance alone.
    @Test func instances() throws {
        for parameters: JSONObject in [
            [:], ["instance": "public-good"], ["instance": "Public-Good", "refreshInterval": "1m"],
            ["instance": "public-good", "tufURL": "https://mirror.example.com/tuf"],
            ["tufURL": "https://mirror.example.com/tuf", "stateDirectory": "/var/lib/tuf"],
            ["instance": .null, "refreshInterval": ""],
        ] {
            let provider = try made(parameters)
            #expect(provider.isReady && provider.verifier?.root.transparencyLogs.count == 2 && !provider.isFixed)
        }
        for parameters: JSONObject in [
            ["instance": "github"], ["instance": "github", "tufURL": "http://127.0.0.1:1/"],
            ["tufRoot": .string(Self.root), "tufURL": "https://tuf.example.com"],
        ] {
            let provider = try made(parameters)
            #expect(!provider.isReady && provider.status == .notRead)
        }
        // Not of any other repository, although its root is the same one.
        let root = String(decoding: ShippedRoot.publicGood.bytes, as: UTF8.self)
        #expect(try !made(["tufRoot": .string(root), "tufURL": "https://tuf.example.com"]).isReady)
    }

    @Test func whatStandsInTheConfiguration() throws {
        let inline = try made(["trustedRoot": .string(Self.json)], namespace: "team-a")
        #expect(inline.isReady && inline.isFixed && inline.status.isSuccess)
        let root = try TrustedRoot.publicGood()
        let authorities = root.certificateAuthorities.flatMap(\.certificates).map(\.pem).joined()
        func keys(_ logs: [TransparencyLog]) -> JSONValue {
            let keys = logs.compactMap { $0.key?.publicKey.spkiDER }
            return .string(keys.map { PEM(label: "PUBLIC KEY", der: $0).text }.joined())
        }
        let own = try made(
            [
                "fulcioCertificates": .string(authorities), "rekorKeys": keys(root.transparencyLogs),
                "ctLogKeys": keys(root.certificateLogs),
                "timestampCertificates": .string(
                    root.timestampAuthorities.flatMap(\.certificates).map(\.pem).joined()),
            ], namespace: "team-a")
        let made = try #require(own.verifier?.root)
        #expect(made.transparencyLogs.map(\.logID).first == root.transparencyLogs.first?.logID)
        #expect(made.certificateLogs.map(\.logID) == root.certificateLogs.map(\.logID))
        #expect(made.timestampAuthorities.map(\.certificates) == root.timestampAuthorities.map(\.certificates))
        #expect(own.isFixed && own.fingerprintParts != inline.fingerprintParts)
        #expect(try self.made(["rekorKeys": keys(root.transparencyLogs)]).isReady)
    }

    @Test func aFile() throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let path = directory.write(Self.json, to: "root.json")
        #expect(try made(["trustedRootFile": .string(path)]).isReady)
        // It may come later.
        let missing = try made(["trustedRootFile": "~/root.json"])
        #expect(missing.status.error?.contains("/home/somebody/root.json") == true, "\(missing.status)")
        #expect(!missing.isReady && missing.status.isConfiguration)
    }

    @Test(
        arguments: [
            (["instance": "gitlab"], "instance is \"gitlab\": known are \"public-good\""),
            (["instance": 7], "instance is a number"),
            (["instance": ""], "instance is empty"),
            (["trustedRoot": " \n"], "trustedRoot is empty"),
            (["trustedRoot": "{}"], "trustedRoot cannot be used: the trusted root cannot be used"),
            (["trustedRoot": "{"], "trustedRoot cannot be used: the trusted root is not JSON"),
            (["trustedRootFile": ""], "trustedRootFile is empty"),
            (
                ["instance": "public-good", "trustedRoot": "{}"],
                "has instance and trustedRoot: a trusted root comes from one"
            ),
            (["trustedRoot": "{}", "trustedRootFile": "/x"], "has trustedRoot and trustedRootFile"),
            (["trustedRoot": "{}", "rekorKeys": "x"], "has trustedRoot and rekorKeys"),
            (["tufURL": "https://tuf.example.com", "ctLogKeys": "x"], "has tufURL and ctLogKeys"),
            (["stateDirectory": "/x", "trustedRootFile": "/x"], "has stateDirectory and trustedRootFile"),
            (["tufRoot": "{}"], "tufURL is missing"),
            (["tufRoot": "{}", "tufURL": "https://tuf.example.com"], "tufRoot cannot be used: TUF role \"root\""),
            (["tufRoot": "{}", "tufURL": "https://tuf.example.com", "instance": "github"], "has instance and tufRoot"),
            (["tufURL": "http://tuf.example.com"], "tufURL cannot be used"),
            (["tufURL": "http://10.0.0.1"], "plain http is for this machine alone"),
            (["tufURL": "ftp://tuf.example.com"], "tufURL cannot be used"),
            (["tufURL": "https://tuf.example.com?a=b"], "has a query"),
            (
                ["refreshInterval": "59s"],
                "refreshInterval is \"59s\": expected a duration such as \"24h\", at least 1m"
            ),
            (["refreshInterval": "0"], "at least 1m"), (["refreshInterval": "daily"], "refreshInterval is \"daily\""),
            (["fulcioCertificates": "x"], "fulcioCertificates cannot be read"),
            (["rekorKeys": "x"], "rekorKeys has no key"),
            (["ctLogKeys": "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n"], "found PRIVATE KEY"),
        ] as [(JSONObject, String)])
    func refused(_ parameters: JSONObject, _ words: String) {
        let refusal = refusal(parameters)
        #expect(refusal.hasPrefix("spec.parameters") && refusal.contains(words), "\(refusal)")
    }

    /// Files, addresses and trust in servers are the cluster's.
    @Test(
        arguments: [
            ["trustedRootFile": "/x"], ["tufURL": "https://tuf.example.com"], ["stateDirectory": "/x"],
            ["tufRoot": "{}", "tufURL": "https://tuf.example.com"], ["caBundle": "/x"],
        ] as [JSONObject])
    func aNamespaceMayNot(_ parameters: JSONObject) {
        #expect(refusal(parameters, namespace: "team-a").contains("only a resource of the cluster may"))
    }

    @Test func aNamespaceMay() throws {
        #expect(try made([:], namespace: "team-a").isReady)
        #expect(try !made(["instance": "github"], namespace: "team-a").isReady)
    }

    /// Files, and what stands in the configuration, are looked at in their own way: an interval has no effect.
    @Test func whatHasNoEffectIsTold() throws {
        var warnings: [String] = []
        _ = try make(["trustedRoot": .string(Self.json), "refreshInterval": "1h", "other": true], warnings: &warnings)
        #expect(warnings.count == 2 && warnings.allSatisfy { $0.contains("has no effect") }, "\(warnings)")
    }

    @Test func configurationFile() throws {
        func file(_ provider: String) -> [UInt8] {
            Array(
                (#"{"store":{"plugins":[{"name":"oras"}]},"keyManagementProvider":{"plugins":[\#(provider)]},"#
                    + #""verifier":{"plugins":[{"name":"notation"}]}}"#).utf8)
        }
        let configuration = try ServiceConfiguration(parsing: file(#"{"type":"Sigstore","name":"roots"}"#))
        let plugin = try #require(configuration.keyManagementProviders.first)
        #expect(plugin.type == .sigstore)
        var warnings: [String] = []
        #expect(try builder.provider(plugin, warnings: &warnings).isReady && warnings.isEmpty)
    }
}
