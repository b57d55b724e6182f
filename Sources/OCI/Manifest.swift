import Quotation
import StrictJSON

/// A manifest that has content: an OCI image manifest, a Docker image manifest or an OCI artifact manifest.
public struct Manifest: Hashable, Sendable {
    /// Its media type.
    public var mediaType: String
    /// The artifact type that it states; see ``effectiveArtifactType``.
    public var artifactType: String?
    /// The configuration; artifact manifests have none.
    public var config: Descriptor?
    /// The layers, or the blobs of an artifact manifest.
    public var layers: [Descriptor]
    /// What it refers to.
    public var subject: Descriptor?
    /// Annotations; empty when there are none.
    public var annotations: [String: String]

    /// An OCI image manifest with the given fields.
    public init(
        artifactType: String? = nil, config: Descriptor, layers: [Descriptor], subject: Descriptor? = nil,
        annotations: [String: String] = [:]
    ) {
        self.mediaType = MediaType.ociManifest
        self.artifactType = artifactType
        self.config = config
        self.layers = layers
        self.subject = subject
        self.annotations = annotations
    }

    /// Parses a manifest.
    ///
    /// - Parameter mediaType: what its descriptor, or the registry, says it is. A `mediaType` inside must agree, so
    ///   that one content cannot be two things (image specification, "Image Manifest Property Descriptions").
    /// - Throws: ``ManifestError`` naming the member that is missing or wrong.
    public init(parsing content: [UInt8], mediaType: String) throws(ManifestError) {
        guard MediaType.manifests.contains(mediaType) else {
            throw ManifestError("\"\(mediaType.quotedMediaType)\" is not a manifest type that is supported")
        }
        let document = try ManifestDocument(content, mediaType: mediaType, foreignMember: "manifests")
        self.mediaType = mediaType
        artifactType = try document.string("artifactType")
        subject = try document.descriptor("subject")
        annotations = try document.annotations()
        if mediaType == MediaType.artifactManifest {
            config = nil
            layers = try document.descriptors("blobs") ?? []
            return
        }
        guard let config = try document.descriptor("config") else { throw ManifestError("config is missing") }
        guard let layers = try document.descriptors("layers") else { throw ManifestError("layers is missing") }
        self.config = config
        self.layers = layers
    }

    /// The artifact type that referrers listings go by: the manifest's own, or its configuration's media type
    /// (distribution specification, "Listing Referrers").
    public var effectiveArtifactType: String? {
        if let artifactType, !artifactType.isEmpty { return artifactType }
        return config?.mediaType
    }

    /// This manifest as JSON.
    public var json: JSONValue {
        var object = JSONObject()
        let isArtifact = mediaType == MediaType.artifactManifest
        if !isArtifact { object["schemaVersion"] = 2 }
        object["mediaType"] = .string(mediaType)
        if let artifactType { object["artifactType"] = .string(artifactType) }
        if let config { object["config"] = config.json }
        object[isArtifact ? "blobs" : "layers"] = .array(layers.map(\.json))
        if let subject { object["subject"] = subject.json }
        if !annotations.isEmpty { object["annotations"] = annotationsJSON(annotations) }
        return .object(object)
    }
}

/// Why content is not a ``Manifest`` or an ``Index``.
public struct ManifestError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong, for a person.
    public let description: String

    init(_ description: String) { self.description = description }
}

/// Annotations as a JSON object, sorted by name.
func annotationsJSON(_ annotations: [String: String]) -> JSONValue {
    var members = JSONObject()
    for name in annotations.keys.sorted() { members[name] = annotations[name].map(JSONValue.string) }
    return .object(members)
}
