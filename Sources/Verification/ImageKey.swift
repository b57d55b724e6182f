import OCI
import Quotation

/// What a request asks about: an image, and the namespace whose configuration judges it.
///
/// Only ``init(parsing:)`` reads a namespace from a text: it is for keys that the policy writes. The image of a pod is
/// written by the pod's author, and must not choose a namespace: ``init(image:namespace:)``.
package struct ImageKey: Sendable, Hashable, CustomStringConvertible {
    /// The namespace whose configuration applies before the cluster's; `nil` for the cluster's alone.
    package let namespace: String?
    /// The reference as it was written, without white space around it.
    package let text: String
    /// The reference, parsed.
    package let reference: ImageReference
    /// The normalised reference, under which answers are cached: made once, as every answer from memory needs it.
    package let name: String

    /// Parses a key of a verify request: `reference`, or `[namespace]reference` where the policy puts the namespace of
    /// what is reviewed in front.
    ///
    /// White space around it is dropped: Kubernetes hands image strings on as they were written, and the kubelet
    /// trims them the same way.
    ///
    /// - Throws: ``ImageKeyError`` with what is wrong and what is expected.
    package init(parsing key: String) throws(ImageKeyError) {
        let (namespace, text) = ImageKey.split(ImageKey.trimmed(key[...]))
        try self.init(namespace: namespace, text: text)
    }

    /// The key of an image as a resource names it.
    ///
    /// - Parameter namespace: the namespace of the resource, `nil` for the cluster's configuration.
    /// - Throws: ``ImageKeyError``; also when the image names a namespace itself: it would choose whose
    ///   configuration judges it, and with whose credentials it is looked up.
    package init(image: String, namespace: String?) throws(ImageKeyError) {
        let (own, text) = ImageKey.split(ImageKey.trimmed(image[...]))
        if let own { throw .namespaced(String(own.prefix(80))) }
        try self.init(namespace: namespace.map { $0[...] }, text: text)
    }

    private init(namespace: Substring?, text: Substring) throws(ImageKeyError) {
        if let namespace, !ImageKey.isNamespace(namespace) { throw .namespace(String(namespace.prefix(80))) }
        let text = String(text)
        let reference: ImageReference
        do { reference = try ImageReference(parsing: text) } catch { throw .reference(error) }
        self.init(namespace: namespace.map(String.init), text: text, reference: reference)
    }

    /// The same key for the transport (https, http or either) of a configuration: two spellings of one registry then
    /// have one name.
    func over(_ transport: RegistryTransport) -> ImageKey {
        guard transport != reference.transport else { return self }
        return ImageKey(namespace: namespace, text: text, reference: reference.over(transport))
    }

    private init(namespace: String?, text: String, reference: ImageReference) {
        self.namespace = namespace
        self.text = text
        self.reference = reference
        name = reference.description
    }

    /// The key as a verify request has it.
    package var description: String { namespace.map { "[\($0)]\(text)" } ?? text }

    /// The namespace in brackets at the beginning of a text, and the rest.
    private static func split(_ text: Substring) -> (namespace: Substring?, text: Substring) {
        guard text.utf8.first == UInt8(ascii: "["), let close = text.utf8.firstIndex(of: UInt8(ascii: "]")) else {
            return (nil, text)
        }
        let name = text[text.utf8.index(after: text.startIndex)..<close]
        // `[::1]:5000/image` is an IPv6 registry, not a namespace: namespaces are DNS labels (RFC 1123).
        return name.utf8.contains(UInt8(ascii: ":")) ? (nil, text) : (name, text[text.utf8.index(after: close)...])
    }

    private static func trimmed(_ text: Substring) -> Substring {
        func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
        guard let start = text.utf8.firstIndex(where: { !isSpace($0) }),
            let end = text.utf8.lastIndex(where: { !isSpace($0) })
        else { return "" }
        return text[start...end]
    }

    private static func isNamespace(_ name: Substring) -> Bool {
        func isAlphanumeric(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) }
        guard (1...63).contains(name.utf8.count), let first = name.utf8.first, let last = name.utf8.last else {
            return false
        }
        return isAlphanumeric(first) && isAlphanumeric(last)
            && name.utf8.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "-") }
    }
}

/// Why a key is not valid: a definite error, the same for every later try.
package enum ImageKeyError: Error, Sendable, CustomStringConvertible {
    case namespace(String)
    /// An image that names a namespace where only the policy may.
    case namespaced(String)
    case reference(ImageReferenceError)

    /// What is wrong, with Ratify's error code in front.
    package var description: String {
        switch self {
        case .namespace(let name):
            "REFERENCE_INVALID: \"\(name.quoted)\" in front of the image is not a namespace: a key is \"image\" or \"[namespace]image\""
        case .namespaced(let name):
            "REFERENCE_INVALID: the image begins with \"[\(name.quoted)]\": which namespace's configuration answers for an image is never the image's own choice; write the image without the brackets"
        case .reference(let error): "REFERENCE_INVALID: \(error)"
        }
    }
}
