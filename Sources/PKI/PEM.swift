import Encoding

/// Textual encoding of DER (RFC 7468): one block between its BEGIN and END lines.
public struct PEM: Sendable {
    /// The label: `CERTIFICATE`, `PRIVATE KEY`, …
    public let label: String
    /// Headers in the manner of RFC 1421 (`Proc-Type: 4,ENCRYPTED`), which old private keys have.
    public let headers: [(name: String, value: String)]
    /// The content.
    public let der: [UInt8]

    /// How large a text may be.
    public static let maximumBytes = 1 << 20
    /// How many blocks a text may have.
    public static let maximumBlocks = 1_000

    /// A block without headers.
    public init(label: String, der: [UInt8]) {
        self.label = label
        self.headers = []
        self.der = der
    }

    private init(label: String, headers: [(name: String, value: String)], der: [UInt8]) {
        self.label = label
        self.headers = headers
        self.der = der
    }

    /// The block as text, 64 characters in a line.
    public var text: String {
        let encoded = Base64.encode(der).utf8
        var lines = ["-----BEGIN \(label)-----"]
        var index = encoded.startIndex
        while index < encoded.endIndex {
            let end = encoded.index(index, offsetBy: 64, limitedBy: encoded.endIndex) ?? encoded.endIndex
            lines.append(String(Substring(encoded[index..<end])))
            index = end
        }
        lines.append("-----END \(label)-----")
        return lines.joined(separator: "\n") + "\n"
    }

    /// All blocks of a text, in order. Text around the blocks is ignored; a block that is broken is an error, never
    /// skipped, so that a damaged file cannot look like a smaller one.
    public static func parse(_ text: [UInt8]) throws(PKIError) -> [PEM] {
        guard text.count <= maximumBytes else {
            throw PKIError(.tooLarge, "the PEM text has \(text.count) bytes; at most \(maximumBytes) are accepted")
        }
        var blocks: [PEM] = []
        var open: (label: String, line: Int, body: [UInt8], headers: [(name: String, value: String)], inHeaders: Bool)?
        var lineNumber = 0
        for line in Lines(text) {
            lineNumber += 1
            let trimmed = trim(line)
            guard !isBroken(trimmed) else {
                throw PKIError(
                    .malformed,
                    "line \(lineNumber) goes on where the PEM text should end it: a BEGIN line, each END line and the Base64 "
                        + "between them need line breaks, which were lost or replaced; give the text as it was made")
            }
            if let label = boundary(trimmed, "BEGIN") {
                if let open {
                    throw PKIError(
                        .malformed, "the PEM block \(shown(open.label)) of line \(open.line) has no END line")
                }
                open = (label, lineNumber, [], [], false)
            } else if let label = boundary(trimmed, "END") {
                guard let block = open else {
                    throw PKIError(.malformed, "line \(lineNumber) ends a PEM block \(shown(label)) that did not begin")
                }
                guard block.label == label else {
                    throw PKIError(
                        .malformed,
                        "the PEM block \(shown(block.label)) of line \(block.line) ends as \(shown(label)) in line \(lineNumber)"
                    )
                }
                guard let der = Base64.decode(block.body), !der.isEmpty else {
                    throw PKIError(
                        .malformed, "the PEM block \(shown(label)) of line \(block.line) is not Base64 or is empty")
                }
                guard blocks.count < maximumBlocks else {
                    throw PKIError(.tooLarge, "the PEM text has more than \(maximumBlocks) blocks")
                }
                blocks.append(PEM(label: label, headers: block.headers, der: der))
                open = nil
            } else if open != nil {
                let colon = trimmed.firstIndex(of: UInt8(ascii: ":"))
                if open?.body.isEmpty == true, let colon {
                    let name = String(decoding: trimmed[..<colon], as: UTF8.self)
                    let value = String(decoding: trim(trimmed[(colon + 1)...]), as: UTF8.self)
                    open?.headers.append((name, value))
                    open?.inHeaders = true
                } else if open?.inHeaders == true {
                    // A header goes on in the next line when that begins with a space; an empty line ends the headers.
                    if trimmed.isEmpty { open?.inHeaders = false }
                } else {
                    open?.body += trimmed
                }
            }
        }
        if let open {
            throw PKIError(.malformed, "the PEM block \(shown(open.label)) of line \(open.line) has no END line")
        }
        return blocks
    }

    /// Whether a text has a PEM block, a broken one too.
    package static func isPEM(_ text: [UInt8]) -> Bool {
        Lines(text).contains { line in
            let line = trim(line)
            return boundary(line, "BEGIN") != nil || isBroken(line)
        }
    }

    private static func trim(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0D }
        var line = line.drop(while: isSpace)
        while let last = line.last, isSpace(last) { line.removeLast() }
        return line
    }

    private static func boundary(_ line: ArraySlice<UInt8>, _ word: String) -> String? {
        // Most lines are not, and a text may have a million of them.
        guard line.first == UInt8(ascii: "-") else { return nil }
        let prefix = Array("-----\(word) ".utf8)
        let suffix = Array("-----".utf8)
        guard line.count > prefix.count + suffix.count, line.starts(with: prefix), line.suffix(5).elementsEqual(suffix)
        else { return nil }
        let label = line.dropFirst(prefix.count).dropLast(5)
        return isLabel(label) ? String(decoding: label, as: UTF8.self) : nil
    }

    /// RFC 7468, section 3: words of printable characters, with one space or hyphen between them. No label in use has
    /// more than 25 characters; what is longer is not a label but what should stand below it.
    private static func isLabel(_ label: ArraySlice<UInt8>) -> Bool {
        var last = UInt8(ascii: " ")
        for byte in label {
            guard (0x20...0x7E).contains(byte) else { return false }
            let isSeparator = byte == UInt8(ascii: " ") || byte == UInt8(ascii: "-")
            if isSeparator, last == UInt8(ascii: " ") || last == UInt8(ascii: "-") { return false }
            last = byte
        }
        return label.count <= maximumLabelBytes && last != UInt8(ascii: " ") && last != UInt8(ascii: "-")
    }

    private static let maximumLabelBytes = 40

    /// Whether a line begins or ends a block and is no line of its own: the text has lost its line breaks.
    private static func isBroken(_ line: ArraySlice<UInt8>) -> Bool {
        guard line.first == UInt8(ascii: "-") else { return false }
        for word in ["BEGIN", "END"] where line.starts(with: "-----\(word) ".utf8) {
            return boundary(line, word) == nil
        }
        return false
    }

    /// The label as messages name it. It may be whatever the text's owner has put there.
    var shownLabel: String { PEM.shown(label) }

    private static func shown(_ label: String) -> String {
        let isUsual = label.utf8.allSatisfy { byte in
            (0x41...0x5A).contains(byte) || byte == 0x20 || (0x30...0x39).contains(byte)
        }
        return isUsual && label.split(separator: " ").allSatisfy { $0.utf8.count <= 16 } ? label : "of an unusual name"
    }
}

/// The lines of a text, one after the other: a list of all lines would take a hundred times as much memory as a text of
/// empty ones.
private struct Lines: Sequence, IteratorProtocol {
    private var rest: ArraySlice<UInt8>?

    init(_ text: [UInt8]) { rest = text[...] }

    mutating func next() -> ArraySlice<UInt8>? {
        guard let text = rest else { return nil }
        guard let end = text.firstIndex(of: 0x0A) else {
            rest = nil
            return text
        }
        rest = text[(end + 1)...]
        return text[..<end]
    }
}
