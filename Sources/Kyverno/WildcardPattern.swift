/// A pattern as Kyverno's policies have them: `*` is any text, slashes included, `?` one character.
struct WildcardPattern: Sendable, Hashable {
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
