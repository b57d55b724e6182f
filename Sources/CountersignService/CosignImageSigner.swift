import Encoding
import FoundationEssentials
import OCI
import Quotation
import Sigstore
import StrictJSON

/// Signs images as cosign does, and pushes the signatures to where cosign looks for them.
package struct CosignImageSigner: Sendable {
    /// The forms of cosign's signatures.
    package enum Form: String, Sendable, CaseIterable {
        /// A bundle as a referrer of the image: cosign 3.
        case bundle
        /// A layer of the manifest at the tag `sha256-<hex>.sig`: cosign before version 3.
        case legacy
    }

    /// A signature that is where cosign finds it.
    package struct Signed: Sendable {
        /// Its form.
        package let form: Form
        /// The manifest that it is in.
        package let manifest: Descriptor
        /// The bundle, or the signed payload.
        package let content: Descriptor
        /// The tag of the manifest; `nil` for a bundle.
        package let tag: String?
        /// How many signatures the manifest has.
        package let count: Int
        /// Whether it was made now: a payload that the key has signed in the past is not signed again.
        package let isNew: Bool
    }

    private let signer: CosignSigner
    private let store: any ReferrerStore & ArtifactPushing

    /// How many layers of a manifest cosign reads.
    private static let maximumLayers = 1000
    /// How often the manifest of a tag is written when somebody else changes it meanwhile.
    private static let maximumRounds = 6

    /// A signer of images in a store.
    package init(signer: CosignSigner, store: any ReferrerStore & ArtifactPushing) {
        self.signer = signer
        self.store = store
    }

    /// Signs an image and pushes the signature, which was verified before.
    ///
    /// - Parameters:
    ///   - image: the image's manifest.
    ///   - reference: the repository that it is in.
    ///   - form: how the signature is stored.
    ///   - annotations: what is signed beside.
    ///   - now: the time in the annotations of a bundle's manifest, which nobody signs.
    ///   - deadline: when the push must have come to its end.
    package func sign(
        _ image: Descriptor, in reference: ImageReference, as form: Form, annotations: [String: String], now: Date,
        deadline: ContinuousClock.Instant
    ) async throws(CosignSigningError) -> Signed {
        guard let digest = ArtifactDigest(parsing: image.digest.description) else {
            throw CosignSigningError("the image's digest \(image.digest) cannot be signed")
        }
        switch form {
        case .bundle:
            let bundle = try await signer.bundle(signing: digest, annotations: annotations, deadline: deadline)
            return try await pushing { () async throws(RegistryError) in
                try await push(bundle: bundle, of: image, in: reference, now: now, deadline)
            }
        case .legacy:
            guard let tag = image.digest.cosignSignatureTag else {
                throw CosignSigningError(
                    "cosign's signatures before version 3 are at a tag made of the image's digest, and \(image.digest) is too "
                        + "long for one: sign with a bundle")
            }
            let layer = try await signer.layer(
                signing: digest, name: Self.name(reference), annotations: annotations, deadline: deadline)
            return try await pushing { () async throws(RegistryError) in
                try await push(layer, of: image, digest, annotations, reference.with(tag: tag), tag, deadline)
            }
        }
    }

    /// The repository as cosign names it, which has a name of its own for Docker Hub.
    private static func name(_ reference: ImageReference) -> String {
        reference.registry == RegistryName.dockerHub
            ? "index.docker.io/\(reference.repository)" : reference.writtenScopeName
    }

    private func pushing(
        _ work: () async throws(RegistryError) -> Signed
    ) async throws(CosignSigningError) -> Signed {
        do { return try await work() } catch {
            throw CosignSigningError(
                "the signature was made but not pushed: \(error)", isTransient: error.isTransient)
        }
    }

    // MARK: Bundles

    private func push(
        bundle: [UInt8], of image: Descriptor, in reference: ImageReference, now: Date,
        _ deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> Signed {
        let layer = try await store.pushBlob(
            bundle, mediaType: CosignMediaType.bundle, to: reference, deadline: deadline)
        let config = try await store.pushBlob(
            Array("{}".utf8), mediaType: MediaType.emptyJSON, to: reference, deadline: deadline)
        let annotations = [
            "org.opencontainers.image.created": UTC.text(now),
            CosignAnnotation.bundleContent: "dsse-envelope",
            CosignAnnotation.bundlePredicateType: CosignMediaType.signaturePredicate,
        ]
        let manifest = Manifest(
            artifactType: CosignMediaType.bundle, config: config, layers: [layer],
            subject: Descriptor(mediaType: image.mediaType, digest: image.digest, size: image.size),
            annotations: annotations)
        let pushed = try await store.pushReferrer(
            manifest.json.bytes, mediaType: MediaType.ociManifest, subject: image,
            artifactType: CosignMediaType.bundle, annotations: annotations, to: reference, deadline: deadline)
        return Signed(form: .bundle, manifest: pushed, content: layer, tag: nil, count: 1, isNew: true)
    }

    // MARK: Layers

    /// Reads the manifest, adds the layer to it, writes it, and looks whether it stayed. Others may do the same at this
    /// moment, and registries have no conditional writes: what is written right after the last look is lost, with this
    /// program as with cosign.
    private func push(
        _ layer: CosignSigner.Layer, of image: Descriptor, _ digest: ArtifactDigest, _ annotations: [String: String],
        _ place: ImageReference, _ tag: String, _ deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> Signed {
        let content = try await store.pushBlob(
            layer.payload, mediaType: CosignMediaType.simpleSigning, to: place, deadline: deadline)
        var own = content
        own.annotations = layer.annotations
        for round in 1...Self.maximumRounds {
            let signatures = try await signatures(of: image, at: place, isLast: round > 1, deadline)
            let known = signatures.manifest?.layers.first { other in
                other.digest == content.digest && other.mediaType == CosignMediaType.simpleSigning
                    && signer.hasSigned(
                        layer.payload, annotations: other.annotations, image: digest, annotations: annotations)
            }
            if let descriptor = signatures.descriptor, known != nil {
                return Signed(
                    form: .legacy, manifest: descriptor, content: content, tag: tag,
                    count: signatures.manifest?.layers.count ?? 0, isNew: round > 1)
            }
            guard round < Self.maximumRounds else { break }
            let manifest = try await signatures.adding(own, to: store, at: place, deadline)
            let pushed = try await store.pushManifest(
                manifest.bytes, mediaType: signatures.mediaType, tag: tag, to: place, deadline: deadline)
            store.forget(pushed, of: place)
        }
        throw fault(.unavailable, place, "someone else changes it all the time; try again")
    }

    /// What is at the tag.
    private func signatures(
        of image: Descriptor, at place: ImageReference, isLast: Bool, _ deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> CosignSignatures {
        let descriptor: Descriptor
        do { descriptor = try await store.resolve(place, deadline: deadline) } catch {
            guard error.kind == .notFound else { throw error }
            return CosignSignatures()
        }
        guard descriptor.digest != image.digest else {
            // Some registries take the tag for the digest that is in it: it may still be free to be written.
            guard !isLast else {
                throw fault(
                    .refused, place,
                    "the registry goes on answering this tag with the image itself, so that nobody finds what was written: sign "
                        + "with a bundle, or use another registry")
            }
            return CosignSignatures()
        }
        guard MediaType.manifests.contains(descriptor.mediaType) else {
            throw fault(
                .malformed, place,
                "it is \(descriptor.mediaType.quotedMediaType), which cosign's signatures are not; nothing was changed")
        }
        let bytes = try await store.manifest(descriptor, in: place, deadline: deadline)
        guard let manifest = try? Manifest(parsing: bytes, mediaType: descriptor.mediaType),
            let object = (try? StrictJSON.parse(bytes))?.object
        else { throw fault(.malformed, place, "it is no manifest that can be read; nothing was changed") }
        guard manifest.layers.count < Self.maximumLayers else {
            throw fault(
                .tooMany, place,
                "it has \(manifest.layers.count) signatures, and cosign reads at most \(Self.maximumLayers): remove old ones"
            )
        }
        return CosignSignatures(descriptor: descriptor, manifest: manifest, object: object)
    }

    private func fault(_ kind: RegistryError.Kind, _ place: ImageReference, _ detail: String) -> RegistryError {
        RegistryError(kind, host: place.endpoint, subject: place.pathDescription, detail: detail)
    }
}
