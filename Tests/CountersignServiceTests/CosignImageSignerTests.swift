import Foundation
import OCI
import PKI
import Sigstore
import StrictJSON
import Synchronization
import TestSupport
import Testing

@testable import CountersignService

/// Where cosign's signatures are pushed to, beside what is there, and when others push at the same time.
@Suite struct CosignImageSignerTests {
    /// An image layout in which somebody else writes right after us, some times.
    final class SharedLayout: ReferrerStore, ArtifactPushing {
        let layout: ImageLayout
        let name = "shared"
        /// Writes of ours that somebody else undoes.
        let undone: Mutex<Int>
        let writes = Mutex(0)

        init(_ layout: ImageLayout, undone: Int) {
            self.layout = layout
            self.undone = Mutex(undone)
        }

        func resolve(
            _ reference: ImageReference, deadline: ContinuousClock.Instant
        ) async throws(RegistryError) -> Descriptor { try await layout.resolve(reference, deadline: deadline) }

        func referrers(
            of subject: Descriptor, in reference: ImageReference, artifactType: String?,
            deadline: ContinuousClock.Instant
        ) async throws(RegistryError) -> [Descriptor] {
            try await layout.referrers(of: subject, in: reference, artifactType: artifactType, deadline: deadline)
        }

        func manifest(
            _ descriptor: Descriptor, in reference: ImageReference, deadline: ContinuousClock.Instant
        ) async throws(RegistryError) -> [UInt8] {
            try await layout.manifest(descriptor, in: reference, deadline: deadline)
        }

        func blob(
            _ descriptor: Descriptor, in reference: ImageReference, maximumBytes: Int,
            deadline: ContinuousClock.Instant
        ) async throws(RegistryError) -> [UInt8] {
            try await layout.blob(descriptor, in: reference, maximumBytes: maximumBytes, deadline: deadline)
        }

        func pushBlob(
            _ content: [UInt8], mediaType: String, to reference: ImageReference, deadline: ContinuousClock.Instant
        ) async throws(RegistryError) -> Descriptor {
            try await layout.pushBlob(content, mediaType: mediaType, to: reference, deadline: deadline)
        }

        func pushManifest(
            _ content: [UInt8], mediaType: String, tag: String?, to reference: ImageReference,
            deadline: ContinuousClock.Instant
        ) async throws(RegistryError) -> Descriptor {
            let place = reference.with(tag: tag ?? "")
            let before = try? await layout.resolve(place, deadline: deadline)
            let pushed = try await layout.pushManifest(
                content, mediaType: mediaType, tag: tag, to: reference, deadline: deadline)
            let isUndone = undone.withLock { count in
                count -= 1
                return count >= 0
            }
            writes.withLock { $0 += 1 }
            if isUndone, let before {
                let old = try await layout.manifest(before, in: place, deadline: deadline)
                _ = try await layout.pushManifest(
                    old, mediaType: before.mediaType, tag: tag, to: reference, deadline: deadline)
            }
            return pushed
        }

        func pushReferrer(
            _ content: [UInt8], mediaType: String, subject: Descriptor, artifactType: String,
            annotations: [String: String], to reference: ImageReference, deadline: ContinuousClock.Instant
        ) async throws(RegistryError) -> Descriptor {
            try await layout.pushReferrer(
                content, mediaType: mediaType, subject: subject, artifactType: artifactType,
                annotations: annotations, to: reference, deadline: deadline)
        }
    }

    /// A layout with an image in it.
    private struct Place {
        let directory: TemporaryDirectory
        let layout: ImageLayout
        let reference: ImageReference
        let image: Descriptor
        let tag: String
        let deadline = ContinuousClock.now + .seconds(60)

        init(_ name: String = "registry.example/shop/app") async throws {
            directory = try TemporaryDirectory()
            layout = try ImageLayout(directory: directory.path("layout"), create: true)
            reference = try ImageReference(parsing: name)
            let config = try await layout.pushBlob(
                Array("{}".utf8), mediaType: MediaType.emptyJSON, to: reference, deadline: deadline)
            image = try await layout.pushManifest(
                Manifest(config: config, layers: []).json.bytes, mediaType: MediaType.ociManifest, tag: "v1",
                to: reference, deadline: deadline)
            tag = try #require(image.digest.cosignSignatureTag)
        }

        func sign(
            _ key: PrivateKey, _ form: CosignImageSigner.Form = .legacy, _ annotations: [String: String] = [:],
            at store: (any ReferrerStore & ArtifactPushing)? = nil
        ) async throws -> CosignImageSigner.Signed {
            try await CosignImageSigner(signer: CosignSigner(key: key), store: store ?? layout)
                .sign(image, in: reference, as: form, annotations: annotations, now: Date(), deadline: deadline)
        }

        /// The manifest with the signatures.
        func signatures() async throws -> (manifest: Manifest, json: JSONValue) {
            let place = reference.with(tag: tag)
            let descriptor = try await layout.resolve(place, deadline: deadline)
            let bytes = try await layout.manifest(descriptor, in: place, deadline: deadline)
            return (try Manifest(parsing: bytes, mediaType: descriptor.mediaType), try StrictJSON.parse(bytes))
        }

        func content(_ descriptor: Descriptor) async throws -> [UInt8] {
            try await layout.blob(descriptor, in: reference, maximumBytes: 1 << 20, deadline: deadline)
        }

        /// How many of the layers are signatures by a key.
        func count(by key: PrivateKey) async throws -> Int {
            var policy = BundlePolicy(keys: [try SigningKey(key.publicKey)])
            policy.logThreshold = 0
            var count = 0
            for layer in try await signatures().manifest.layers {
                let outcome = BundleVerifier(root: TrustedRoot()).verify(
                    layer: try await content(layer), annotations: layer.annotations,
                    image: try #require(ArtifactDigest(parsing: image.digest.description)), policy: policy)
                if outcome.isVerified { count += 1 }
            }
            return count
        }
    }

    private let keys = (1...3).map { _ in try? PrivateKey.generate(.ec(.p256)) }

    private func key(_ index: Int) throws -> PrivateKey { try #require(keys[index]) }

    @Test func theFirstSignatureHasCosignsShape() async throws {
        let place = try await Place()
        defer { place.directory.remove() }
        let signed = try await place.sign(try key(0))
        #expect(signed.isNew && signed.count == 1 && signed.tag == place.tag)
        let (manifest, json) = try await place.signatures()
        #expect(json.object?.names == ["schemaVersion", "mediaType", "config", "layers"])
        #expect(manifest.mediaType == MediaType.ociManifest)
        #expect(manifest.layers.map(\.mediaType) == ["application/vnd.dev.cosign.simplesigning.v1+json"])
        #expect(manifest.layers.first?.digest == signed.content.digest)
        let config = try #require(manifest.config)
        #expect(config.mediaType == "application/vnd.oci.image.config.v1+json")
        let settings = try StrictJSON.parse(try await place.content(config))
        #expect(settings["rootfs"]?["diff_ids"]?.strings == [signed.content.digest.description])
        #expect(try await place.count(by: try key(0)) == 1)
        let payload = try StrictJSON.parse(try await place.content(signed.content))
        #expect(payload["critical"]?["identity"]?["docker-reference"] == "registry.example/shop/app")
        #expect(payload["critical"]?["image"]?["docker-manifest-digest"]?.string == place.image.digest.description)
    }

    @Test func dockerHubHasTheNameThatCosignGivesIt() async throws {
        let place = try await Place("nginx")
        defer { place.directory.remove() }
        let payload = try StrictJSON.parse(try await place.content(try await place.sign(try key(0)).content))
        #expect(payload["critical"]?["identity"]?["docker-reference"] == "index.docker.io/library/nginx")
    }

    @Test func moreSignaturesAreAddedToThoseThatAreThere() async throws {
        let place = try await Place()
        defer { place.directory.remove() }
        _ = try await place.sign(try key(0))
        // Others may have written more into it.
        var (_, json) = try await place.signatures()
        var object = try #require(json.object)
        object["annotations"] = ["made.by": "somebody"]
        json = .object(object)
        _ = try await place.layout.pushManifest(
            json.bytes, mediaType: MediaType.ociManifest, tag: place.tag, to: place.reference,
            deadline: place.deadline)
        let before = try await place.signatures().manifest

        let second = try await place.sign(try key(1))
        let third = try await place.sign(try key(0), .legacy, ["build": "7"])
        #expect(second.isNew && second.count == 2 && third.isNew && third.count == 3)
        let after = try await place.signatures().manifest
        #expect(after.layers.first == before.layers.first)
        #expect(after.annotations == ["made.by": "somebody"])
        #expect(try await place.count(by: try key(0)) == 2)
        #expect(try await place.count(by: try key(1)) == 1)
        let config = try StrictJSON.parse(try await place.content(try #require(after.config)))
        #expect(config["rootfs"]?["diff_ids"]?.strings == after.layers.map(\.digest.description))
        #expect(config["history"]?.array?.count == 3)
    }

    @Test func whatTheKeyHasSignedIsNotSignedAgain() async throws {
        let place = try await Place()
        defer { place.directory.remove() }
        let first = try await place.sign(try key(0))
        _ = try await place.sign(try key(1))
        let again = try await place.sign(try key(0))
        #expect(!again.isNew && again.content.digest == first.content.digest && again.count == 2)
        // A layer with the same payload and another signature is somebody else's.
        #expect(try await place.sign(try key(2)).isNew)
        #expect(try await place.signatures().manifest.layers.count == 3)
    }

    @Test func aConfigurationThatIsNoImagesStays() async throws {
        let place = try await Place()
        defer { place.directory.remove() }
        let old = try await place.layout.pushBlob(
            Array("{}".utf8), mediaType: MediaType.cosignSignature, to: place.reference, deadline: place.deadline)
        let layer = try await place.layout.pushBlob(
            Array("{}".utf8), mediaType: CosignMediaType.simpleSigning, to: place.reference, deadline: place.deadline)
        _ = try await place.layout.pushManifest(
            Manifest(config: old, layers: [layer]).json.bytes, mediaType: MediaType.ociManifest, tag: place.tag,
            to: place.reference, deadline: place.deadline)
        _ = try await place.sign(try key(0))
        let manifest = try await place.signatures().manifest
        #expect(manifest.config == old && manifest.layers.count == 2 && manifest.layers.first == layer)
    }

    @Test func whoOverwritesAtTheSameTimeIsNoticed() async throws {
        let place = try await Place()
        defer { place.directory.remove() }
        _ = try await place.sign(try key(0))
        let shared = SharedLayout(place.layout, undone: 2)
        let signed = try await place.sign(try key(1), at: shared)
        #expect(signed.isNew && shared.writes.withLock { $0 } == 3)
        #expect(try await place.count(by: try key(0)) == 1)
        #expect(try await place.count(by: try key(1)) == 1)
        // Somebody who does so all the time: an error, and it may pass.
        let busy = SharedLayout(place.layout, undone: 1000)
        let error = await #expect(throws: CosignSigningError.self) {
            try await place.sign(try key(2), at: busy)
        }
        #expect(error?.isTransient == true && error?.description.contains(place.tag) == true)
        #expect(try await place.count(by: try key(0)) == 1)
    }

    @Test func whatIsNotCosignsIsLeftAlone() async throws {
        let place = try await Place()
        defer { place.directory.remove() }
        let index = try await place.layout.pushManifest(
            Array(#"{"schemaVersion":2,"mediaType":"\#(MediaType.ociIndex)","manifests":[]}"#.utf8),
            mediaType: MediaType.ociIndex, tag: place.tag, to: place.reference, deadline: place.deadline)
        let error = await #expect(throws: CosignSigningError.self) { try await place.sign(try key(0)) }
        #expect(error?.description.contains("nothing was changed") == true, "\(String(describing: error))")
        #expect(
            try await place.layout.resolve(place.reference.with(tag: place.tag), deadline: place.deadline).digest
                == index.digest)
        // A bundle has a place of its own.
        let bundle = try await place.sign(try key(0), .bundle)
        #expect(bundle.isNew && bundle.tag == nil)
    }

    @Test func aBundleIsAReferrer() async throws {
        let place = try await Place()
        defer { place.directory.remove() }
        let signed = try await place.sign(try key(0), .bundle, ["build": "7"])
        let referrers = try await place.layout.referrers(
            of: place.image, in: place.reference, artifactType: CosignMediaType.bundle, deadline: place.deadline)
        #expect(referrers.map(\.digest) == [signed.manifest.digest])
        let bytes = try await place.layout.manifest(
            signed.manifest, in: place.reference, deadline: place.deadline)
        let manifest = try Manifest(parsing: bytes, mediaType: signed.manifest.mediaType)
        #expect(manifest.subject == place.image)
        #expect(manifest.config?.mediaType == "application/vnd.oci.empty.v1+json")
        #expect(manifest.artifactType == "application/vnd.dev.sigstore.bundle.v0.3+json")
        #expect(manifest.layers.map(\.mediaType) == ["application/vnd.dev.sigstore.bundle.v0.3+json"])
        #expect(manifest.annotations["dev.sigstore.bundle.content"] == "dsse-envelope")
        #expect(manifest.annotations["dev.sigstore.bundle.predicateType"] == "https://sigstore.dev/cosign/sign/v1")
        #expect(manifest.annotations["org.opencontainers.image.created"]?.hasSuffix("Z") == true)
        var policy = BundlePolicy(keys: [try SigningKey(try key(0).publicKey)])
        policy.logThreshold = 0
        policy.annotations = ["build": "7"]
        let outcome = BundleVerifier(root: TrustedRoot()).verify(
            imageBundle: try await place.content(signed.content),
            image: try #require(ArtifactDigest(parsing: place.image.digest.description)), policy: policy)
        #expect(outcome.isVerified)
    }
}
