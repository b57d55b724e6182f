extension StringProtocol {
    /// A media type or an artifact type as messages name it: one of the form of RFC 6838, section 4.2, below a
    /// top-level type that is registered. Anything else that somebody wrote in its place is not shown: it says no more
    /// than that it is none, and may be what this program sent.
    package var quotedMediaType: String { Quotation.isMediaType(self) ? quoted : Quotation.withheldMediaType }
}

extension Quotation {
    /// In place of what should be a media type.
    static let withheldMediaType = "(not shown: it is no media type)"

    /// https://www.iana.org/assignments/top-level-media-types
    private static let topLevelTypes = [
        "application", "audio", "example", "font", "haptics", "image", "message", "model", "multipart", "text", "video",
    ]

    static func isMediaType(_ text: some StringProtocol) -> Bool {
        let parts = text.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        guard parts.count == 2, parts[1].count <= 127, let first = parts[1].first, Bytes.isLetterOrDigit(first) else {
            return false
        }
        return topLevelTypes.contains { $0.utf8.elementsEqual(parts[0].map(Bytes.lowercased)) }
            && parts[1].allSatisfy { Bytes.isLetterOrDigit($0) || "!#$&-^_.+".utf8.contains($0) }
    }
}
