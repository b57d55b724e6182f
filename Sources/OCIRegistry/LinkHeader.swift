import HTTP

/// The `Link` header (RFC 8288), as far as pagination needs it.
///
/// A list that goes on and is not followed to its end looks like a whole one, with what stands on its later pages left
/// out. So a header that cannot be read is an error, never "no more pages".
enum LinkHeader {
    /// Why a header does not say how a list goes on.
    struct Fault: Error, Hashable, CustomStringConvertible {
        let description: String

        init(_ problem: String) { description = "its Link header \(problem)" }
    }

    /// The longest that all fields may be together.
    private static let maximumBytes = 32 * 1024

    /// The target of the link whose relation is `next`; `nil` when no link has it.
    ///
    /// - Throws: ``Fault`` when a field breaks the grammar, when links with this relation lead to different places, or
    ///   when a relation looks like this one and is another.
    static func next(_ fields: [String]) throws(Fault) -> String? {
        guard fields.reduce(0, { $0 + $1.utf8.count }) <= maximumBytes else {
            throw Fault("has more than \(maximumBytes) bytes")
        }
        var found: String?
        for field in fields {
            var parser = LinkParser(field)
            for link in try parser.links() where try isNext(link) {
                guard !link.target.isEmpty else { throw Fault("names an empty URL for the next page") }
                guard found == nil || found == link.target else { throw Fault("names several next pages") }
                found = link.target
            }
        }
        return found
    }

    /// `rel` may list several relations, compared without regard to case (RFC 8288, section 3.3).
    private static func isNext(_ link: Link) throws(Fault) -> Bool {
        let lists = link.parameters.filter { $0.name == "rel" || $0.name == "rel*" }
        guard let first = lists.first else { throw Fault("has a link without a relation") }
        // "The rel parameter MUST be present but MUST NOT appear more than once in a given link-value".
        guard lists.count == 1, first.name == "rel" else { throw Fault("has a link with more than one relation list") }
        let relations = first.value.lowercased().split { $0 == " " || $0 == "\t" }
        guard !relations.isEmpty else { throw Fault("has a link with an empty relation") }
        if relations.contains("next") { return true }
        guard !relations.contains(where: { $0.contains("next") && !$0.contains(":") }) else {
            throw Fault("has a link with a relation that is not known: expected next")
        }
        return false
    }

    struct Link {
        let target: String
        let parameters: [(name: String, value: String)]
    }
}

/// `Link = #( "<" URI-Reference ">" *( OWS ";" OWS [ token BWS [ "=" BWS ( token / quoted-string ) ] ] ) )`
private struct LinkParser {
    private var cursor: HeaderCursor

    init(_ field: String) { cursor = HeaderCursor(field) }

    mutating func links() throws(LinkHeader.Fault) -> [LinkHeader.Link] {
        var links: [LinkHeader.Link] = []
        while true {
            cursor.skipListSeparators()
            guard let byte = cursor.peek else { return links }
            guard byte == UInt8(ascii: "<"),
                let close = cursor.bytes[cursor.position...].firstIndex(of: UInt8(ascii: ">"))
            else {
                throw LinkHeader.Fault("has something else than URLs in angle brackets")
            }
            let target = cursor.bytes[(cursor.position + 1)..<close]
            guard target.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "<") }) else {
                throw LinkHeader.Fault("has a URL with characters that must be percent-encoded")
            }
            cursor.position = close + 1
            links.append(
                LinkHeader.Link(target: String(decoding: target, as: UTF8.self), parameters: try parameters()))
            cursor.skipSpaces()
            guard cursor.peek == nil || cursor.peek == UInt8(ascii: ",") else {
                throw LinkHeader.Fault("has something else than parameters after a URL")
            }
        }
    }

    private mutating func parameters() throws(LinkHeader.Fault) -> [(name: String, value: String)] {
        var parameters: [(name: String, value: String)] = []
        while true {
            cursor.skipSpaces()
            guard cursor.peek == UInt8(ascii: ";") else { return parameters }
            cursor.position += 1
            cursor.skipSpaces()
            guard let name = cursor.token() else {
                // `; ;` and a `;` at the end are allowed.
                guard cursor.peek == nil || cursor.peek == UInt8(ascii: ";") || cursor.peek == UInt8(ascii: ",") else {
                    throw LinkHeader.Fault("has a parameter without a name")
                }
                continue
            }
            cursor.skipSpaces()
            var value = ""
            if cursor.peek == UInt8(ascii: "=") {
                cursor.position += 1
                cursor.skipSpaces()
                guard let given = cursor.tokenOrQuotedString() else {
                    throw LinkHeader.Fault("has a parameter whose value cannot be read")
                }
                value = given
            }
            parameters.append((name.lowercased(), value))
        }
    }
}
