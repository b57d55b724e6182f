import OCI

/// A pattern of images as Kyverno's policies have them, for a registry in whatever spelling.
///
/// What is before the first slash is the registry. Without a wildcard it stands for its canonical name
/// (``RegistryName``); with one, only its case does not count.
struct ImagePattern: Sendable, Hashable {
    private let pattern: WildcardPattern
    /// Whether the registry has a wildcard, and the port that is meant without one.
    private let namesPort: Bool
    /// Whether the repository is in `library`, by that whole word.
    private let namesLibrary: Bool

    /// Reads a pattern.
    init(_ text: String) {
        guard let slash = text.utf8.firstIndex(of: UInt8(ascii: "/")) else {
            pattern = WildcardPattern(text: text)
            (namesPort, namesLibrary) = (false, false)
            return
        }
        namesLibrary = text[slash...].hasPrefix("/library/") || text[slash...] == "/library*"
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

    /// Whether an image is among those that the pattern exempts: by one name alone, so that no spelling exempts more
    /// than was meant. The registry is its canonical one. Docker Hub's own images are without `library/`, unless the
    /// pattern has it: that they are in it does not make all of them images that `docker.io/l*` is about.
    func exempts(_ reference: ImageReference) -> Bool {
        let registries =
            namesPort ? [reference.registry, "\(reference.registry):443"] : [reference.registry]
        let repository = namesLibrary ? reference.repository : reference.shortRepository
        return reference.patternTexts(at: registries, of: [repository]).contains(where: pattern.matches)
    }

    /// Whether an image is among those that the pattern chooses to be verified: by any spelling of its registry, so
    /// that none leads around the pattern. With the tag even where there is a digest: what a pattern with a tag chose
    /// is chosen still when it has been pinned.
    func chooses(_ reference: ImageReference) -> Bool {
        let patterns = [pattern, WildcardPattern(text: pattern.text.lowercased())]
        let spellings = reference.registrySpellings
        let texts =
            reference.patternTexts(at: spellings, of: reference.repositories) + reference.taggedTexts(at: spellings)
        return texts.contains { text in patterns.contains { $0.matches(text) } }
    }
}

extension ImageReference {
    /// The texts of an image that Kyverno's patterns are compared with: `registry/path@digest` when there is a
    /// digest, else `registry/path:tag`.
    func patternTexts(at registries: [String], of repositories: [String]) -> [String] {
        let suffix = digest.map { "@\($0)" } ?? ":\(tag ?? "latest")"
        return registries.flatMap { registry in repositories.map { "\(registry)/\($0)\(suffix)" } }
    }

    /// The same with the tag although there is a digest. It must never exempt an image: beside a digest, a tag is
    /// anybody's text.
    func taggedTexts(at registries: [String]) -> [String] {
        guard digest != nil, let tag else { return [] }
        return registries.flatMap { registry in repositories.map { "\(registry)/\($0):\(tag)" } }
    }

    /// The repository in every spelling.
    var repositories: [String] { Set([repository, shortRepository]).sorted() }

    /// The repository, of Docker Hub's own images without `library/`, which Kyverno does not write. Such a repository
    /// has one component.
    var shortRepository: String {
        let library = "library/"
        guard registry == "docker.io", repository.hasPrefix(library) else { return repository }
        let name = repository.dropFirst(library.count)
        return name.utf8.contains(UInt8(ascii: "/")) ? repository : String(name)
    }
}
