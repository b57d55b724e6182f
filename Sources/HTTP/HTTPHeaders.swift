/// Header fields in their order. Names compare without regard to case (RFC 9110, section 5.1).
public struct HTTPHeaders: Sendable, ExpressibleByDictionaryLiteral {
    /// The fields in their order, names as they were given or received.
    public private(set) var fields: [(name: String, value: String)]

    /// No fields.
    public init() { fields = [] }

    /// The given fields, in the order of the literal; a name may occur more than once.
    public init(dictionaryLiteral elements: (String, String)...) {
        fields = elements.map { (name: $0, value: $1) }
    }

    /// The value of the first field with this name. Setting replaces every field of that name, `nil` removes them.
    public subscript(name: String) -> String? {
        get { fields.first { HTTPHeaders.areEqual($0.name, name) }?.value }
        set {
            if let newValue { set(name, newValue) } else { remove(name) }
        }
    }

    /// The values of every field with this name, in order.
    public func all(_ name: String) -> [String] {
        fields.compactMap { HTTPHeaders.areEqual($0.name, name) ? $0.value : nil }
    }

    /// Adds a field after the others.
    public mutating func add(_ name: String, _ value: String) { fields.append((name: name, value: value)) }

    /// Replaces every field of this name by one.
    public mutating func set(_ name: String, _ value: String) {
        remove(name)
        add(name, value)
    }

    /// Removes every field of this name.
    public mutating func remove(_ name: String) { fields.removeAll { HTTPHeaders.areEqual($0.name, name) } }

    /// Removes the fields whose name is none of these.
    mutating func keepOnly(_ names: [String]) {
        fields.removeAll { field in !names.contains { HTTPHeaders.areEqual($0, field.name) } }
    }

    /// Names are ASCII tokens: comparing bytes without their case bit for letters is enough, and allocates nothing.
    static func areEqual(_ left: String, _ right: String) -> Bool {
        left.utf8.count == right.utf8.count
            && left.utf8.elementsEqual(right.utf8) { lowercased($0) == lowercased($1) }
    }

    private static func lowercased(_ byte: UInt8) -> UInt8 { (0x41...0x5A).contains(byte) ? byte | 0x20 : byte }
}

extension HTTPHeaders {
    /// Fields that the client itself decides: a caller that sets one could disagree with what is really sent.
    private static let reserved = [
        "Host", "Content-Length", "Transfer-Encoding", "Connection", "Expect", "Upgrade", "TE", "Proxy-Authorization",
        "Proxy-Connection", "Keep-Alive",
    ]

    /// What is wrong with a field that a request must not be sent with; `nil` when all are right. Values are not
    /// quoted: they may be secrets.
    ///
    /// A line break in a value would begin a header, or a request, of an attacker's choice (RFC 9110, section 5.5).
    var problem: String? {
        for (name, value) in fields {
            guard !name.isEmpty, name.utf8.allSatisfy(HTTPHeaders.isTokenByte) else {
                return "a header name is empty or has characters that are not allowed"
            }
            if HTTPHeaders.reserved.contains(where: { HTTPHeaders.areEqual($0, name) }) {
                return "the header \(name) is set by the client, not by its caller"
            }
            guard value.utf8.allSatisfy({ $0 == 0x09 || ($0 >= 0x20 && $0 != 0x7F) }) else {
                return "the value of the header \(name) has control characters"
            }
        }
        return nil
    }

    /// Whether a token may hold a byte (RFC 9110, section 5.6.2): the name of a header is one, and many values have
    /// some.
    package static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }
}
