/// The request as Gatekeeper writes it, read in one go over the bytes.
///
/// This is no second opinion on what JSON is: whatever is not exactly the plain shape (each of the four known members
/// once and no other, strings of printable ASCII without escapes) is left to `StrictJSON`, which knows the errors too.
/// What is taken here, `StrictJSON` reads the same.
struct PlainRequest {
    let version: ExternalDataVersion
    /// As they came, with duplicates.
    let keys: [String]

    /// Reads a request body; `nil` when it is not of the plain shape.
    init?(_ body: [UInt8], maximumKeys: Int) {
        guard let plain = body.withUnsafeBufferPointer({ PlainRequest(bytes: $0, maximumKeys: maximumKeys) }) else {
            return nil
        }
        self = plain
    }

    private init?(bytes: UnsafeBufferPointer<UInt8>, maximumKeys: Int) {
        var scanner = Scanner(bytes: bytes)
        var version: ExternalDataVersion?
        var hasKind = false
        var keys: [String]?
        guard scanner.take("{") else { return nil }
        repeat {
            guard let name = scanner.text(), scanner.take(":") else { return nil }
            if name == "apiVersion" {
                guard version == nil, let text = scanner.text() else { return nil }
                version = ExternalDataVersion.allCases.first { text == $0.name }
                guard version != nil else { return nil }
            } else if name == "kind" {
                guard !hasKind, let kind = scanner.text(), kind == "ProviderRequest" else { return nil }
                hasKind = true
            } else if name == "request" {
                guard keys == nil, scanner.take("{"), let member = scanner.text(), member == "keys",
                    scanner.take(":"), let found = scanner.strings(atMost: maximumKeys), scanner.take("}")
                else { return nil }
                keys = found
            } else {
                return nil
            }
        } while scanner.take(",")
        guard scanner.take("}"), scanner.isAtEnd, hasKind, let version, let keys else { return nil }
        self.version = version
        self.keys = keys
    }

    /// The printable ASCII between two quotation marks.
    private struct Text {
        let bytes: Slice<UnsafeBufferPointer<UInt8>>

        var string: String { String(decoding: UnsafeBufferPointer(rebasing: bytes), as: UTF8.self) }

        static func == (text: Text, expected: StaticString) -> Bool {
            text.bytes.count == expected.utf8CodeUnitCount
                && text.bytes.elementsEqual(
                    UnsafeBufferPointer(start: expected.utf8Start, count: expected.utf8CodeUnitCount))
        }
    }

    private struct Scanner {
        /// The body. Lives as long as ``PlainRequest`` is being made; no position is looked at that is not below its
        /// count.
        let bytes: UnsafeBufferPointer<UInt8>
        var position = 0

        init(bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

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

        mutating func text() -> Text? {
            guard take("\"") else { return nil }
            let start = position
            while position < bytes.count {
                let byte = bytes[position]
                if byte == UInt8(ascii: "\"") {
                    defer { position += 1 }
                    return Text(bytes: bytes[start..<position])
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
                guard strings.count < maximum, let text = text() else { return nil }
                strings.append(text.string)
            } while take(",")
            return take("]") ? strings : nil
        }
    }
}

extension ExternalDataVersion {
    /// The same as its raw value.
    fileprivate var name: StaticString {
        switch self {
        case .v1alpha1: "externaldata.gatekeeper.sh/v1alpha1"
        case .v1beta1: "externaldata.gatekeeper.sh/v1beta1"
        }
    }
}
