import Encoding

/// A signed note (C2SP `signed-note`): a text of lines, an empty line, and a line for each signature over the text.
struct SignedNote {
    /// One signature line: `— name base64(key ID, signature)`.
    struct Signature {
        let name: String
        /// Four bytes that say which key of that name it is.
        let keyID: [UInt8]
        let signature: [UInt8]
    }

    /// What is signed, the line feed at its end included.
    let text: [UInt8]
    let signatures: [Signature]

    /// What is wrong with a note.
    struct Fault: Error {
        let description: String
    }

    init(_ note: String) throws(Fault) {
        let bytes = Array(note.utf8)
        guard bytes.last == 0x0A else { throw Fault(description: "it does not end with a line feed") }
        guard bytes.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 0x0A }) else {
            throw Fault(description: "it has control characters")
        }
        // The last empty line: the text may have some of its own.
        var separator: Int?
        for index in bytes.indices.dropLast() where bytes[index] == 0x0A && bytes[index + 1] == 0x0A {
            separator = index
        }
        guard let separator, separator > 0 else {
            throw Fault(description: "there is no empty line between its text and its signatures")
        }
        text = Array(bytes[...separator])
        let lines = bytes[(separator + 2)...].split(separator: 0x0A, omittingEmptySubsequences: false).dropLast()
        guard !lines.isEmpty else { throw Fault(description: "it has no signature") }
        guard lines.count <= SigstoreLimits.checkpointSignatures else {
            throw Fault(
                description: "it has \(lines.count) signatures; at most \(SigstoreLimits.checkpointSignatures) are "
                    + "accepted")
        }
        var signatures: [Signature] = []
        for line in lines { signatures.append(try Self.signature(line)) }
        self.signatures = signatures
    }

    private static func signature(_ line: ArraySlice<UInt8>) throws(Fault) -> Signature {
        // An em dash and a space.
        let dash: [UInt8] = [0xE2, 0x80, 0x94, 0x20]
        let parts = line.dropFirst(dash.count).split(separator: 0x20, omittingEmptySubsequences: false)
        guard line.starts(with: dash), parts.count == 2, !parts[0].isEmpty, !parts[0].contains(UInt8(ascii: "+")),
            let decoded = Base64.decode(Array(parts[1])), decoded.count > 4
        else { throw Fault(description: "it has a line among its signatures that is none: — name base64") }
        return Signature(
            name: String(decoding: parts[0], as: UTF8.self), keyID: Array(decoded.prefix(4)),
            signature: Array(decoded.dropFirst(4)))
    }
}
