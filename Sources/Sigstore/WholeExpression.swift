import Quotation

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
    /// ``SigstoreLimits/matchedCharacters`` characters never are.
    public func matches(_ text: String) -> Bool { program.matches(text) }

    /// Whether it accepts sample texts that have nothing in common: such an expression lets anybody in.
    public var matchesAnything: Bool {
        ["a", "0", "-", "x@y.example", "https://q.invalid/z?w=1", "~ ~"].allSatisfy(matches)
    }

    /// Expressions are the same when they are written in the same way.
    public static func == (left: WholeExpression, right: WholeExpression) -> Bool {
        isSame(left.pattern, right.pattern)
    }

    /// Hashes the text.
    public func hash(into hasher: inout Hasher) { hasher.combine(pattern) }
}

/// Why a text is not an expression that ``WholeExpression`` takes.
public struct ExpressionError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong and where.
    public let description: String
}

/// An expression as the states of an automaton.
struct ExpressionProgram: Sendable {
    enum State: Sendable {
        /// Goes on when the next character is in the set.
        case character(CharacterSet, next: Int)
        /// Goes on both ways.
        case split(Int, Int)
        /// Goes on at the beginning of the text.
        case beginning(next: Int)
        /// Goes on at the end of the text.
        case end(next: Int)
        case accept
    }

    /// How many states there may be: a bounded repetition makes copies of what it repeats.
    static let maximumStates = 4_000

    let states: [State]
    let first: Int
    /// What every text must begin with, in UTF-8: most texts are refused by it alone.
    let prefix: [UInt8]

    func matches(_ text: String) -> Bool {
        guard text.utf8.starts(with: prefix) else { return false }
        let characters = Array(text.unicodeScalars.lazy.map(\.value).prefix(SigstoreLimits.matchedCharacters + 1))
        guard characters.count <= SigstoreLimits.matchedCharacters else { return false }
        // Each state at most once for each place in the text.
        var seen = [Int](repeating: -1, count: states.count)
        var active: [Int] = []
        var accepts = false
        var pending = [first]
        for place in 0...characters.count {
            active.removeAll(keepingCapacity: true)
            accepts = false
            while let index = pending.popLast() {
                guard seen[index] != place else { continue }
                seen[index] = place
                switch states[index] {
                case .character: active.append(index)
                case .split(let left, let right):
                    pending.append(left)
                    pending.append(right)
                case .beginning(let next): if place == 0 { pending.append(next) }
                case .end(let next): if place == characters.count { pending.append(next) }
                case .accept: accepts = true
                }
            }
            guard place < characters.count else { break }
            for index in active {
                if case .character(let set, let next) = states[index], set.contains(characters[place]) {
                    pending.append(next)
                }
            }
            guard !pending.isEmpty else { return false }
        }
        return accepts
    }
}

/// A set of Unicode scalar values.
struct CharacterSet: Hashable, Sendable {
    var ranges: [ClosedRange<UInt32>]
    var isNegated = false

    func contains(_ value: UInt32) -> Bool {
        for range in ranges where range.contains(value) { return !isNegated }
        return isNegated
    }

    static func one(_ value: UInt32) -> CharacterSet { CharacterSet(ranges: [value...value]) }
    static let digits = CharacterSet(ranges: [0x30...0x39])
    static let words = CharacterSet(ranges: [0x30...0x39, 0x41...0x5A, 0x5F...0x5F, 0x61...0x7A])
    static let spaces = CharacterSet(ranges: [0x09...0x0A, 0x0C...0x0D, 0x20...0x20])
    static let all = CharacterSet(ranges: [0...0x10FFFF])
    static let allButLineFeed = CharacterSet(ranges: [0x0A...0x0A], isNegated: true)

    /// The set with the other case of each of its ASCII letters.
    var foldingCase: CharacterSet {
        var set = self
        for range in ranges {
            for (letters, distance) in [(UInt32(0x41)...0x5A, Int64(32)), (UInt32(0x61)...0x7A, -32)] {
                let low = max(range.lowerBound, letters.lowerBound)
                let high = min(range.upperBound, letters.upperBound)
                guard low <= high else { continue }
                set.ranges.append(UInt32(Int64(low) + distance)...UInt32(Int64(high) + distance))
            }
        }
        return set
    }
}
