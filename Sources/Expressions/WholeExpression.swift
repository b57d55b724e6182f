/// A regular expression that describes whole texts: it matches from the first character to the last, whether it has
/// anchors or not. `https://github.com/example/.*` therefore accepts no text that merely contains such a URL.
///
/// The syntax is the part of RE2's that has one meaning everywhere: characters, `.`, classes with ranges and negation,
/// `\d \w \s` and their opposites, groups, `|`, `* + ? {n,m}` (a `?` after them changes nothing here), `^ $ \A \z`,
/// and `(?i)` or `(?s)` at the beginning. What else there is (`\b`, `\p{…}`, `[[:alpha:]]`, `\Q…\E`, other flags) is an
/// error, so that no expression means something else here than where it was copied from.
///
/// Matching takes time in proportion to the text and to the expression, whatever they are: no text that a stranger
/// writes makes it take longer.
public struct WholeExpression: Hashable, Sendable {
    /// The characters of an expression at most.
    public static let maximumCharacters = 4 << 10
    /// The characters of a text that an expression is matched with at most.
    public static let matchedCharacters = 8 << 10

    /// The expression as it was given.
    public let pattern: String
    private let program: ExpressionProgram

    /// Compiles an expression.
    public init(_ pattern: String) throws(ExpressionError) {
        var parser = ExpressionParser(pattern)
        self.pattern = pattern
        program = try parser.program()
    }

    /// Whether a text is described from its beginning to its end. Texts of more than
    /// ``matchedCharacters`` characters never are.
    public func matches(_ text: String) -> Bool { program.matches(text) }

    /// Whether it accepts sample texts that have nothing in common: such an expression lets anybody in.
    public var matchesAnything: Bool {
        ["a", "0", "-", "x@y.example", "https://q.invalid/z?w=1", "~ ~"].allSatisfy(matches)
    }

    /// Expressions are the same when they are written in the same way.
    public static func == (left: WholeExpression, right: WholeExpression) -> Bool {
        left.pattern.utf8.elementsEqual(right.pattern.utf8)
    }

    /// Hashes the text.
    public func hash(into hasher: inout Hasher) { hasher.combine(pattern) }
}

/// Why a text is not an expression that ``WholeExpression`` takes.
public struct ExpressionError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong and where.
    public let description: String
}
