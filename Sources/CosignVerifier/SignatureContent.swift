import OCI
import Quotation
import Sigstore
import Verification

/// What an artifact of an image holds, fetched: the two forms that cosign's signatures have, or neither.
enum SignatureContent: Sendable {
    /// Layers of a manifest, each of which is a signature.
    case layers([Layer], total: Int)
    /// A bundle.
    case bundle(Descriptor, [UInt8])
    /// A bundle that says something about the image and does not sign it: an SBOM, a provenance.
    case attestation

    /// One layer.
    struct Layer: Sendable {
        let descriptor: Descriptor
        /// Its content, or why it is not there.
        let content: Result<[UInt8], ContentFailure>
    }

    /// How large a manifest may be.
    static let maximumManifestBytes = 4 << 20
    /// How many layers of a manifest are looked at.
    static let maximumLayers = SigstoreLimits.signatures
    /// How many are fetched at the same time.
    private static let parallelism = 4

    /// The content of an artifact.
    static func fetch(
        _ artifact: Descriptor, of subject: Descriptor, in reference: ImageReference, store: any ReferrerStore,
        deadline: ContinuousClock.Instant
    ) async throws(ContentFailure) -> SignatureContent {
        let manifest = try await manifest(artifact, of: subject, in: reference, store, deadline)
        guard isBundle(artifact, manifest) else {
            return try await layers(manifest, artifact, reference, store, deadline)
        }
        // Nobody signs annotations. One that says that this is no signature can only take from what is signed.
        if let stated = manifest.annotations[CosignAnnotation.bundlePredicateType], !stated.isEmpty,
            stated != CosignMediaType.signaturePredicate
        {
            return .attestation
        }
        guard let layer = manifest.layers.first, manifest.layers.count == 1 else {
            throw ContentFailure(
                "the manifest \(artifact.digest) has \(manifest.layers.count) layers; one with a bundle has exactly one"
            )
        }
        guard CosignMediaType.bundles.contains(layer.mediaType) else {
            throw ContentFailure(
                "the layer of the manifest \(artifact.digest) is of the media type \"\(layer.mediaType.quotedMediaType)\", not a bundle's"
            )
        }
        let bytes = try await blob(layer, SigstoreLimits.bundleBytes, "the bundle", reference, store, deadline)
        if let bundle = try? Bundle(parsing: bytes), let type = bundle.statedPredicateType,
            type != CosignMediaType.signaturePredicate
        {
            return .attestation
        }
        return .bundle(layer, bytes)
    }

    /// What the listing says decides: the manifest at the tag `sha256-<hex>.sig` does not say what it is. Where the
    /// listing does not know, the manifest does.
    private static func isBundle(_ artifact: Descriptor, _ manifest: Manifest) -> Bool {
        let types = [artifact.artifactType, manifest.effectiveArtifactType].compactMap(\.self).filter { !$0.isEmpty }
        if types.first == CosignMediaType.signatureArtifact { return false }
        return types.contains(where: CosignMediaType.bundles.contains)
    }

    private static func manifest(
        _ artifact: Descriptor, of subject: Descriptor, in reference: ImageReference, _ store: any ReferrerStore,
        _ deadline: ContinuousClock.Instant
    ) async throws(ContentFailure) -> Manifest {
        guard MediaType.manifests.contains(artifact.mediaType) else {
            throw ContentFailure(
                "the manifest \(artifact.digest) is of the media type \"\(artifact.mediaType.quotedMediaType)\", which signatures do not have"
            )
        }
        guard artifact.size <= maximumManifestBytes else {
            throw ContentFailure(
                "the manifest \(artifact.digest) has \(artifact.size) bytes; at most \(maximumManifestBytes) are accepted"
            )
        }
        let bytes: [UInt8]
        do throws(RegistryError) { bytes = try await store.manifest(artifact, in: reference, deadline: deadline) } catch
        {
            throw ContentFailure(error)
        }
        let manifest: Manifest
        do { manifest = try Manifest(parsing: bytes, mediaType: artifact.mediaType) } catch {
            throw ContentFailure("the manifest \(artifact.digest) is broken: \(error)")
        }
        // The manifest at a tag has no subject: what it signs is in the signed payload alone.
        guard manifest.subject.map({ $0.digest == subject.digest }) ?? true else {
            throw ContentFailure(
                "the manifest \(artifact.digest) is about another image, \(manifest.subject.map { "\($0.digest)" } ?? "")"
            )
        }
        return manifest
    }

    private static func layers(
        _ manifest: Manifest, _ artifact: Descriptor, _ reference: ImageReference, _ store: any ReferrerStore,
        _ deadline: ContinuousClock.Instant
    ) async throws(ContentFailure) -> SignatureContent {
        guard !manifest.layers.isEmpty else {
            throw ContentFailure("the manifest \(artifact.digest) has no layers, and so no signature")
        }
        let descriptors = Array(manifest.layers.prefix(maximumLayers))
        @Sendable func fetched(_ descriptor: Descriptor) async -> Layer {
            do throws(ContentFailure) {
                guard descriptor.mediaType == CosignMediaType.simpleSigning else {
                    throw ContentFailure(
                        "the layer \(descriptor.digest) is of the media type \"\(descriptor.mediaType.quotedMediaType)\", not "
                            + CosignMediaType.simpleSigning)
                }
                let bytes = try await blob(
                    descriptor, SigstoreLimits.payloadBytes, "the layer", reference, store, deadline)
                return Layer(descriptor: descriptor, content: .success(bytes))
            } catch { return Layer(descriptor: descriptor, content: .failure(error)) }
        }
        if descriptors.count == 1 { return .layers([await fetched(descriptors[0])], total: manifest.layers.count) }
        let layers = await withTaskGroup(of: (Int, Layer).self) { group in
            var next = 0
            func startNext() {
                guard next < descriptors.count else { return }
                let index = next
                next += 1
                group.addTask { (index, await fetched(descriptors[index])) }
            }
            for _ in 0..<parallelism { startNext() }
            var layers: [(index: Int, layer: Layer)] = []
            for await layer in group {
                layers.append(layer)
                startNext()
            }
            return layers.sorted { $0.index < $1.index }.map(\.layer)
        }
        return .layers(layers, total: manifest.layers.count)
    }

    private static func blob(
        _ descriptor: Descriptor, _ maximumBytes: Int, _ what: String, _ reference: ImageReference,
        _ store: any ReferrerStore, _ deadline: ContinuousClock.Instant
    ) async throws(ContentFailure) -> [UInt8] {
        guard descriptor.size <= maximumBytes else {
            throw ContentFailure(
                "\(what) \(descriptor.digest) has \(descriptor.size) bytes; at most \(maximumBytes) are accepted")
        }
        do throws(RegistryError) {
            return try await store.blob(descriptor, in: reference, maximumBytes: maximumBytes, deadline: deadline)
        } catch { throw ContentFailure(error) }
    }
}

/// Why an artifact, or a layer of it, holds no signature.
struct ContentFailure: Error, Hashable, Sendable, CustomStringConvertible {
    let description: String
    /// Whether it says nothing about the artifact.
    var isTransient = false
    var isConfiguration = false

    init(_ description: String) { self.description = description }

    init(_ error: RegistryError) {
        description = error.description
        isTransient = error.isTransient
        isConfiguration = error.isConfiguration
    }
}
