import OCI

/// A pattern of images as Kyverno's policies have them, for a registry in whatever spelling.
///
/// What is before the first slash is the registry. Without a wildcard it stands for its canonical name (``RegistryName``); with
/// one, only its case does not count.
struct ImagePattern: Sendable, Hashable {
    private let pattern: WildcardPattern
    /// Whether the registry has a wildcard, and the port that is meant without one.
    private let namesPort: Bool

    /// Reads a pattern.
    init(_ text: String) {
        guard let slash = text.utf8.firstIndex(of: UInt8(ascii: "/")) else {
            pattern = WildcardPattern(text: text)
            namesPort = false
            return
        }
        let registry = text[..<slash]
        guard registry.utf8.contains(where: { $0 == UInt8(ascii: "*") || $0 == UInt8(ascii: "?") }) else {
            let isRegistry =
                registry.lowercased() == "localhost"
                || registry.utf8.contains { $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: ":") }
            let name = isRegistry ? RegistryName(parsing: registry)?.canonical().description : nil
            pattern = WildcardPattern(text: (name ?? String(registry)) + text[slash...])
            namesPort = false
            return
        }
        pattern = WildcardPattern(text: registry.lowercased() + text[slash...])
        namesPort = registry.hasSuffix(":443")
    }

    /// Whether an image is among those that the pattern exempts: by its canonical name alone, so that no spelling of a
    /// registry exempts more than was meant.
    func exempts(_ reference: ImageReference) -> Bool {
        let texts =
            namesPort
            ? reference.patternTexts(at: [reference.registry, "\(reference.registry):443"])
            : reference.patternTexts(at: [reference.registry])
        return texts.contains(where: pattern.matches)
    }

    /// Whether an image is among those that the pattern chooses to be verified: by any spelling of its registry, so that none
    /// leads around the pattern. With the tag even where there is a digest: what a pattern with a tag chose is chosen still
    /// when it has been pinned.
    func chooses(_ reference: ImageReference) -> Bool {
        let patterns = [pattern, WildcardPattern(text: pattern.text.lowercased())]
        let spellings = reference.registrySpellings
        let texts = reference.patternTexts(at: spellings) + reference.taggedTexts(at: spellings)
        return texts.contains { text in patterns.contains { $0.matches(text) } }
    }
}

extension ImageReference {
    /// The texts of an image that Kyverno's patterns are compared with: `registry/path@digest` when there is a
    /// digest, else `registry/path:tag`. Docker Hub's own images go with and without `library/`, which
    /// Kyverno does not write.
    func patternTexts(at registries: [String]) -> [String] {
        let suffix = digest.map { "@\($0)" } ?? ":\(tag ?? "latest")"
        return registries.flatMap { registry in repositories.map { "\(registry)/\($0)\(suffix)" } }
    }

    /// The same with the tag although there is a digest. It must never exempt an image: beside a digest, a tag is anybody's
    /// text.
    func taggedTexts(at registries: [String]) -> [String] {
        guard digest != nil, let tag else { return [] }
        return registries.flatMap { registry in repositories.map { "\(registry)/\($0):\(tag)" } }
    }

    private var repositories: [String] {
        let library = "library/"
        guard registry == "docker.io", repository.hasPrefix(library) else { return [repository] }
        return [repository, String(repository.dropFirst(library.count))]
    }
}
