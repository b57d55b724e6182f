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
            var parser = ChallengeParser(bytes: Array(field.utf8))
            return parser.challenges()
        }
    }
}

/// The list of challenges is separated by commas, and so are the parameters of each: a token that no `=` follows
/// begins the next challenge.
private struct ChallengeParser {
    let bytes: [UInt8]
    var position = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func challenges() -> [AuthenticationChallenge] {
        var result: [AuthenticationChallenge] = []
        while true {
            skip { $0 == 0x20 || $0 == 0x09 || $0 == UInt8(ascii: ",") }
            guard let scheme = token() else { return result }
            var parameters: [String: String] = [:]
            skipSpaces()
            if !skipToken68() {
                while let (name, value) = parameter() {
                    // The first of two equal names counts.
                    if parameters[name] == nil { parameters[name] = value }
                    let afterParameter = position
                    skipSpaces()
                    guard peek == UInt8(ascii: ",") else {
                        position = afterParameter
                        break
                    }
                    skip { $0 == 0x20 || $0 == 0x09 || $0 == UInt8(ascii: ",") }
                }
            }
            result.append(AuthenticationChallenge(scheme: scheme.lowercased(), parameters: parameters))
            skipSpaces()
            guard let next = peek else { return result }
            // Something that is neither a parameter, a comma nor the next challenge.
            guard next == UInt8(ascii: ",") || isAtTokenAfterComma else { return result }
        }
    }

    private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

    /// The comma before the next challenge was already passed while looking for one more parameter.
    private var isAtTokenAfterComma: Bool {
        var index = position - 1
        while index >= 0, bytes[index] == 0x20 || bytes[index] == 0x09 { index -= 1 }
        return index >= 0 && bytes[index] == UInt8(ascii: ",") && position < bytes.count
            && HeaderGrammar.isToken(bytes[position])
    }

    private mutating func skip(while condition: (UInt8) -> Bool) {
        while let byte = peek, condition(byte) { position += 1 }
    }

    private mutating func skipSpaces() { skip { $0 == 0x20 || $0 == 0x09 } }

    private mutating func token() -> String? {
        let start = position
        skip(while: HeaderGrammar.isToken)
        return position > start ? String(decoding: bytes[start..<position], as: UTF8.self) : nil
    }

    /// `name = value`; goes back to where it was when there is none.
    private mutating func parameter() -> (String, String)? {
        let start = position
        guard let name = token() else { return nil }
        skipSpaces()
        guard peek == UInt8(ascii: "=") else {
            position = start
            return nil
        }
        position += 1
        skipSpaces()
        guard let value = peek == UInt8(ascii: "\"") ? quotedString() : token() else {
            position = start
            return nil
        }
        return (name.lowercased(), value)
    }

    private mutating func quotedString() -> String? {
        guard let (value, end) = HeaderGrammar.quotedString(bytes, at: position) else { return nil }
        position = end
        return value
    }

    /// `Negotiate YII…==`: one value in place of parameters. Skipped, for no scheme of ours has it.
    private mutating func skipToken68() -> Bool {
        let start = position
        skip { HeaderGrammar.isToken($0) || $0 == UInt8(ascii: "/") }
        guard position > start else { return false }
        skip { $0 == UInt8(ascii: "=") }
        let end = position
        skipSpaces()
        if peek == nil || (peek == UInt8(ascii: ",") && end > start) { return true }
        position = start
        return false
    }
}
