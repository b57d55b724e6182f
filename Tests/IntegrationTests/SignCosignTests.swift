import Encoding
import Foundation
import OCI
import PKI
import Sigstore
import StrictJSON
import TestSupport
import Testing

/// `countersign sign --cosign-key`: what it pushes verifies, and what it refuses leaves nothing behind.
@Suite struct SignCosignTests {
    /// An image, a key, and where they are.
    struct Place {
        let app: Repository
        let image: Descriptor
        let options: [String]
        let files: TemporaryDirectory
        let key: PrivateKey

        init(_ app: Repository, _ options: [String], key: PrivateKey? = nil) async throws {
            self.app = app
            self.options = options
            files = try TemporaryDirectory()
            self.key = try key ?? PrivateKey.generate(.ec(.p256))
            files.write(try self.key.pkcs8PEM(), to: "cosign.key")
            image = try await app.push("v1", content: "signed by cosign's rules")
        }

        var keyOption: [String] { ["--cosign-key", files.path("cosign.key")] }

        func sign(_ arguments: String..., name: String? = nil) async throws -> Command.Outcome {
            try await Command.run(
                ["sign", name ?? app.name(image)] + keyOption + ["-o", "json"] + arguments + options)
        }

        /// Signs with another key than its own.
        func sign(
            key: String, _ arguments: [String] = [], environment: [String: String] = [:], input: String? = nil
        ) async throws -> Command.Outcome {
            try await Command.run(
                ["sign", app.name(image), "--cosign-key", key, "-o", "json"] + arguments + options,
                environment: environment, input: input)
        }

        private var deadline: ContinuousClock.Instant { .now + .seconds(60) }

        var digest: ArtifactDigest { get throws { try #require(ArtifactDigest(parsing: image.digest.description)) } }

        func policy(_ annotations: [String: String] = [:], by key: PublicKey? = nil) throws -> BundlePolicy {
            var policy = BundlePolicy(keys: [try SigningKey(key ?? self.key.publicKey)])
            policy.logThreshold = 0
            policy.annotations = annotations
            return policy
        }

        private func manifest(_ descriptor: Descriptor) async throws -> Manifest {
            let bytes = try await app.destination.manifest(descriptor, in: app.reference, deadline: deadline)
            return try Manifest(parsing: bytes, mediaType: descriptor.mediaType)
        }

        private func content(_ descriptor: Descriptor) async throws -> [UInt8] {
            try await app.destination.blob(
                descriptor, in: app.reference, maximumBytes: 1 << 20, deadline: deadline)
        }

        /// What comes of the layers at the tag that cosign looks at.
        func layers(_ policy: BundlePolicy) async throws -> [BundleOutcome] {
            let tag = try #require(image.digest.cosignSignatureTag)
            let place = try ImageReference(parsing: app.name(tag))
            guard let descriptor = try? await app.destination.resolve(place, deadline: deadline) else { return [] }
            var outcomes: [BundleOutcome] = []
            for layer in try await manifest(descriptor).layers {
                outcomes.append(
                    BundleVerifier(root: TrustedRoot()).verify(
                        layer: try await content(layer), annotations: layer.annotations, image: try digest,
                        policy: policy))
            }
            return outcomes
        }

        /// What comes of the bundles among the referrers.
        func bundles(_ policy: BundlePolicy) async throws -> [BundleOutcome] {
            var outcomes: [BundleOutcome] = []
            for referrer in try await app.destination.referrers(
                of: image, in: app.reference, artifactType: CosignMediaType.bundle, deadline: deadline)
            {
                let layers = try await manifest(referrer).layers
                #expect(layers.count == 1)
                outcomes.append(
                    BundleVerifier(root: TrustedRoot()).verify(
                        imageBundle: try await content(layers[0]), image: try digest, policy: policy))
            }
            return outcomes
        }
    }

    /// Signs in all ways, and looks at what is there then.
    private func signAndVerify(_ place: Place) async throws {
        defer { place.files.remove() }
        // The default is what cosign 3 writes; by tag, with the word that a tag can move.
        let first = try await place.sign("-a", "build=7", name: place.app.name("v1"))
        #expect(first.status == 0 && first.errors.contains("a tag can move"), "\(first)")
        #expect(first.json["reference"]?.string == place.app.name(place.image))
        #expect(first.json["transparencyLog"] == false && first.json["algorithm"] == "ecdsa-sha256")
        #expect(first.json["signatures"]?.array?.compactMap { $0["format"]?.string } == ["bundle"])
        #expect(try await place.bundles(place.policy(["build": "7"])).map(\.isVerified) == [true])
        #expect(try await place.bundles(place.policy(["build": "8"])).map(\.isVerified) == [false])
        #expect(try await place.layers(place.policy()).isEmpty)

        let both = try await place.sign("--cosign-format", "both", "--annotation", "team=payments")
        #expect(both.status == 0 && both.errors.isEmpty, "\(both)")
        #expect(both.json["signatures"]?.array?.compactMap { $0["format"]?.string } == ["bundle", "legacy"])
        #expect(both.json["signatures"]?.array?.last?["tag"]?.string == place.image.digest.cosignSignatureTag)
        #expect(try await place.bundles(place.policy()).map(\.isVerified) == [true, true])
        #expect(try await place.layers(place.policy(["team": "payments"])).map(\.isVerified) == [true])

        // One more beside what is there; then again, which changes nothing.
        for isNew in [true, false] {
            let legacy = try await place.sign("--cosign-format", "legacy")
            #expect(legacy.status == 0, "\(legacy)")
            #expect(legacy.json["signatures"]?.array?.first?["isNew"]?.bool == isNew)
            #expect(try await place.layers(place.policy()).map(\.isVerified) == [true, true])
        }
        let stranger = try PrivateKey.generate(.ec(.p256)).publicKey
        for outcomes in [
            try await place.layers(place.policy(by: stranger)), try await place.bundles(place.policy(by: stranger)),
        ] {
            #expect(outcomes.count == 2 && outcomes.allSatisfy { !$0.isVerified })
        }
        // A policy that asks for a log is not met.
        let logged = BundlePolicy(keys: [try SigningKey(place.key.publicKey)])
        #expect(try await place.layers(logged).allSatisfy { !$0.isVerified })
        // `discover` and `inspect` know what they see.
        for command in ["discover", "inspect"] {
            let seen = try await Command.run([command, place.app.name(place.image)] + place.options)
            #expect(seen.status == 0, "\(seen)")
            for words in ["bundle sha256:", place.image.digest.cosignSignatureTag ?? "a tag"] {
                #expect(seen.output.contains(words), "\(seen)")
            }
        }
        let text = try await Command.run(
            ["sign", place.app.name(place.image), "--cosign-format", "legacy"] + place.keyOption + place.options)
        #expect(text.status == 0 && text.output.contains("no transparency log"), "\(text)")
        #expect(text.output.contains("Signed before"), "\(text)")
    }

    @Test func inAnImageLayout() async throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let app = try Repository("registry.example/shop/app", layout: directory.path("layout"))
        try await signAndVerify(try await Place(app, ["--oci-layout", directory.path("layout")]))
    }

    @Test(.enabled(if: DockerRegistry.isInstalled, "docker-registry is not installed"))
    func inDebiansRegistry() async throws {
        let registry = try await DockerRegistry()
        defer { registry.stop() }
        try await signAndVerify(try await Place(try Repository("\(registry.host)/shop/app"), ["--plain-http"]))
    }

    @Test func inARegistryWithTheReferrersAPI() async throws {
        try await withRegistry { registry in
            try await signAndVerify(
                try await Place(try Repository("\(registry.endpoint)/shop/app"), ["--plain-http"]))
            // Where the registry keeps the list itself, the only tag is that of the old form.
            let tags = registry.requests.filter { $0.method == "PUT" && $0.path.contains("/manifests/sha256-") }
            #expect(!tags.isEmpty && tags.allSatisfy { $0.path.hasSuffix(".sig") })
        }
    }

    @Test(arguments: [PublicKey.Kind.ec(.p384), .ec(.p521), .other("Ed25519"), .rsa(bits: 3072)])
    func everyKindOfKeySigns(_ kind: PublicKey.Kind) async throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let place = try await Place(
            try Repository("registry.example/app", layout: directory.path("layout")),
            ["--oci-layout", directory.path("layout")], key: try TestKeys.key(kind))
        defer { place.files.remove() }
        let signed = try await place.sign("--cosign-format", "both")
        #expect(signed.status == 0, "\(signed)")
        #expect(try await place.bundles(place.policy()).map(\.isVerified) == [true])
        #expect(try await place.layers(place.policy()).map(\.isVerified) == [true])
    }

    @Test func severalSignersAtOnce() async throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let app = try Repository("registry.example/app", layout: directory.path("layout"))
        let options = ["--oci-layout", directory.path("layout"), "--cosign-format", "bundle"]
        let places = try await [Place(app, options), Place(app, options), Place(app, options)]
        let statuses = try await withThrowingTaskGroup(of: Int32.self) { group in
            for place in places { group.addTask { try await place.sign().status } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(statuses == [0, 0, 0])
        for place in places {
            #expect(try await place.bundles(place.policy()).filter(\.isVerified).count == 1)
            place.files.remove()
        }
    }

    /// More signatures than a verifier looks at are said, before somebody wonders why the last ones do not count.
    @Test func moreSignaturesThanAreLookedAtAreSaid() async throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let place = try await Place(
            try Repository("registry.example/app", layout: directory.path("layout")),
            ["--oci-layout", directory.path("layout")])
        defer { place.files.remove() }
        for number in 1...SigstoreLimits.signatures + 1 {
            let run = try await place.sign("--cosign-format", "legacy", "-a", "number=\(number)")
            #expect(run.status == 0, "\(run)")
            #expect(run.errors.contains("the first 10 only") == (number > SigstoreLimits.signatures), "\(run)")
        }
    }

    @Test func whatCannotSignIsRefused() async throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let place = try await Place(
            try Repository("registry.example/app", layout: directory.path("layout")),
            ["--oci-layout", directory.path("layout")])
        defer { place.files.remove() }
        let before = try Data(contentsOf: URL(filePath: directory.path("layout/index.json")))
        place.files.write("no key", to: "nothing.pem")
        place.files.write(try PrivateKey.generate(.rsa(bits: 1024)).pkcs8PEM(), to: "weak.pem")
        let key = place.files.path("cosign.key")
        for (options, words) in [
            (["--cosign-key", place.files.path("gone.key")], "gone.key"),
            (["--cosign-key", place.files.path("nothing.pem")], "no private key"),
            (["--cosign-key", place.files.path("weak.pem")], "RSA-1024"),
            (["--cosign-key", "awskms:///alias/key"], "awskms://"),
            (["--cosign-key", key, "--cosign-format", "simple"], "simple"),
            (["--cosign-key", key, "-a", "x"], "KEY=VALUE"),
            (["--cosign-key", key, "-a", "x=1", "-a", "x=2"], "twice"),
            // Options of the other kind of signature, by name.
            (["--cosign-key", key, "--key", "release"], "--key: for Notary Project signatures only"),
            (["--cosign-key", key, "--akv-key", "https://v.example/keys/k"], "--akv-key"),
            (["--cosign-key", key, "--certificate-chain", key], "--certificate-chain"),
            (["--cosign-key", key, "--signature-format", "jws"], "--signature-format"),
            (["--cosign-key", key, "--expiry", "1h"], "--expiry"),
            (["--cosign-key", key, "-m", "a=1"], "--annotation signs"),
            (["--cosign-key", key, "--timestamp-url", "http://t.example", "--timestamp-root", key], "--timestamp-url"),
            (["-a", "x=1"], "belongs to --cosign-key"), (["--cosign-format", "both"], "belongs to --cosign-key"),
        ] {
            let run = try await Command.run(["sign", place.app.name("v1")] + options + place.options)
            #expect(run.status == 2, "\(options): \(run)")
            #expect(run.errors.contains(words), "\(options): \(run)")
        }
        let nowhere = try await place.sign(name: place.app.name("nowhere"))
        #expect(nowhere.status == 1, "\(nowhere)")
        #expect(try Data(contentsOf: URL(filePath: directory.path("layout/index.json"))) == before)
    }

    /// A registry that refuses is a failure, one that is down may pass; what was pushed before is named.
    @Test(arguments: [(503, Int32(3)), (403, 1)])
    func whatIsNotPushedIsNoSuccess(answer: Int, status: Int32) async throws {
        try await withRegistry { registry in
            let place = try await Place(try Repository("\(registry.endpoint)/shop/app"), ["--plain-http"])
            defer { place.files.remove() }
            registry.inject(.status(answer), method: "PUT", path: "/v2/shop/app/manifests/*.sig")
            let run = try await place.sign("--timeout", "3", "--cosign-format", "both")
            #expect(run.status == status && run.output.isEmpty, "\(run)")
            #expect(run.errors.contains("pushed before it: the bundle sha256:"), "\(run)")
            registry.inject(.status(answer), method: "PUT", path: "/v2/shop/app/manifests/*")
            let bundle = try await place.sign("--timeout", "3")
            #expect(bundle.status == status && bundle.output.isEmpty, "\(bundle)")
            // What is at the tag must be known before it is written again.
            registry.clearFaults()
            _ = try await place.sign("--cosign-format", "legacy")
            registry.inject(.status(answer), method: "HEAD", path: "/v2/shop/app/manifests/*.sig")
            registry.inject(.status(answer), method: "GET", path: "/v2/shop/app/manifests/*.sig")
            registry.forgetRequests()
            let blind = try await place.sign("--timeout", "3", "--cosign-format", "legacy", "-a", "build=8")
            #expect(blind.status == status, "\(blind)")
            #expect(!registry.requests.contains { $0.method == "PUT" && $0.path.contains("/manifests/") })
        }
    }
}
