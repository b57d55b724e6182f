import StrictJSON

/// A content descriptor (OCI image specification, "Content Descriptors"): what a piece of content is, its digest and
/// its size.
public struct Descriptor: Hashable, Sendable {
    /// The media type of the content.
    public var mediaType: String
    /// The digest of the content.
    public var digest: Digest
    /// The size of the content in bytes, never negative.
    public var size: Int64
    /// The artifact type, in a descriptor that points to an artifact's manifest. In a listing of referrers it is empty
    /// where the manifest states none, and `nil` where it could not be learned.
    public var artifactType: String?
    /// Annotations; empty when there are none.
    public var annotations: [String: String]
    /// What a manifest is for, where an index lists it and says so.
    public var platform: Platform?

    /// A descriptor with the given fields.
    public init(
        mediaType: String, digest: Digest, size: Int64, artifactType: String? = nil,
        annotations: [String: String] = [:], platform: Platform? = nil
    ) {
        self.mediaType = mediaType
        self.digest = digest
        self.size = size
        self.artifactType = artifactType
        self.annotations = annotations
        self.platform = platform
    }

    /// The descriptor of some content.
    public init(
        of content: [UInt8], mediaType: String, artifactType: String? = nil, annotations: [String: String] = [:]
    ) {
        self.init(
            mediaType: mediaType, digest: Digest(of: content), size: Int64(content.count), artifactType: artifactType,
            annotations: annotations)
    }

    /// Reads a descriptor from JSON. Members that are not known are ignored, as the specification asks.
    ///
    /// - Throws: ``DescriptorError`` naming the field that is missing or wrong.
    public init(json: JSONValue) throws(DescriptorError) {
        guard let object = json.object else { throw DescriptorError(field: "", problem: "is not an object") }
        guard let mediaType = object["mediaType"]?.string, !mediaType.isEmpty else {
            throw DescriptorError(field: "mediaType", problem: "is missing or not a string")
        }
        guard let digestText = object["digest"]?.string else {
            throw DescriptorError(field: "digest", problem: "is missing or not a string")
        }
        guard let size = object["size"]?.integer, size >= 0 else {
            throw DescriptorError(field: "size", problem: "is missing or not a whole number of at least 0")
        }
        let digest: Digest
        do { digest = try Digest(parsing: digestText) } catch {
            // What a registry wrote in its place may be what it was sent.
            throw DescriptorError(
                field: "digest", problem: "is wrong: expected \(DigestError.expectation)")
        }
        var annotations: [String: String] = [:]
        switch object["annotations"] {
        case nil, .null: break
        case .object(let members):
            for (name, value) in members.members {
                guard let text = value.string else {
                    throw DescriptorError(field: "annotations", problem: "has a value that is not a string")
                }
                annotations[name] = text
            }
        default: throw DescriptorError(field: "annotations", problem: "is not an object")
        }
        let artifactType: String?
        switch object["artifactType"] {
        case nil, .null, .string(""): artifactType = nil
        case .string(let text): artifactType = text
        default: throw DescriptorError(field: "artifactType", problem: "is not a string")
        }
        self.init(
            mediaType: mediaType, digest: digest, size: size, artifactType: artifactType, annotations: annotations,
            platform: object["platform"].flatMap(Platform.init(json:)))
    }

    /// This descriptor as JSON, annotations sorted by name.
    public var json: JSONValue {
        var object: JSONObject = [
            "mediaType": .string(mediaType), "digest": .string(digest.description), "size": .number(String(size)),
        ]
        if let artifactType, !artifactType.isEmpty { object["artifactType"] = .string(artifactType) }
        if !annotations.isEmpty {
            var members = JSONObject()
            for name in annotations.keys.sorted() { members[name] = annotations[name].map(JSONValue.string) }
            object["annotations"] = .object(members)
        }
        if let platform { object["platform"] = platform.json }
        return .object(object)
    }
}

/// Why a JSON value is not a ``Descriptor``.
public struct DescriptorError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The member at fault; empty for the descriptor itself.
    public let field: String
    /// What is wrong with it.
    public let problem: String

    /// What is wrong, for a person.
    public var description: String {
        field.isEmpty ? "the descriptor \(problem)" : "the descriptor's \(field) \(problem)"
    }
}

extension Descriptor {
    /// This descriptor without its annotations: whoever keeps a thousand of them for a while, and needs none of what
    /// strangers have written there.
    package var withoutAnnotations: Descriptor {
        var bare = self
        bare.annotations = [:]
        return bare
    }
}
