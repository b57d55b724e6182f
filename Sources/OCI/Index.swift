import Quotation
import StrictJSON

/// A manifest that lists manifests: an OCI image index, a Docker manifest list, a referrers response.
public struct Index: Hashable, Sendable {
    /// Its media type.
    public var mediaType: String
    /// The artifact type that it states.
    public var artifactType: String?
    /// The manifests that it lists.
    public var manifests: [Descriptor]
    /// What it refers to.
    public var subject: Descriptor?
    /// Annotations; empty when there are none.
    public var annotations: [String: String]

    /// An OCI image index with the given manifests.
    public init(
        manifests: [Descriptor], artifactType: String? = nil, subject: Descriptor? = nil,
        annotations: [String: String] = [:]
    ) {
        self.mediaType = MediaType.ociIndex
        self.artifactType = artifactType
        self.manifests = manifests
        self.subject = subject
        self.annotations = annotations
    }

    /// Parses an index.
    ///
    /// - Parameter mediaType: what its descriptor, or the registry, says it is. A `mediaType` inside must agree.
    /// - Throws: ``ManifestError`` naming the member that is missing or wrong.
    public init(parsing content: [UInt8], mediaType: String = MediaType.ociIndex) throws(ManifestError) {
        guard MediaType.indexes.contains(mediaType) else {
            throw ManifestError("\"\(mediaType.quotedMediaType)\" is not an index type that is supported")
        }
        let document = try ManifestDocument(content, mediaType: mediaType, foreignMember: "layers")
        self.mediaType = mediaType
        artifactType = try document.string("artifactType")
        subject = try document.descriptor("subject")
        annotations = try document.annotations()
        guard let manifests = try document.descriptors("manifests") else { throw ManifestError("manifests is missing") }
        self.manifests = manifests
    }

    /// This index as JSON.
    public var json: JSONValue {
        var object: JSONObject = ["schemaVersion": 2, "mediaType": .string(mediaType)]
        if let artifactType { object["artifactType"] = .string(artifactType) }
        object["manifests"] = .array(manifests.map(\.json))
        if let subject { object["subject"] = subject.json }
        if !annotations.isEmpty { object["annotations"] = annotationsJSON(annotations) }
        return .object(object)
    }
}
