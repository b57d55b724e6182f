import Foundation
import OCI
import StrictJSON
import TestSupport
import Testing

/// `countersign discover` and `inspect` of what cosign stored.
@Suite struct CosignContentTests {
    private static let signature = "application/vnd.dev.cosign.artifact.sig.v1+json"
    private static let bundle = "application/vnd.dev.sigstore.bundle.v0.3+json"

    private func discover(_ name: String, _ place: [String]) async throws -> Command.Outcome {
        let run = try await Command.run(["discover", name, "-o", "json"] + place)
        #expect(run.status == 0, "\(run)")
        return run
    }

    private func expectBoth(_ run: Command.Outcome, _ image: SigstoreImages.Image) throws {
        #expect(run.json["digest"]?.string == image.digest.description)
        let referrers = try #require(run.json["referrers"]?.array)
        #expect(referrers.count == 2, "\(run)")
        let layers = try #require(referrers.first { $0["artifactType"]?.string == Self.signature })
        #expect(layers["tag"]?.string == "sha256-\(image.digest.hex).sig")
        let layer = try #require(layers["stated"]?.array?.first)
        #expect(layers["stated"]?.array?.count == 1)
        #expect(layer["form"] == "layer" && layer["kind"] == "signature" && layer["signedWith"] == "key", "\(run)")
        #expect(layer["logEntries"] == 1 && layer["timestamps"] == 0 && layer["error"] == nil)
        let bundle = try #require(referrers.first { $0["artifactType"]?.string == Self.bundle })
        let content = try #require(bundle["stated"]?.array?.first)
        #expect(bundle["tag"] == nil)
        #expect(content["form"] == "bundle" && content["kind"] == "signature", "\(run)")
        #expect(content["predicateType"] == "https://sigstore.dev/cosign/sign/v1")
        #expect(content["signedWith"] == "certificate")
    }

    @Test func discoverShowsBothForms() async throws {
        let images = try SigstoreImages.made.get()
        let image = try #require(images.image("both"))
        let layout = ["--oci-layout", images.layout]
        try expectBoth(try await discover("\(images.repository):both", layout), image)
        let text = try await Command.run(["discover", "\(images.repository)@\(image.digest)"] + layout)
        #expect(text.status == 0, "\(text)")
        for line in [
            "at the tag sha256-\(image.digest.hex).sig", "signature, with a key, 1 log entry; not verified",
            "signature https://sigstore.dev/cosign/sign/v1, with a certificate, 1 log entry", Self.bundle,
        ] { #expect(text.output.contains(line), "\(line): \(text)") }

        let none = try await discover("\(images.repository):unsigned", layout)
        #expect(none.json["referrers"] == [], "\(none)")
        // Of one type: the tag counts where its type is asked for.
        for (type, count) in [(Self.signature, 1), (Self.bundle, 1), (MediaType.notationSignature, 0)] {
            let run = try await discover("\(images.repository):both", layout + ["--artifact-type", type])
            #expect(run.json["referrers"]?.array?.count == count, "\(type): \(run)")
        }
    }

    @Test func anAttestationIsNoSignature() async throws {
        let images = try SigstoreImages.made.get()
        // What the annotations of its manifest say makes no difference.
        for name in ["bundle-attestation", "bundle-attestation-as-signature"] {
            let run = try await discover("\(images.repository):\(name)", ["--oci-layout", images.layout])
            let referrers = try #require(run.json["referrers"]?.array)
            #expect(referrers.count == 2)
            for referrer in referrers {
                #expect(referrer["stated"]?.array?.map { $0["kind"]?.string } == ["attestation"], "\(run)")
                #expect(
                    referrer["stated"]?.array?.first?["predicateType"]?.string?.contains("provenance") == true, "\(run)"
                )
            }
        }
    }

    @Test(.enabled(if: DockerRegistry.isInstalled, "docker-registry is not installed"))
    func discoverAsksARegistryForTheTag() async throws {
        let images = try SigstoreImages.made.get()
        let image = try #require(images.image("both"))
        let registry = try await DockerRegistry()
        defer { registry.stop() }
        let app = try Repository("\(registry.host)/app")
        try await images.copy("both", to: app.destination, app.reference)
        try expectBoth(try await discover(app.name("both"), []), image)
    }

    @Test func whatCannotBeReadIsShown() async throws {
        let files = try TemporaryDirectory()
        defer { files.remove() }
        let app = try Repository("registry.example/app", layout: files.path("layout"))
        let image = try await app.push("v1", content: "image")
        let deadline = ContinuousClock.now + .seconds(60)
        let config = try await app.destination.pushBlob(
            Array("{}".utf8), mediaType: "application/vnd.oci.empty.v1+json", to: app.reference, deadline: deadline)
        func layer(_ content: String, _ mediaType: String) async throws -> Descriptor {
            try await app.destination.pushBlob(
                Array(content.utf8), mediaType: mediaType, to: app.reference, deadline: deadline)
        }
        var unsigned = try await layer("payload", "application/vnd.dev.cosign.simplesigning.v1+json")
        unsigned.annotations = ["dev.cosignproject.cosign/signature": "\u{1B}[31m"]
        let manifest = Manifest(config: config, layers: [unsigned, try await layer("text", "text/plain")])
        _ = try await app.destination.pushManifest(
            manifest.json.bytes, mediaType: MediaType.ociManifest, tag: image.digest.cosignSignatureTag,
            to: app.reference, deadline: deadline)
        let broken = Manifest(
            artifactType: Self.bundle, config: config, layers: [try await layer("{}", Self.bundle)], subject: image)
        _ = try await app.destination.pushReferrer(
            broken.json.bytes, mediaType: MediaType.ociManifest, subject: image, artifactType: Self.bundle,
            annotations: [:], to: app.reference, deadline: deadline)

        let place = ["--oci-layout", files.path("layout")]
        let run = try await discover(app.name("v1"), place)
        let stated = (run.json["referrers"]?.array ?? []).flatMap { $0["stated"]?.array ?? [] }
        #expect(stated.count == 3 && stated.allSatisfy { $0["error"]?.string?.isEmpty == false }, "\(run)")
        let text = try await Command.run(["discover", app.name("v1")] + place)
        #expect(text.status == 0 && text.output.contains("cannot be read: "), "\(text)")
        #expect(text.output.contains("\"text/plain\"") && !text.output.contains("\u{1B}"), "\(text)")
    }

    // MARK: inspect

    private func inspect(_ name: String) async throws -> [JSONValue] {
        let images = try SigstoreImages.made.get()
        let run = try await Command.run([
            "inspect", "\(images.repository):\(name)", "--oci-layout", images.layout, "-o", "json",
        ])
        #expect(run.status == 0, "\(run)")
        #expect(run.json["signatureCount"] == 0 && run.json["signatures"] == [])
        return try #require(run.json["cosign"]?.array)
    }

    @Test func inspectShowsALayer() async throws {
        let image = try #require(try SigstoreImages.made.get().image("legacy-key-annotated"))
        let shown = try await inspect("legacy-key-annotated")
        let layer = try #require(shown.first)
        #expect(shown.count == 1)
        #expect(layer["form"] == "layer" && layer["kind"] == "signature" && layer["error"] == nil)
        #expect(layer["tag"]?.string == "sha256-\(image.digest.hex).sig")
        #expect(layer["payload"]?["imageDigest"]?.string == image.digest.description)
        #expect(layer["payload"]?["dockerReference"] == "registry.example/app")
        #expect(layer["payload"]?["optional"]?["stage"] == "prod")
        #expect(layer["signedWith"] == "key" && layer["identity"] == nil)
        let entry = try #require(layer["logEntries"]?.array?.first)
        #expect(entry["kind"] == "hashedrekord 0.0.1" && entry["integratedTime"] == "2025-06-01T12:00:05Z")
        #expect(entry["hasPromise"] == true && entry["hasInclusionProof"] == false)
        #expect((entry["logIndex"]?.integer ?? 0) > 0 && entry["logID"]?.string?.utf8.count == 64)
    }

    @Test func inspectShowsWhoAndWhen() async throws {
        let images = try SigstoreImages.made.get()
        let policy = try #require(images.policies.first { $0.name == "keyless" })
        for name in ["legacy-keyless-timestamped", "bundle-keyless-rekor2", "bundle-keyless"] {
            let shown = try #require(try await inspect(name).first)
            #expect(shown["signedWith"] == "certificate", "\(name): \(shown)")
            let identity = shown["identity"]
            #expect(identity?["names"]?.array?.map { $0["text"]?.string } == [policy.identity])
            #expect(identity?["issuer"]?.string == policy.issuer)
            #expect(identity?["extensions"]?["sourceRepositoryURI"] == "https://github.com/example/app")
            #expect(identity?["extensions"]?["sourceRepositoryRef"] == "refs/heads/main")
            #expect(shown["certificates"]?.array?.first?["notAfter"]?.string?.hasSuffix("Z") == true)
            let times = shown["timestamps"]?.array ?? []
            #expect(times.isEmpty == (name == "bundle-keyless"))
            #expect(times.allSatisfy { $0["time"]?.string?.hasSuffix("Z") == true && $0["error"] == nil })
            #expect(shown["logEntries"]?.array?.count == 1)
        }
        let text = try await Command.run([
            "inspect", "\(images.repository):bundle-keyless-rekor2", "--oci-layout", images.layout,
        ])
        #expect(text.status == 0, "\(text)")
        for words in [
            "nothing of it is verified", policy.identity ?? "", "sourceRepositoryRef: refs/heads/main", "timestamp ",
            "log entry ", "https://sigstore.dev/cosign/sign/v1",
        ] { #expect(text.output.contains(words), "\(words): \(text)") }
    }

    @Test func inspectShowsEveryLayerAndAttestation() async throws {
        #expect(try await inspect("legacy-two-signatures").count == 2)
        let attestations = try await inspect("bundle-attestation-and-signature")
        #expect(Set(attestations.map { $0["kind"]?.string }) == ["attestation", "signature"])
        #expect(attestations.contains { $0["predicateType"]?.string?.contains("provenance") == true })
        #expect(try await inspect("unsigned").isEmpty)
        // A signature by a key names it by a hint.
        let byKey = try #require(try await inspect("bundle-key").first)
        #expect(byKey["signedWith"] == "key" && byKey["keyHint"]?.string?.isEmpty == false, "\(byKey)")
    }

    @Test func inspectOfABundleInAFile() async throws {
        let cases = try UnpackedArchive.directory(of: "Tests/Fixtures/sigstore/cases.tar.xz", name: "sigstore")
        let path = cases.appending(path: "bundle-verify/happy-path-v0.3/bundle.sigstore.json").path()
        let run = try await Command.run("inspect", "--bundle", path, "-o", "json")
        #expect(run.status == 0 && run.json["version"] == "0.3" && run.json["kind"] == "artifact", "\(run)")
        #expect(
            run.json["logEntries"]?.array?.first?["log"]?.string?.hasPrefix("rekor.sigstore.dev") == true, "\(run)")
        let text = try await Command.run("inspect", "--bundle", path)
        #expect(text.status == 0 && text.output.contains("nothing of it is verified"), "\(text)")

        let files = try TemporaryDirectory()
        defer { files.remove() }
        let broken = try await Command.run("inspect", "--bundle", files.write("{}", to: "bundle.json"))
        #expect(broken.status == 1 && broken.output.isEmpty && broken.errors.contains("mediaType"), "\(broken)")
        for arguments in [
            ["--bundle", path, "image:v1"], [], ["--bundle", path, "--plain-http"], ["--bundle", files.path("none")],
        ] {
            let wrong = try await Command.run(["inspect"] + arguments)
            #expect(wrong.status == 2 && wrong.output.isEmpty, "\(wrong)")
        }
    }
}
