/// Reads an expression and makes its automaton.
struct ExpressionParser {
    /// What an expression is made of.
    private indirect enum Node {
        case empty
        case character(CharacterSet)
        case beginning
        case end
        case sequence([Node])
        case choice([Node])
        case repetition(Node, least: Int, most: Int?)
    }

    /// How often something may be repeated by number, as in RE2.
    private static let maximumRepetition = 1_000
    private static let maximumDepth = 64

    private let characters: [UInt32]
    private var position = 0
    private var depth = 0
    private var foldsCase = false
    private var dotIsAll = false
    private var states: [ExpressionProgram.State] = []

    init(_ pattern: String) { characters = pattern.unicodeScalars.map(\.value) }

    mutating func program() throws(ExpressionError) -> ExpressionProgram {
        guard characters.count <= WholeExpression.maximumCharacters else {
            throw ExpressionError(
                description: "the expression has more than \(WholeExpression.maximumCharacters) characters")
        }
        try flags()
        let node = try choice()
        guard position == characters.count else { throw fault("a \")\" without \"(\"") }
        let last = try add(.accept)
        let first = try compile(node, next: last)
        var prefix: [UInt8] = []
        if !foldsCase { _ = Self.appendPrefix(of: node, to: &prefix) }
        return ExpressionProgram(states: states, first: first, prefix: prefix)
    }

    private func fault(_ problem: String) -> ExpressionError {
        ExpressionError(description: "\(problem) (character \(min(position, characters.count) + 1) of the expression)")
    }

    private var next: UInt32? { position < characters.count ? characters[position] : nil }

    private func nextIs(_ character: Character) -> Bool {
        next == character.unicodeScalars.first?.value
    }

    private mutating func skip(_ character: Character) -> Bool {
        guard nextIs(character) else { return false }
        position += 1
        return true
    }

    /// `(?i)`, `(?s)` or both at the beginning.
    private mutating func flags() throws(ExpressionError) {
        guard characters.starts(with: [0x28, 0x3F]), let end = characters.firstIndex(of: 0x29), end > 2 else { return }
        let names = characters[2..<end]
        guard names.allSatisfy({ (0x61...0x7A).contains($0) }) else { return }
        for name in names {
            switch name {
            case 0x69: foldsCase = true
            case 0x73: dotIsAll = true
            default: throw fault("a flag other than i and s")
            }
        }
        position = end + 1
    }

    private mutating func choice() throws(ExpressionError) -> Node {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.maximumDepth else { throw fault("groups more than \(Self.maximumDepth) deep") }
        var choices = [try sequence()]
        while skip("|") { choices.append(try sequence()) }
        return choices.count == 1 ? choices[0] : .choice(choices)
    }

    private mutating func sequence() throws(ExpressionError) -> Node {
        var nodes: [Node] = []
        while let character = next, character != 0x7C, character != 0x29 {
            var node = try atom()
            var isRepeated = false
            while let (least, most) = try repetition() {
                // RE2 and others disagree about "a**"; nobody needs it.
                guard !isRepeated else { throw fault("a repetition of a repetition") }
                isRepeated = true
                node = .repetition(node, least: least, most: most)
                _ = skip("?")
            }
            nodes.append(node)
        }
        return nodes.count == 1 ? nodes[0] : nodes.isEmpty ? .empty : .sequence(nodes)
    }

    private mutating func repetition() throws(ExpressionError) -> (Int, Int?)? {
        if skip("*") { return (0, nil) }
        if skip("+") { return (1, nil) }
        if skip("?") { return (0, 1) }
        guard skip("{") else { return nil }
        guard let least = number() else { throw fault("a \"{\" that begins no repetition; write \"\\{\" for itself") }
        var most: Int? = least
        if skip(",") { most = nextIs("}") ? nil : number() ?? -1 }
        guard skip("}"), most ?? least >= least, max(least, most ?? 0) <= Self.maximumRepetition else {
            throw fault("a repetition that is not {n}, {n,} or {n,m} with numbers up to \(Self.maximumRepetition)")
        }
        return (least, most)
    }

    private mutating func number() -> Int? {
        var value: Int?
        while let digit = next, (0x30...0x39).contains(digit) {
            value = min((value ?? 0) * 10 + Int(digit - 0x30), 1 << 20)
            position += 1
        }
        return value
    }

    private mutating func atom() throws(ExpressionError) -> Node {
        guard let character = next else { throw fault("the expression ends too early") }
        position += 1
        switch Unicode.Scalar(character) {
        case "(": return try group()
        case "[": return set(try characterClass())
        case ".": return .character(dotIsAll ? .all : .allButLineFeed)
        case "^": return .beginning
        case "$": return .end
        case "\\": return try escape()
        case "*", "+", "?", "{":
            position -= 1
            throw fault("a repetition of nothing")
        default: return set(.one(character))
        }
    }

    private func set(_ set: CharacterSet) -> Node { .character(foldsCase ? set.foldingCase : set) }

    private mutating func group() throws(ExpressionError) -> Node {
        if skip("?") {
            if skip("P") { guard nextIs("<") else { throw fault("a group of a kind that is not known here") } }
            if skip("<") {
                while let character = next, character != 0x3E {
                    guard CharacterSet.words.contains(character) else {
                        throw fault("a group of a kind that is not known here")
                    }
                    position += 1
                }
                guard skip(">") else { throw fault("a name of a group that does not end") }
            } else if !skip(":") {
                throw fault("a group of a kind that is not known here: ( ), (?: ) and (?P<name> ) are")
            }
        }
        let node = try choice()
        guard skip(")") else { throw fault("a \"(\" without \")\"") }
        return node
    }

    private mutating func escape() throws(ExpressionError) -> Node {
        guard let character = next else { throw fault("a \"\\\" at the end") }
        switch Unicode.Scalar(character) {
        case "A":
            position += 1
            return .beginning
        case "z":
            position += 1
            return .end
        default:
            if let known = try classEscape() { return .character(known) }
            return set(.one(try characterEscape()))
        }
    }

    /// `\d` and its like after the backslash; nil for another escape.
    private mutating func classEscape() throws(ExpressionError) -> CharacterSet? {
        var set: CharacterSet
        switch next.flatMap(Unicode.Scalar.init) {
        case "d", "D": set = .digits
        case "w", "W": set = .words
        case "s", "S": set = .spaces
        default: return nil
        }
        set.isNegated = next.map { $0 < 0x61 } ?? false
        position += 1
        return set
    }

    /// The character that an escape stands for, after the backslash.
    private mutating func characterEscape() throws(ExpressionError) -> UInt32 {
        guard let character = next else { throw fault("a \"\\\" at the end") }
        position += 1
        switch Unicode.Scalar(character) {
        case "n": return 0x0A
        case "r": return 0x0D
        case "t": return 0x09
        case "f": return 0x0C
        case "v": return 0x0B
        default:
            // Punctuation stands for itself; letters and digits that are not named above mean something elsewhere.
            guard character < 0x80, !CharacterSet.words.contains(character) || character == 0x5F else {
                position -= 1
                throw fault("an escape that is not known here")
            }
            return character
        }
    }

    private mutating func characterClass() throws(ExpressionError) -> CharacterSet {
        var result = CharacterSet(ranges: [])
        result.isNegated = skip("^")
        var isFirst = true
        while true {
            guard let character = next else { throw fault("a \"[\" without \"]\"") }
            if character == 0x5D, !isFirst { break }
            isFirst = false
            if character == 0x5B, position + 1 < characters.count, characters[position + 1] == 0x3A {
                throw fault("a named class such as [:alpha:], which is not known here")
            }
            position += 1
            var low = character
            if character == 0x5C {
                if let known = try classEscape() {
                    guard !known.isNegated else { throw fault("an opposite such as \\D inside a class") }
                    result.ranges += known.ranges
                    continue
                }
                low = try characterEscape()
            }
            var high = low
            if nextIs("-"), position + 1 < characters.count, characters[position + 1] != 0x5D {
                position += 1
                high = characters[position]
                position += 1
                if high == 0x5C { high = try characterEscape() }
            }
            guard low <= high else { throw fault("a range from a later to an earlier character") }
            result.ranges.append(low...high)
        }
        position += 1
        return result
    }

    // MARK: The automaton

    private mutating func add(_ state: ExpressionProgram.State) throws(ExpressionError) -> Int {
        guard states.count < ExpressionProgram.maximumStates else {
            throw ExpressionError(
                description: "the expression repeats so much that it has more than \(ExpressionProgram.maximumStates) "
                    + "states; write it with * or +")
        }
        states.append(state)
        return states.count - 1
    }

    /// Makes the states of a node, which go on with `next`.
    private mutating func compile(_ node: Node, next: Int) throws(ExpressionError) -> Int {
        switch node {
        case .empty: return next
        case .character(let set): return try add(.character(set, next: next))
        case .beginning: return try add(.beginning(next: next))
        case .end: return try add(.end(next: next))
        case .sequence(let nodes):
            var first = next
            for node in nodes.reversed() { first = try compile(node, next: first) }
            return first
        case .choice(let nodes):
            var first = try compile(nodes[nodes.count - 1], next: next)
            for node in nodes.dropLast().reversed() {
                first = try add(.split(try compile(node, next: next), first))
            }
            return first
        case .repetition(let node, let least, let most):
            var first = next
            if let most {
                for _ in least..<max(least, most) { first = try add(.split(try compile(node, next: first), next)) }
            } else {
                let loop = try add(.split(next, next))
                let body = try compile(node, next: loop)
                states[loop] = .split(body, next)
                first = loop
            }
            for _ in 0..<least { first = try compile(node, next: first) }
            return first
        }
    }

    /// Appends what every text that a node describes begins with.
    ///
    /// - Returns: whether what follows the node follows that directly.
    private static func appendPrefix(of node: Node, to prefix: inout [UInt8]) -> Bool {
        switch node {
        case .empty, .beginning: return true
        case .character(let set):
            guard !set.isNegated, set.ranges.count == 1, set.ranges[0].count == 1,
                let scalar = Unicode.Scalar(set.ranges[0].lowerBound)
            else { return false }
            prefix += Array(String(scalar).utf8)
            return true
        case .sequence(let nodes): return nodes.allSatisfy { appendPrefix(of: $0, to: &prefix) }
        case .end, .choice, .repetition: return false
        }
    }
}
