import Quotation
import StrictJSON
import Verification

/// Why a request of Kyverno's route is not understood: what is wrong, where, and what is expected.
struct KyvernoRequestError: Error, Sendable, Hashable, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description.boundedQuote }
}

/// What Kyverno asks: the images of a resource, and what makes them good.
struct KyvernoRequest: Sendable {
    /// The images, never empty.
    let images: [KyvernoImage]
    /// The namespace whose configuration applies before the cluster's.
    let namespace: String?
    /// Images that match none are skipped; `nil` verifies all.
    let imageReferences: [ImagePattern]?
    /// Images that match one are skipped.
    let skipImageReferences: [ImagePattern]
    /// Who must have signed, beside what the configuration asks for.
    let attestors: [AttestorSet]
    /// Whether patches are wanted.
    let mutatesDigest: Bool
    /// Whether an image without a digest is refused.
    let verifiesDigest: Bool
    /// Whether a waiver of the trust policy is not enough.
    let isRequired: Bool

    private static let members = [
        "resource", "images", "namespace", "imageReferences", "skipImageReferences", "attestors", "mutateDigest",
        "verifyDigest", "required",
    ]

    /// Reads a request's body.
    ///
    /// A member that is not known is an error: it may be a restriction that the policy's author relies on.
    init(body: [UInt8], maximumImages: Int) throws(KyvernoRequestError) {
        let value: JSONValue
        do { value = try StrictJSON.parse(body) } catch {
            throw KyvernoRequestError("the request body is not JSON: \(error)")
        }
        guard let object = value.object else {
            throw KyvernoRequestError("the request body is \(value.kind), expected an object")
        }
        if let unknown = object.names.first(where: { !KyvernoRequest.members.contains($0) }) {
            throw KyvernoRequestError(
                "member \"\(unknown.quoted)\" is not known: expected "
                    + KyvernoRequest.members.joined(separator: ", "))
        }
        images = try KyvernoRequest.images(object, maximum: maximumImages)
        namespace = try KyvernoRequest.string(object, "namespace").flatMap { $0.isEmpty ? nil : $0 }
        let references = try KyvernoRequest.patterns(object, "imageReferences")
        if let references, references.isEmpty {
            throw KyvernoRequestError("imageReferences is empty: leave it out to verify every image")
        }
        imageReferences = references
        skipImageReferences = try KyvernoRequest.patterns(object, "skipImageReferences") ?? []
        attestors = try AttestorSet.sets(object["attestors"])
        mutatesDigest = try KyvernoRequest.bool(object, "mutateDigest") ?? false
        verifiesDigest = try KyvernoRequest.bool(object, "verifyDigest") ?? false
        isRequired = try KyvernoRequest.bool(object, "required") ?? true
    }

    private static func images(
        _ object: JSONObject, maximum: Int
    ) throws(KyvernoRequestError) -> [KyvernoImage] {
        guard object["resource"] != nil || object["images"] != nil else {
            throw KyvernoRequestError("there is neither resource nor images: send {{ request.object }} as resource")
        }
        var images: [KyvernoImage] = []
        if let value = object["resource"] {
            guard let resource = value.object else {
                throw KyvernoRequestError(
                    "resource is \(value.kind), expected an object"
                        + (value.isNull ? ": a request to delete has none, exclude it from the policy" : ""))
            }
            images = try KyvernoImage.images(inResource: resource)
        }
        if let value = object["images"], !(value.isNull && !images.isEmpty) {
            // The resource says what the node will pull; Kyverno's variable may have another registry written into it.
            let known = Set(images.compactMap(\.pointer))
            let places = Set(images.map { [$0.type, $0.container] })
            for image in try KyvernoImage.images(inVariable: value) {
                if let pointer = image.pointer, known.contains(pointer) { continue }
                if image.pointer == nil, image.container != nil, places.contains([image.type, image.container]) {
                    continue
                }
                images.append(image)
            }
        }
        guard !images.isEmpty else {
            throw KyvernoRequestError("there is no image in the request: match only resources that have some")
        }
        guard images.count <= maximum else {
            throw KyvernoRequestError("there are \(images.count) images, more than the limit of \(maximum)")
        }
        return images
    }

    private static func string(_ object: JSONObject, _ name: String) throws(KyvernoRequestError) -> String? {
        guard let value = object[name], !value.isNull else { return nil }
        guard let string = value.string else {
            throw KyvernoRequestError("\(name) is \(value.kind), expected a string")
        }
        return string
    }

    private static func bool(_ object: JSONObject, _ name: String) throws(KyvernoRequestError) -> Bool? {
        guard let value = object[name] else { return nil }
        guard let bool = value.bool else {
            throw KyvernoRequestError("\(name) is \(value.kind), expected true or false")
        }
        return bool
    }

    private static func patterns(
        _ object: JSONObject, _ name: String
    ) throws(KyvernoRequestError) -> [ImagePattern]? {
        guard let value = object[name] else { return nil }
        guard let strings = value.strings else {
            throw KyvernoRequestError("\(name) is not an array of strings")
        }
        guard strings.count <= 1000, !strings.contains(where: { $0.isEmpty || $0.utf8.count > 1024 }) else {
            throw KyvernoRequestError("\(name) has an empty pattern, one of more than 1024 bytes, or more than 1000")
        }
        return strings.map { ImagePattern($0) }
    }
}
