extension String {
    /// The longest text of ours that may quote what a stranger wrote, in bytes of UTF-8.
    package static let longestQuote = 4096

    /// This text, cut to ``longestQuote``. Bytes are counted, not characters: one character can have any number of
    /// combining marks, and a signature that anybody pushed must not make a log line or a denial of megabytes.
    package var boundedQuote: String {
        utf8.count > String.longestQuote ? bounded(toBytes: String.longestQuote) + "…" : self
    }

    /// This text, cut to so many bytes of UTF-8, with no scalar cut apart.
    package func bounded(toBytes limit: Int) -> String {
        guard utf8.count > limit else { return self }
        var length = 0
        let scalars = unicodeScalars.prefix { scalar in
            length += UTF8.width(scalar)
            return length <= limit
        }
        return String(scalars)
    }
}
