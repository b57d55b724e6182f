import HTTP

/// One challenge of a `WWW-Authenticate` header (RFC 9110, section 11.6.1).
package struct AuthenticationChallenge: Hashable, Sendable {
    /// The scheme in lower case: `bearer`, `basic`.
    package let scheme: String
    /// The parameters, names in lower case.
    package let parameters: [String: String]

    /// Reads the challenges of all `WWW-Authenticate` fields of an answer. A field that breaks the grammar gives what
    /// came before the fault: which challenges are usable is for the caller to say.
    package static func parse(_ fields: [String]) -> [AuthenticationChallenge] {
        fields.flatMap { field -> [AuthenticationChallenge] in
            guard field.utf8.count <= 16 * 1024 else { return [] }
            var parser = ChallengeParser(field)
            return parser.challenges()
        }
    }
}

/// The list of challenges is separated by commas, and so are the parameters of each: a token that no `=` follows
/// begins the next challenge.
private struct ChallengeParser {
    private var cursor: HeaderCursor

    init(_ field: String) { cursor = HeaderCursor(field) }

    mutating func challenges() -> [AuthenticationChallenge] {
        var result: [AuthenticationChallenge] = []
        while true {
            cursor.skipListSeparators()
            guard let scheme = cursor.token() else { return result }
            var parameters: [String: String] = [:]
            cursor.skipSpaces()
            if !skipToken68() {
                while let (name, value) = parameter() {
                    // The first of two equal names counts.
                    if parameters[name] == nil { parameters[name] = value }
                    let afterParameter = cursor.position
                    cursor.skipSpaces()
                    guard cursor.peek == UInt8(ascii: ",") else {
                        cursor.position = afterParameter
                        break
                    }
                    cursor.skipListSeparators()
                }
            }
            result.append(AuthenticationChallenge(scheme: scheme.lowercased(), parameters: parameters))
            cursor.skipSpaces()
            guard let next = cursor.peek else { return result }
            // Something that is neither a parameter, a comma nor the next challenge.
            guard next == UInt8(ascii: ",") || isAtTokenAfterComma else { return result }
        }
    }

    /// The comma before the next challenge was already passed while looking for one more parameter.
    private var isAtTokenAfterComma: Bool {
        let passed = cursor.bytes[..<cursor.position]
        return passed.last { !HeaderCursor.isSpace($0) } == UInt8(ascii: ",")
            && cursor.peek.map(HTTPHeaders.isTokenByte) == true
    }

    /// `name = value`; goes back to where it was when there is none.
    private mutating func parameter() -> (String, String)? {
        let start = cursor.position
        guard let name = cursor.token() else { return nil }
        cursor.skipSpaces()
        guard cursor.peek == UInt8(ascii: "=") else {
            cursor.position = start
            return nil
        }
        cursor.position += 1
        cursor.skipSpaces()
        guard let value = cursor.tokenOrQuotedString() else {
            cursor.position = start
            return nil
        }
        return (name.lowercased(), value)
    }

    /// `Negotiate YII…==`: one value in place of parameters. Skipped, for no scheme of ours has it.
    private mutating func skipToken68() -> Bool {
        let start = cursor.position
        cursor.skip { HTTPHeaders.isTokenByte($0) || $0 == UInt8(ascii: "/") }
        guard cursor.position > start else { return false }
        cursor.skip { $0 == UInt8(ascii: "=") }
        let end = cursor.position
        cursor.skipSpaces()
        if cursor.peek == nil || (cursor.peek == UInt8(ascii: ",") && end > start) { return true }
        cursor.position = start
        return false
    }
}
