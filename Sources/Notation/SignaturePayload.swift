import Encoding
import OCI
import Quotation
import StrictJSON

/// The payload of a signature (signature specification, "Payload"): which artifact was signed, and the user metadata
/// that was signed with it.
public struct SignaturePayload: Hashable, Sendable {
    /// The artifact; its annotations are the user metadata.
    public let targetArtifact: Descriptor

    private static let descriptorNames = [
        "mediaType", "digest", "size", "annotations", "urls", "data", "platform", "artifactType",
    ]

    /// A payload for an artifact. Of the descriptor, media type, digest, size and annotations count.
    public init(targetArtifact: Descriptor) {
        self.targetArtifact = Descriptor(
            mediaType: targetArtifact.mediaType, digest: targetArtifact.digest, size: targetArtifact.size,
            annotations: targetArtifact.annotations)
    }

    /// Reads the payload of an envelope. Unknown members are ignored.
    public init(_ envelope: SignatureEnvelope) throws(EnvelopeError) {
        if let value = envelope.payloadJSON {
            try self.init(json: value)
        } else {
            try self.init(parsing: envelope.payload)
        }
    }

    /// Reads a payload. Unknown members are ignored.
    public init(parsing bytes: [UInt8]) throws(EnvelopeError) {
        let value: JSONValue
        do { value = try StrictJSON.parse(bytes, maximumValues: SignatureEnvelope.maximumValues) } catch {
            throw EnvelopeError(.payload, "the payload is not valid JSON: \(error)")
        }
        try self.init(json: value)
    }

    private init(json value: JSONValue) throws(EnvelopeError) {
        guard let object = value.object else {
            throw EnvelopeError(.payload, "the payload is \(value.kind), not an object")
        }
        guard let target = object["targetArtifact"], let members = target.object else {
            throw EnvelopeError(.payload, "the payload has no \"targetArtifact\"")
        }
        let variant =
            NotaryName.caseVariant(in: object.names, of: ["targetArtifact"])
            ?? NotaryName.caseVariant(in: members.names, of: Self.descriptorNames)
        if let variant {
            throw EnvelopeError(
                .payload, "the payload has the member \"\(variant.quoted)\", a known name in another case")
        }
        try Self.checkUnused(members)
        do { targetArtifact = try Descriptor(json: target) } catch {
            throw EnvelopeError(.payload, "the payload's targetArtifact is not a descriptor: \(error)")
        }
    }

    /// Members of a descriptor that decide nothing here must still be what the image specification says ("Content
    /// Descriptors"): "this MUST be a valid OCI descriptor" (signature specification, "Payload").
    private static func checkUnused(_ members: JSONObject) throws(EnvelopeError) {
        func isAbsent(_ name: String) -> Bool { members[name].map(\.isNull) ?? true }
        let isData = isAbsent("data") || members["data"]?.string.flatMap { Base64.decode($0) } != nil
        let isPlatform = isAbsent("platform") || members["platform"]?.object.map(isPlatformValid) ?? false
        guard isAbsent("artifactType") || members["artifactType"]?.string != nil,
            isAbsent("urls") || members["urls"]?.strings != nil, isData, isPlatform
        else { throw EnvelopeError(.payload, "the payload's targetArtifact is not a valid OCI descriptor") }
    }

    private static func isPlatformValid(_ platform: JSONObject) -> Bool {
        let texts = ["architecture", "os", "os.version", "variant"]
        return platform.members.allSatisfy { member in
            if member.value.isNull { return true }
            if texts.contains(member.name) { return member.value.string != nil }
            return member.name != "os.features" || member.value.strings != nil
        }
    }

    /// Whether the payload is about an artifact: the same media type, digest and size, byte for byte, and nothing else
    /// counts (trust store and trust policy specification, "Validate Integrity").
    public func isAbout(_ subject: Descriptor) -> Bool {
        targetArtifact.digest == subject.digest && targetArtifact.size == subject.size
            && targetArtifact.mediaType.utf8.elementsEqual(subject.mediaType.utf8)
    }

    /// The first of some metadata that the payload does not have with exactly that value; `nil` when it has them all.
    func firstMissing(of metadata: [String: String]) -> String? {
        metadata.keys.sorted().first { name in
            !targetArtifact.annotations.contains { annotation in
                annotation.key.utf8.elementsEqual(name.utf8)
                    && annotation.value.utf8.elementsEqual((metadata[name] ?? "").utf8)
            }
        }
    }

    /// The payload as the reference implementation writes it, members in the order that it has in each format.
    func json(_ format: EnvelopeFormat) -> JSONValue {
        var annotations = JSONObject()
        for name in targetArtifact.annotations.keys.sorted(by: { $0.utf8.lexicographicallyPrecedes($1.utf8) }) {
            annotations[name] = targetArtifact.annotations[name].map(JSONValue.string)
        }
        let members: [(String, JSONValue)] = [
            ("mediaType", .string(targetArtifact.mediaType)), ("digest", .string(targetArtifact.digest.description)),
            ("size", .number(String(targetArtifact.size))),
            ("annotations", .object(annotations)),
        ]
        var target = JSONObject()
        for (name, value) in format == .jws ? members.sorted(by: { $0.0 < $1.0 }) : members {
            if name != "annotations" || !annotations.isEmpty { target[name] = value }
        }
        return ["targetArtifact": .object(target)]
    }
}
