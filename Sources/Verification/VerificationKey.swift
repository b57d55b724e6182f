import OCI

/// A key of a request: `reference`, or `[namespace]reference` where the template sends the pod's namespace.
package struct VerificationKey: Sendable, Hashable {
    /// The namespace whose configuration applies before the cluster's; `nil` for the cluster's alone.
    package let namespace: String?
    /// The reference as it was written, without white space around it.
    package let text: String
    /// The reference, parsed.
    package let reference: ImageReference

    /// Parses a key.
    ///
    /// White space around it is dropped: Kubernetes hands image strings on as they were written, and the kubelet
    /// trims them the same way.
    ///
    /// - Throws: ``VerificationKeyError`` with what is wrong and what is expected.
    package init(parsing key: String) throws(VerificationKeyError) {
        var text = VerificationKey.trimmed(key[...])
        var namespace: String?
        if text.utf8.first == UInt8(ascii: "["), let close = text.firstIndex(of: "]") {
            let name = text[text.index(after: text.startIndex)..<close]
            // `[::1]:5000/image` is an IPv6 registry, not a namespace: namespaces are DNS labels (RFC 1123).
            if !name.contains(":") {
                guard VerificationKey.isNamespace(name) else { throw .namespace(String(name.prefix(80))) }
                namespace = String(name)
                text = text[text.index(after: close)...]
            }
        }
        self.namespace = namespace
        self.text = String(text)
        do { reference = try ImageReference(parsing: String(text)) } catch { throw .reference(error) }
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

/// Why a key cannot be judged: a definite error, the same for every later try.
package enum VerificationKeyError: Error, Sendable, CustomStringConvertible {
    case namespace(String)
    case reference(ImageReferenceError)

    /// What is wrong, with Ratify's error code in front.
    package var description: String {
        switch self {
        case .namespace(let name):
            "REFERENCE_INVALID: \"\(name)\" in front of the image is not a namespace: a key is \"image\" or \"[namespace]image\""
        case .reference(let error): "REFERENCE_INVALID: \(error)"
        }
    }
}
