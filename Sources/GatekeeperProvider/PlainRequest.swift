/// The request as Gatekeeper writes it, read in one go over the bytes.
///
/// This is no second opinion on what JSON is: whatever is not exactly the plain shape (each of the four known members
/// once and no other, strings of printable ASCII without escapes) is left to `StrictJSON`, which knows the errors too. What is
/// taken here, `StrictJSON` reads the same.
struct PlainRequest {
    let version: ExternalDataVersion
    /// As they came, with duplicates.
    let keys: [String]

    /// Reads a request body; `nil` when it is not of the plain shape.
    init?(_ body: [UInt8], maximumKeys: Int) {
        var scanner = Scanner(bytes: body)
        var version: ExternalDataVersion?
        var hasKind = false
        var keys: [String]?
        guard scanner.take("{") else { return nil }
        repeat {
            guard let name = scanner.string(), scanner.take(":") else { return nil }
            switch name {
            case "apiVersion":
                guard version == nil, let text = scanner.string() else { return nil }
                version = ExternalDataVersion(rawValue: text)
                guard version != nil else { return nil }
            case "kind":
                guard !hasKind, scanner.string() == "ProviderRequest" else { return nil }
                hasKind = true
            case "request":
                guard keys == nil, scanner.take("{"), scanner.string() == "keys", scanner.take(":"),
                    let found = scanner.strings(atMost: maximumKeys), scanner.take("}")
                else { return nil }
                keys = found
            default: return nil
            }
        } while scanner.take(",")
        guard scanner.take("}"), scanner.isAtEnd, hasKind, let version, let keys else { return nil }
        self.version = version
        self.keys = keys
    }

    private struct Scanner {
        let bytes: [UInt8]
        var position = 0

        init(bytes: [UInt8]) { self.bytes = bytes }

        private mutating func skipSpace() {
            while position < bytes.count {
                switch bytes[position] {
                case 0x20, 0x09, 0x0A, 0x0D: position += 1
                default: return
                }
            }
        }

        var isAtEnd: Bool {
            mutating get {
                skipSpace()
                return position == bytes.count
            }
        }

        mutating func take(_ character: Unicode.Scalar) -> Bool {
            skipSpace()
            guard position < bytes.count, bytes[position] == UInt8(ascii: character) else { return false }
            position += 1
            return true
        }

        mutating func string() -> String? {
            guard take("\"") else { return nil }
            let start = position
            while position < bytes.count {
                let byte = bytes[position]
                if byte == UInt8(ascii: "\"") {
                    defer { position += 1 }
                    return String(decoding: bytes[start..<position], as: UTF8.self)
                }
                guard (0x20...0x7E).contains(byte), byte != UInt8(ascii: "\\") else { return nil }
                position += 1
            }
            return nil
        }

        mutating func strings(atMost maximum: Int) -> [String]? {
            guard take("[") else { return nil }
            if take("]") { return [] }
            var strings: [String] = []
            repeat {
                guard strings.count < maximum, let text = string() else { return nil }
                strings.append(text)
            } while take(",")
            return take("]") ? strings : nil
        }
    }
}
