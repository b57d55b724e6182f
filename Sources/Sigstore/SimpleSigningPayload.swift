import Quotation
import StrictJSON

/// A simple signing payload: what cosign signed before version 3 to sign an image (containers/image,
/// `containers-signature(5)`, "JSON data format", with the type that cosign gives it).
///
/// Members beside the known ones are refused in all but `optional`, as the specification demands.
public struct SimpleSigningPayload: Hashable, Sendable {
    /// The digest of the signed image's manifest.
    public let imageDigest: ArtifactDigest
    /// What the signer called the image; empty where it is not said. cosign gives it no meaning, and nothing is decided
    /// by it.
    public let dockerReference: String
    /// What the signer said beside (`cosign sign -a name=value`).
    public let optional: JSONObject

    /// The type of cosign's payloads.
    public static let type = "cosign container image signature"

    /// Reads a payload. Whatever cannot be read signs no image.
    init(parsing payload: [UInt8]) throws(ArtifactSignatureError) {
        let json: JSONValue
        do { json = try StrictJSON.parse(payload, maximumDepth: 16, maximumValues: 10_000) } catch {
            throw Self.fault("it is not JSON: \(error)")
        }
        do throws(ProtobufMessage.Fault) {
            let message = try ProtobufMessage(json)
            try message.only("critical", "optional")
            let critical = try message.requiredMessage("critical")
            try critical.only("type", "image", "identity")
            let type = try critical.requiredText("type")
            guard isSame(type, Self.type) else {
                throw critical.fault("the type is \"\(type.quoted)\", expected \"\(Self.type)\"")
            }
            imageDigest = try Self.digest(critical.requiredMessage("image"))
            let identity = try critical.requiredMessage("identity")
            try identity.only("docker-reference")
            dockerReference = try identity.text("docker-reference") ?? ""
        } catch {
            throw Self.fault(error.description)
        }
        switch json["optional"] {
        case nil, .null?: optional = JSONObject()
        case .object(let object)?: optional = object
        case let other?: throw Self.fault("optional: it is \(other.kind), expected an object")
        }
    }

    private static func digest(_ image: ProtobufMessage) throws(ProtobufMessage.Fault) -> ArtifactDigest {
        // cosign before version 1.0 wrote the name with a capital letter, and its specification shows it like that.
        let names = ["docker-manifest-digest", "Docker-manifest-digest"]
        try image.only(names[0], names[1])
        let present = names.filter { image.has($0) }
        guard present.count == 1 else {
            throw image.fault("expected the member \"\(names[0])\" once, found it \(present.count) times")
        }
        let text = try image.requiredText(present[0])
        guard let digest = ArtifactDigest(parsing: text) else {
            throw image.fault("\"\(text.quoted)\" is not a digest: sha256, sha384 or sha512 in lower-case hexadecimal")
        }
        return digest
    }

    private static func fault(_ problem: String) -> ArtifactSignatureError {
        ArtifactSignatureError(
            .malformedPayload, "the signed payload is no simple signing payload of cosign: \(problem)")
    }
}
