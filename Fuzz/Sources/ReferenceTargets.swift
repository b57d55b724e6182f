import OCI
import Verification

let referenceTargets = [
    FuzzTarget("reference", maximumLength: 1200) { bytes in
        guard let text = text(bytes) else { return }
        do { requireNormal(try ImageReference(parsing: text)) } catch { requireReadable(error) }
    },
    FuzzTarget("key", maximumLength: 1200) { bytes in
        guard let text = text(bytes) else { return }
        do {
            let key = try ImageKey(parsing: text)
            requireNormal(key.reference)
            let prefix = key.namespace.map { "[\($0)]" } ?? ""
            require(!(key.namespace ?? "x").isEmpty, "an empty namespace")
            let again = try ImageKey(parsing: prefix + key.text)
            require(again == key, "\(prefix)\(key.text) is read as another key")
            require(areSame(key.description, prefix + key.text), "the key is written as another one")
            let image = try ImageKey(image: key.text, namespace: key.namespace)
            require(image == key, "\(key.text) of namespace \(key.namespace ?? "-") is read as another key")
            let normal = try ImageKey(parsing: prefix + key.reference.description)
            require(normal.namespace == key.namespace, "the normal form belongs to another namespace")
            require(normal.reference == key.reference, "the normal form names another image")
        } catch { requireReadable(error) }
    },
]

/// What was accepted has one spelling, and that spelling means the same.
private func requireNormal(_ reference: ImageReference) {
    let normal = reference.description
    do {
        let again = try ImageReference(parsing: normal)
        require(again == reference, "\(normal) is read as another image")
        require(areSame(again.description, normal), "\(normal) is normalised again to \(again)")
    } catch { violated("the normal form \(normal) is refused: \(error)") }
    require(reference.tag != nil || reference.digest != nil, "neither tag nor digest")
    require(normal.utf8.allSatisfy { (0x21...0x7E).contains($0) }, "the normal form is not plain text")
    require(!reference.registry.contains("/"), "a registry with a slash")
    require(
        !reference.endpoint.isEmpty && !reference.endpoint.contains { "/@?#\\".contains($0) }, "an endpoint with more")
    require(!reference.repository.split(separator: "/").contains { $0 == ".." || $0 == "." }, "a repository with dots")
    require(reference.repository.utf8.count <= ImageReference.maximumRepositoryLength, "too long a repository")
    require(areSame(reference.scopeName, "\(reference.registry)/\(reference.repository)"), "a scope with another name")
}
