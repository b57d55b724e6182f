import OCI

/// A pattern of images as Kyverno's policies have them: `*` is any text, slashes included, `?` one character.
struct ImagePattern: Sendable, Hashable {
    /// The pattern as it was written.
    let text: String

    /// Whether the whole of a text matches.
    ///
    /// The last star is the only one that is ever gone back to, so that the time is bounded by the product of the
    /// lengths, whatever the pattern.
    func matches(_ candidate: String) -> Bool {
        let pattern = Array(text.utf8)
        let candidate = Array(candidate.utf8)
        var (position, index) = (0, 0)
        var star: (position: Int, index: Int)?
        while index < candidate.count {
            if position < pattern.count, pattern[position] == UInt8(ascii: "*") {
                star = (position, index)
                position += 1
            } else if position < pattern.count,
                pattern[position] == UInt8(ascii: "?") || pattern[position] == candidate[index]
            {
                position += 1
                index += 1
            } else if let last = star {
                star = (last.position, last.index + 1)
                position = last.position + 1
                index = last.index + 1
            } else {
                return false
            }
        }
        return pattern[position...].allSatisfy { $0 == UInt8(ascii: "*") }
    }
}

extension ImageReference {
    /// The texts of an image that Kyverno's patterns are compared with: `registry/path@digest` when there is a
    /// digest, else `registry/path:tag`. Docker Hub's own images go with and without `library/`, which
    /// Kyverno does not write.
    ///
    /// They come from the normalised reference, so that a registry in capitals, or Docker Hub by one of its other
    /// names, does not get past a pattern.
    var patternTexts: [String] {
        let suffix = digest.map { "@\($0)" } ?? ":\(tag ?? "latest")"
        return scopeNames.map { $0 + suffix }
    }

    /// The same with the tag although there is a digest: so that what a pattern with a tag chose to verify is chosen
    /// still when it has been pinned. It must never exempt an image: beside a digest, a tag is anybody's text.
    var taggedTexts: [String] {
        guard digest != nil, let tag else { return [] }
        return scopeNames.map { "\($0):\(tag)" }
    }

    private var scopeNames: [String] {
        let library = "docker.io/library/"
        guard scopeName.hasPrefix(library) else { return [scopeName] }
        return [scopeName, "docker.io/" + scopeName.dropFirst(library.count)]
    }
}
