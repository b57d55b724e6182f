import OCI
import Sigstore
import StrictJSON
import TestSupport
import Testing

/// What a whole Sigstore instance signed, in Debian's registry as a process, asked for over TLS with a client's
/// certificate: each image under each policy.
@Suite(.enabled(if: DockerRegistry.isInstalled, "docker-registry is not installed"))
struct CosignRegistryTests {
    private func withRegistry(_ names: [String] = [], _ body: (CosignImages) async throws -> Void) async throws {
        let registry = try await DockerRegistry()
        defer { registry.stop() }
        let images = try CosignImages(registry.host)
        for name in names.isEmpty ? images.images.images.map(\.name) : names { try await images.copy(name) }
        try await body(images)
    }

    /// Why an image is refused, in words of its reason.
    private static let reasons: [String: [(image: String, words: String)]] = [
        "key": [
            ("unsigned", "no signature is associated with"), ("legacy-key-unlogged", "transparency log"),
            ("bundle-key-unlogged", "transparency log"), ("legacy-other-key", "key"),
            ("legacy-other-image", "made for another image"), ("legacy-other-entry", "another signature"),
            ("bundle-attestation", "no signature is associated with"),
            ("bundle-attestation-as-signature", "no signature is associated with"),
        ],
        "keyless": [
            ("legacy-wrong-identity", "stranger/app"), ("bundle-wrong-identity", "stranger/app"),
            ("legacy-wrong-issuer", "https://issuer.example"), ("legacy-keyless-unlogged", "transparency log"),
            ("bundle-unlogged", "transparency log"), ("legacy-expired", "not valid"), ("bundle-expired", "not valid"),
            ("legacy-no-promise", "certificate timestamp"), ("bundle-other-instance", "trusted root"),
        ],
        "key-annotated": [("legacy-key-annotated-otherwise", "stage"), ("bundle-key", "stage")],
    ]

    @Test func everyImageByEveryPolicy() async throws {
        try await withRegistry { images in
            for policy in images.images.policies {
                try await withService(try images.configuration(policy.name)) { service in
                    let client = try await service.connect()
                    defer { client.close() }
                    var rest = images.images.images[...]
                    while !rest.isEmpty {
                        let some = rest.prefix(10)
                        rest = rest.dropFirst(10)
                        let keys = some.map { images.name($0.name) }
                        let answer = Answer(try await client.verify(keys), asked: keys)
                        for image in some {
                            let key = images.name(image.name)
                            guard !image.verifiedBy.contains(policy.name) else {
                                #expect(answer.admits(key), "\(image.name) by \(policy.name): \(answer.reason(key))")
                                continue
                            }
                            #expect(
                                answer.denies(key) && !answer.admits(key),
                                "\(image.name) by \(policy.name): \(answer.systemError ?? "admitted")")
                            let reason = Self.reasons[policy.name]?.first { $0.image == image.name }
                            if let reason { expectDenied(answer, key, reason.words) }
                        }
                    }
                    #expect(try await service.hasMetric("countersign_configuration_valid 1"))
                }
            }
        }
    }

    /// Without `cosignEnabled` nobody looks at the tag; bundles are referrers like any other.
    @Test func theStoreDecidesAboutTheTag() async throws {
        try await withRegistry(["legacy-key", "bundle-key", "both"]) { images in
            var configuration = try images.configuration("key")
            configuration.stores = [["name": "oras"]]
            try await withService(configuration) { service in
                expectDenied(
                    try await service.verify(images.name("legacy-key")), nil, "no signature is associated with")
                expectAdmitted(try await service.verify(images.name("bundle-key")))
                // The signature at the tag is the key's, the bundle the workflow's.
                expectDenied(try await service.verify(images.name("both")))
            }
        }
    }

    /// Each verifier wants signatures of its own, whichever rule holds for its type.
    @Test(arguments: ["any", "all"]) func besideNotation(_ rule: String) async throws {
        try await withRegistry(["unsigned", "legacy-key", "bundle-key", "bundle-other-key"]) { images in
            let app = images.repository
            let signer = try Signers.shared.get().release
            for name in ["bundle-key", "bundle-other-key"] {
                let digest = try #require(images.images.image(name)?.digest)
                let image = try await app.destination.resolve(
                    try ImageReference(parsing: app.name(name)), deadline: .now + .seconds(60))
                #expect(image.digest == digest)
                try await signer.sign(image, in: app.reference, at: app.destination)
            }
            try await app.push("notation", signedBy: signer)
            var configuration = try images.configuration("key")
            let notation = try ConfigurationText.trustingRelease()
            configuration.providers += notation.providers
            configuration.verifiers.append(notation.verifier("notation", [ConfigurationText.statement()]))
            configuration.policies = .object([
                CosignMediaType.signatureArtifact: .string(rule), MediaType.notationSignature: .string(rule),
            ])
            try await withService(configuration) { service in
                let answer = try await service.verify(images.name("bundle-key"))
                expectAdmitted(answer)
                #expect(
                    Set(answer.reports().compactMap { $0["verifierName"]?.string }) == ["cosign", "notation"])
                for name in ["unsigned", "legacy-key", "bundle-other-key", "notation"] {
                    expectDenied(try await service.verify(images.name(name)))
                }
            }
        }
    }

    /// What a signature does not say is asked of nobody: addresses in a trusted root, in log entries and in
    /// certificates are names.
    @Test("Kyverno CVE-2026-41323, CVE-2026-40868, rekor CVE-2026-24117: addresses that others name are not asked")
    func addressesAreNotAsked() async throws {
        try await withRegistry(["legacy-keyless", "bundle-keyless"]) { images in
            let listener = try ScriptedServer { _ in [.reply(200)] }
            defer { listener.stop() }
            var configuration = try images.configuration("keyless")
            let root = try #require(configuration.providers.first?["trustedRoot"]?.string)
            let moved = root.replacing("https://rekor.images.example", with: listener.url)
                .replacing("https://fulcio.images.example", with: listener.url)
                .replacing("https://ctfe.images.example", with: listener.url)
            #expect(moved != root)
            configuration.providers[0] = ["name": "instance", "type": "sigstore", "trustedRoot": .string(moved)]
            try await withService(configuration) { service in
                for name in ["legacy-keyless", "bundle-keyless"] {
                    expectAdmitted(try await service.verify(images.name(name)))
                }
                #expect(listener.connections == 0)
            }
        }
    }
}
