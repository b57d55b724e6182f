import OCI
import Sigstore
import StrictJSON

/// The manifest with an image's signatures in cosign's form before version 3, and how one more is added to it: in the
/// shape that cosign writes, and leaving all else in it as it is.
struct CosignSignatures: Sendable {
    /// The manifest's descriptor; `nil` while there is none.
    let descriptor: Descriptor?
    /// The manifest.
    let manifest: Manifest?
    private let object: JSONObject

    /// Media types of the configurations that list the layers.
    private static let imageConfigurations = [
        "application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json",
    ]
    private static let maximumConfigurationBytes = 4 << 20

    /// No signatures yet.
    init() {
        descriptor = nil
        manifest = nil
        object = JSONObject()
    }

    /// Signatures that are there.
    init(descriptor: Descriptor, manifest: Manifest, object: JSONObject) {
        self.descriptor = descriptor
        self.manifest = manifest
        self.object = object
    }

    /// The manifest's media type.
    var mediaType: String { descriptor?.mediaType ?? MediaType.ociManifest }

    /// The manifest with one more layer. A new configuration is pushed.
    func adding(
        _ layer: Descriptor, to store: any ReferrerStore & ArtifactPushing, at place: ImageReference,
        _ deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> JSONValue {
        guard let manifest else {
            let configuration = try await push(Self.configuration(of: layer), to: store, place, deadline)
            return Manifest(config: configuration, layers: [layer]).json
        }
        var object = object
        // An artifact manifest has blobs, and no configuration.
        let name = manifest.mediaType == MediaType.artifactManifest ? "blobs" : "layers"
        object[name] = .array((object[name]?.array ?? []) + [layer.json])
        if let old = manifest.config, Self.imageConfigurations.contains(old.mediaType),
            let changed = try await configuration(old, adding: layer, store, place, deadline)
        {
            let pushed = try await push(changed, old.mediaType, to: store, place, deadline)
            object["config"] = pushed.json
        }
        return .object(object)
    }

    private func push(
        _ configuration: JSONValue, _ mediaType: String = imageConfigurations[0],
        to store: any ReferrerStore & ArtifactPushing, _ place: ImageReference, _ deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> Descriptor {
        try await store.pushBlob(configuration.bytes, mediaType: mediaType, to: place, deadline: deadline)
    }

    /// What cosign writes for the first signature. The layers are not compressed: their digests are those of their
    /// content.
    private static func configuration(of layer: Descriptor) -> JSONValue {
        [
            "architecture": "", "created": "0001-01-01T00:00:00Z", "history": [["created": "0001-01-01T00:00:00Z"]],
            "os": "", "rootfs": ["type": "layers", "diff_ids": [.string(layer.digest.description)]], "config": [:],
        ]
    }

    /// The configuration with one more layer; `nil` where it is not one that lists this manifest's layers, and stays.
    private func configuration(
        _ descriptor: Descriptor, adding layer: Descriptor, _ store: any ReferrerStore & ArtifactPushing,
        _ place: ImageReference, _ deadline: ContinuousClock.Instant
    ) async throws(RegistryError) -> JSONValue? {
        let bytes: [UInt8]
        do {
            bytes = try await store.blob(
                descriptor, in: place, maximumBytes: Self.maximumConfigurationBytes, deadline: deadline)
        } catch {
            guard error.isTransient else { return nil }
            throw error
        }
        guard var object = (try? StrictJSON.parse(bytes))?.object, var root = object["rootfs"]?.object,
            let layers = root["diff_ids"]?.array, layers.count == manifest?.layers.count
        else { return nil }
        root["diff_ids"] = .array(layers + [.string(layer.digest.description)])
        object["rootfs"] = .object(root)
        if let history = object["history"]?.array {
            object["history"] = .array(history + [["created": "0001-01-01T00:00:00Z"]])
        }
        return .object(object)
    }
}
