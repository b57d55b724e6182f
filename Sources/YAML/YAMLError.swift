import Quotation

/// Why a text is not the YAML that ``YAML`` accepts.
package struct YAMLError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The kinds of fault.
    package enum Problem: Hashable, Sendable {
        case tooLarge(Int)
        case invalidUTF8
        /// Not YAML at all; libyaml's words.
        case syntax(String)
        case duplicateKey(String)
        case unknownAnchor(String)
        case unsupportedTag(String)
        case unsupportedKey
        case unsuitableScalar(String)
        case unsuitableMerge
        case notANumber
        case tooDeep(Int)
        case tooManyValues(Int)
        case tooLargeExpanded(Int)
        case outOfMemory
    }

    /// What is wrong.
    package let problem: Problem
    /// The line, counted from 1; 0 when the fault is in no line.
    package let line: Int
    /// The column, counted from 1.
    package let column: Int

    /// What is wrong and where, for a person.
    package var description: String {
        let what =
            switch problem {
            case .tooLarge(let limit): "the text is larger than \(limit) bytes"
            case .invalidUTF8: "the text is not valid UTF-8"
            case .syntax(let words): "not YAML: \(words)"
            case .duplicateKey(let key): "the key \"\(key.quoted)\" occurs twice in one mapping"
            case .unknownAnchor(let name): "no finished value has the anchor \"\(name.quoted)\""
            case .unsupportedTag(let tag): "the tag \"\(tag.quoted)\" is not supported"
            case .unsupportedKey: "a key that is no string, number or Boolean"
            case .unsuitableScalar(let tag): "the text does not fit its tag \"\(tag.quoted)\""
            case .unsuitableMerge: "\"<<\" needs a mapping or a sequence of mappings"
            case .notANumber: "infinity and not-a-number have no JSON form"
            case .tooDeep(let limit): "nested deeper than \(limit)"
            case .tooManyValues(let limit): "more than \(limit) values, aliases expanded"
            case .tooLargeExpanded(let limit): "more than \(limit) bytes of text, aliases expanded"
            case .outOfMemory: "there is no memory to read it"
            }
        return line == 0 ? what : "\(what) (line \(line), column \(column))"
    }
}
