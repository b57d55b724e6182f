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
        let characters = Array(text.unicodeScalars.lazy.map(\.value).prefix(WholeExpression.matchedCharacters + 1))
        guard characters.count <= WholeExpression.matchedCharacters else { return false }
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
