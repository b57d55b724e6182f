import Encoding

extension StringProtocol {
    /// This text as a message may quote it: text that came from somebody else, or that is not what it should be.
    ///
    /// At most ``Quotation/maximumCharacters`` characters, all of them printable ASCII but for the "…" at a cut;
    /// everything else, quotation marks and backslashes are written as escapes, so that a line of a log stays one line
    /// and a quotation ends where it seems to. What may be key material is never shown, not even in part.
    ///
    /// Names that were read (an image reference, a digest, a certificate's subject, a host) are no quotations: a
    /// message names what it is about, as it was read.
    package var quoted: String {
        Quotation.beginsWithKey(self) ? Quotation.withheldKey : Quotation.escaped(self)
    }

    /// A path as messages name it: whole, since a part of it leads nowhere, without control characters, and never when
    /// it may be key material that was given in a path's place.
    package var quotedPath: String {
        Quotation.beginsWithKey(self)
            ? Quotation.withheldKey : Quotation.escaped(self, maximum: Quotation.maximumPathCharacters, isPath: true)
    }
}

extension String {
    /// This text without full stops at its end: somebody else's words, after which a sentence of ours goes on.
    package var withoutFinalStop: String {
        var text = self[...]
        while let last = text.last, last == "." || last.isWhitespace { text = text.dropLast() }
        return String(text)
    }
}

/// How messages quote what others wrote.
package enum Quotation {
    /// The most characters of a quotation, escapes and the "…" counted.
    package static let maximumCharacters = 80
    /// The longest path of Linux is longer, but no sensible one is.
    package static let maximumPathCharacters = 1024

    /// No more of a text is looked at before its beginning is shown.
    private static let maximumTextBytes = 8 << 10

    /// Whether the part of a text that may be shown, or what it is the beginning of, may be key material.
    static func beginsWithKey(_ text: some StringProtocol) -> Bool {
        KeyMaterial.isPossible(in: Array(text.utf8.prefix(maximumTextBytes)))
    }

    /// Whether a text may be key material, or have some in it.
    package static func mayHoldKey(_ text: some StringProtocol) -> Bool { KeyMaterial.isPossible(in: text) }

    /// In place of what may be key material.
    static let withheldKey = "(not shown: it may be key material)"
    /// In place of what holds a secret of ours.
    package static let withheldSecret = "(not shown: it repeats what was sent)"

    static func escaped(
        _ text: some StringProtocol, maximum: Int = maximumCharacters, isPath: Bool = false
    ) -> String {
        var result = ""
        var length = 0
        // What fits with a "…" after it.
        var cut = result.endIndex
        for scalar in text.unicodeScalars {
            let piece = escape(scalar, isPath: isPath)
            let size = piece.utf8.count
            if length + size > maximum { return result[..<cut] + "…" }
            result += piece
            length += size
            if length < maximum { cut = result.endIndex }
        }
        return result
    }

    private static func escape(_ scalar: Unicode.Scalar, isPath: Bool) -> String {
        switch scalar {
        case "\n": "\\n"
        case "\r": "\\r"
        case "\t": "\\t"
        case "\"", "\\": isPath ? String(Character(scalar)) : "\\\(scalar)"
        case " "..."~": String(Character(scalar))
        default: scalar.escaped
        }
    }
}
