import Encoding
import Quotation

/// Why a text is not the JSON that ``StrictJSON`` accepts.
public struct JSONError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The kinds of fault.
    public enum Problem: Hashable, Sendable {
        case invalidUTF8
        /// The mark of an encoding.
        case byteOrderMark(String)
        case unexpectedEnd
        case unexpectedByte(UInt8)
        case trailingBytes
        case duplicateName(String)
        case tooDeep(Int)
        case tooManyValues(Int)
        case invalidEscape
        case loneSurrogate
        case controlCharacter
        case invalidNumber
    }

    /// What is wrong.
    public let problem: Problem
    /// Where: the number of bytes before the fault.
    public let offset: Int
    /// The line of the fault, counted from 1.
    public let line: Int
    /// The place in the line, in characters (Unicode scalars), counted from 1.
    public let column: Int

    /// A fault in a text.
    init(_ problem: Problem, at offset: Int, of bytes: ContiguousArray<UInt8>) {
        self.problem = problem
        self.offset = offset
        let place = TextPlace(of: offset, in: bytes)
        line = place.line
        column = place.column
    }

    /// What is wrong and where, for a person.
    public var description: String { "\(what) (line \(line), column \(column))" }

    /// What is wrong and where, with the line shown: for texts that whoever reads this has written himself. Of a line
    /// that may hold a secret nothing is shown.
    ///
    /// - Parameter bytes: the text that was parsed.
    public func description(showing bytes: some Sequence<UInt8>) -> String {
        let array = ContiguousArray(bytes)
        guard let shown = TextPlace(of: min(offset, array.count), in: array).excerpt(of: array) else {
            return description
        }
        return "\(description): \(shown)"
    }

    private var what: String {
        switch problem {
        case .invalidUTF8: "the text is not valid UTF-8"
        case .byteOrderMark(let encoding):
            "the text begins with a byte order mark of \(encoding); save it as UTF-8 without one"
        case .unexpectedEnd: "the text ends too early"
        case .unexpectedByte(let byte):
            switch byte {
            case 0x21...0x7E: "unexpected character '\(Character(UnicodeScalar(byte)))'"
            case 0x80...: "unexpected character that is not ASCII"
            default:
                "unexpected control character U+00\(byte < 0x10 ? "0" : "")\(String(byte, radix: 16, uppercase: true))"
            }
        case .trailingBytes: "there is something after the value"
        case .duplicateName(let name): "the member name \"\(name.quoted)\" occurs twice in one object"
        case .tooDeep(let limit): "nested deeper than \(limit)"
        case .tooManyValues(let limit): "more than \(limit) values"
        case .invalidEscape: "invalid escape sequence"
        case .loneSurrogate: "half of a surrogate pair"
        case .controlCharacter: "control character in a string"
        case .invalidNumber: "invalid number"
        }
    }
}

/// A place in a text, as editors count.
package struct TextPlace: Sendable {
    /// The line, counted from 1.
    package let line: Int
    /// The place in the line, in Unicode scalars, counted from 1.
    package let column: Int
    private let offset: Int
    private let start: Int

    /// The place of the byte that has so many before it.
    package init(of offset: Int, in bytes: some RandomAccessCollection<UInt8>) {
        var line = 1
        var start = 0
        var column = 1
        for (index, byte) in bytes.prefix(offset).enumerated() {
            if byte == UInt8(ascii: "\n") {
                line += 1
                start = index + 1
                column = 1
            } else if byte & 0xC0 != 0x80 {
                column += 1
            }
        }
        self.line = line
        self.column = column
        self.offset = offset
        self.start = start
    }

    /// How many bytes before and after a line are looked at before the line is shown.
    private static let surroundings = 1_024

    /// The line around the place, at most 80 characters of it, with `>>>` before the place; `nil` when there is nothing
    /// to show, or the line may hold a secret.
    func excerpt(of bytes: ContiguousArray<UInt8>) -> String? {
        let end = bytes[offset...].firstIndex(of: UInt8(ascii: "\n")) ?? bytes.count
        let whole = String(decoding: bytes[start..<end], as: UTF8.self).lowercased()
        let words = ["private key", "password", "passwd", "secret", "token", "credential", "auth"]
        guard end > start, !words.contains(where: whole.contains) else { return nil }
        // A line of a key may be too short to show what it is: the lines around tell. One with members is none.
        let isStructure = bytes[start..<end].contains { ":{}".utf8.contains($0) }
        let more = isStructure ? 0 : Self.surroundings
        let around = bytes[max(0, start - more)..<min(bytes.count, end + more)]
        guard !Quotation.mayHoldKey(String(decoding: around, as: UTF8.self)) else { return nil }
        var before = Array(String(decoding: bytes[start..<offset], as: UTF8.self).unicodeScalars)
        let after = Array(String(decoding: bytes[offset..<end], as: UTF8.self).unicodeScalars.prefix(40))
        before = before.suffix(80 - after.count)
        return Self.printable(before) + ">>>" + Self.printable(after)
    }

    /// Without what only machines read: a long run of letters and digits may be a key.
    private static func printable(_ scalars: [UnicodeScalar]) -> String {
        var text = ""
        var rest = scalars[...]
        while let first = rest.first {
            let run = rest.prefix(while: isOfBase64)
            if run.count > 32 {
                text += "..."
            } else if !run.isEmpty {
                text.unicodeScalars.append(contentsOf: run)
            } else if (0x20...0x7E).contains(first.value) {
                text.unicodeScalars.append(first)
            } else {
                text += first.escaped
            }
            rest = rest.dropFirst(max(1, run.count))
        }
        return text
    }

    private static func isOfBase64(_ scalar: UnicodeScalar) -> Bool {
        switch scalar {
        case "a"..."z", "A"..."Z", "0"..."9", "+", "/", "=", "-", "_": true
        default: false
        }
    }
}
