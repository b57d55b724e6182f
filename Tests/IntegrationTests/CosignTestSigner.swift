import OCI
import PKI
import Sigstore
import SigstoreTestSupport
import StrictJSON
import TestSupport

/// Signs images as cosign does, with a key or an identity of an instance in this process.
struct CosignTestSigner: Sendable {
    let instance: TestInstance
    let key: PrivateKey?

    /// A signer with a key, whose signatures are in no log.
    init() throws {
        instance = try TestInstance()
        key = try PrivateKey.generate(.ec(.p256))
    }

    /// A signer with certificates of an instance.
    init(_ instance: TestInstance) {
        self.instance = instance
        key = nil
    }

    /// The public key in PEM.
    var pem: String { PEM(label: "PUBLIC KEY", der: key?.publicKey.spkiDER ?? []).text }

    private var options: TestInstance.Options {
        var options = TestInstance.Options()
        options.managedKey = key
        if key != nil { options.logs = [] }
        return options
    }

    private static var deadline: ContinuousClock.Instant { .now + .seconds(60) }

    /// A layer that signs an image.
    func layer(_ image: Descriptor, annotations: JSONValue = .null) throws -> TestInstance.Layer {
        let digest = ArtifactDigest(parsing: image.digest.description) ?? TestInstance.image
        return try instance.signLayer(options, payload: TestInstance.payload(digest, annotations: annotations))
    }

    /// Signs as cosign before version 3: at the tag.
    func sign(_ image: Descriptor, in repository: Repository) async throws {
        try await CosignTestSigner.push([try layer(image)], for: image, in: repository)
    }

    /// Pushes layers to the tag of an image.
    static func push(_ layers: [TestInstance.Layer], for image: Descriptor, in repository: Repository) async throws {
        let (destination, reference) = (repository.destination, repository.reference)
        var descriptors: [Descriptor] = []
        for layer in layers {
            var descriptor = try await destination.pushBlob(
                layer.payload, mediaType: CosignMediaType.simpleSigning, to: reference, deadline: deadline)
            descriptor.annotations = layer.annotations
            descriptors.append(descriptor)
        }
        let config = try await destination.pushBlob(
            Array("{}".utf8), mediaType: "application/vnd.oci.image.config.v1+json", to: reference, deadline: deadline)
        _ = try await destination.pushManifest(
            Manifest(config: config, layers: descriptors).json.bytes, mediaType: MediaType.ociManifest,
            tag: image.digest.cosignSignatureTag, to: reference, deadline: deadline)
    }

    /// Attaches a bundle, as cosign 3 does: a signature, or an attestation of another type.
    func attach(
        _ image: Descriptor, in repository: Repository, predicateType: String = CosignMediaType.signaturePredicate
    ) async throws {
        let (destination, reference) = (repository.destination, repository.reference)
        let digest = ArtifactDigest(parsing: image.digest.description) ?? TestInstance.image
        let bundle = try instance.signImage(options, digest, predicateType: predicateType)
        let layer = try await destination.pushBlob(
            bundle.bytes, mediaType: CosignMediaType.bundle, to: reference, deadline: Self.deadline)
        let config = try await destination.pushBlob(
            Array("{}".utf8), mediaType: MediaType.emptyJSON, to: reference, deadline: Self.deadline)
        let annotations = [CosignAnnotation.bundlePredicateType: predicateType]
        let manifest = Manifest(
            artifactType: CosignMediaType.bundle, config: config, layers: [layer], subject: image,
            annotations: annotations)
        _ = try await destination.pushReferrer(
            manifest.json.bytes, mediaType: MediaType.ociManifest, subject: image,
            artifactType: CosignMediaType.bundle, annotations: annotations, to: reference, deadline: Self.deadline)
    }
}
