import OCI
import StrictJSON
import Verification

/// An image of a request, and where it is.
struct KyvernoImage: Sendable, Hashable {
    /// The kind of container: `containers`, `initContainers`, `ephemeralContainers`, `volumes`, or what Kyverno calls
    /// images of other resources; `nil` for a plain reference.
    var type: String?
    /// The container's or the volume's name.
    var container: String?
    /// The image as it is written; `nil` when there is none, which cannot be verified.
    var text: String?
    /// The JSON pointer (RFC 6901) of the image in the resource, for patches.
    var pointer: String?

    /// The key that asks the service for it.
    ///
    /// The namespace comes from the request alone: an image whose text begins with another one in brackets would
    /// otherwise choose whose configuration judges it.
    func key(namespace: String?) throws(ImageKeyError) -> ImageKey {
        try ImageKey(image: text ?? "", namespace: namespace)
    }
}

// MARK: - From a resource

extension KyvernoImage {
    /// The lists of a pod specification with images.
    private static let containerLists = ["initContainers", "containers", "ephemeralContainers"]
    /// Where pod specifications are, in workloads of every kind.
    private static let podSpecifications = [
        ["spec"], ["spec", "template", "spec"], ["spec", "jobTemplate", "spec", "template", "spec"],
        ["template", "spec"],
    ]

    /// The images of a resource: containers of every kind, and image volumes.
    static func images(inResource resource: JSONObject) throws(KyvernoRequestError) -> [KyvernoImage] {
        var images: [KyvernoImage] = []
        for path in podSpecifications {
            var value: JSONValue? = .object(resource)
            for name in path { value = value?[name] }
            guard let specification = value?.object else { continue }
            let pointer = "/" + path.joined(separator: "/")
            for list in containerLists {
                for (index, container) in try objects(specification[list], "resource\(pointer)/\(list)").enumerated() {
                    images.append(
                        KyvernoImage(
                            type: list, container: container["name"]?.string,
                            text: try text(container["image"], "resource\(pointer)/\(list)/\(index)/image"),
                            pointer: "\(pointer)/\(list)/\(index)/image"))
                }
            }
            for (index, volume) in try objects(specification["volumes"], "resource\(pointer)/volumes").enumerated() {
                guard let image = volume["image"], !image.isNull else { continue }
                let place = "\(pointer)/volumes/\(index)/image/reference"
                images.append(
                    KyvernoImage(
                        type: "volumes", container: volume["name"]?.string,
                        text: try text(image["reference"], "resource\(place)"), pointer: place))
            }
        }
        return images
    }

    private static func objects(
        _ value: JSONValue?, _ path: String
    ) throws(KyvernoRequestError) -> [JSONObject] {
        guard let value, !value.isNull else { return [] }
        guard let array = value.array else {
            throw KyvernoRequestError("\(path) is \(value.kind), expected an array")
        }
        var objects: [JSONObject] = []
        for element in array {
            guard let object = element.object else {
                throw KyvernoRequestError("\(path) holds \(element.kind), expected objects")
            }
            objects.append(object)
        }
        return objects
    }

    private static func text(_ value: JSONValue?, _ path: String) throws(KyvernoRequestError) -> String? {
        guard let value, !value.isNull else { return nil }
        guard let text = value.string else {
            throw KyvernoRequestError("\(path) is \(value.kind), expected a string")
        }
        return text
    }
}

// MARK: - From Kyverno's variable

extension KyvernoImage {
    /// The images of Kyverno's `images` variable, or of an array of references.
    static func images(inVariable value: JSONValue) throws(KyvernoRequestError) -> [KyvernoImage] {
        if let array = value.array {
            guard let references = value.strings else {
                let other = array.first { $0.string == nil }
                throw KyvernoRequestError("images holds \(other?.kind ?? "something else"), expected strings")
            }
            return references.map { KyvernoImage(text: $0) }
        }
        guard let types = value.object else {
            throw KyvernoRequestError("images is \(value.kind), expected an object or an array of strings")
        }
        var images: [KyvernoImage] = []
        for (type, value) in types.members {
            guard let containers = value.object else {
                throw KyvernoRequestError("images.\(type) is \(value.kind), expected an object")
            }
            for (container, value) in containers.members {
                guard let information = value.object else {
                    throw KyvernoRequestError("images.\(type).\(container) is \(value.kind), expected an object")
                }
                images.append(try image(information, type, container))
            }
        }
        return images
    }

    /// One entry: `registry`, `path`, `tag`, `digest` and `jsonPointer` count; `name` and `reference` say the same
    /// again.
    private static func image(
        _ information: JSONObject, _ type: String, _ container: String
    ) throws(KyvernoRequestError) -> KyvernoImage {
        func member(_ name: String) throws(KyvernoRequestError) -> String {
            guard let value = information[name], !value.isNull else { return "" }
            guard let text = value.string else {
                throw KyvernoRequestError(
                    "images.\(type).\(container).\(name) is \(value.kind), expected a string")
            }
            return text
        }
        let path = try member("path")
        guard !path.isEmpty else {
            throw KyvernoRequestError(
                "images.\(type).\(container) has no path: send Kyverno's variable images as it is")
        }
        let (registry, tag, digest) = (try member("registry"), try member("tag"), try member("digest"))
        let text =
            (registry.isEmpty ? "" : registry + "/") + path + (tag.isEmpty ? "" : ":" + tag)
            + (digest.isEmpty ? "" : "@" + digest)
        let pointer = try member("jsonPointer")
        return KyvernoImage(
            type: type, container: container, text: text, pointer: pointer.isEmpty ? nil : pointer)
    }
}
