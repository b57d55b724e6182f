/// One CBOR data item (RFC 8949), as ``CBORDecoder`` reads it and ``CBOREncoder`` writes it.
///
/// Integers are those of a signed 64-bit integer: labels, algorithms and times of COSE need no others.
package indirect enum CBORValue: Hashable, Sendable {
    case integer(Int64)
    case bytes([UInt8])
    case text(String)
    case array([CBORValue])
    case map(CBORMap)
    case tagged(UInt64, CBORValue)
    case bool(Bool)
    case null
    case undefined
    case simple(UInt8)
    case float(Double)

    /// The bytes of a byte string, or `nil` when this is another kind of item.
    var bytes: [UInt8]? { if case .bytes(let value) = self { value } else { nil } }
    /// The text of a text string, or `nil` when this is another kind of item.
    var text: String? { if case .text(let value) = self { value } else { nil } }
    /// The integer, or `nil` when this is another kind of item.
    var integer: Int64? { if case .integer(let value) = self { value } else { nil } }
    /// The elements of an array, or `nil` when this is another kind of item.
    var array: [CBORValue]? { if case .array(let value) = self { value } else { nil } }
}

/// The entries of a CBOR map in the order of the encoding, each key once.
package struct CBORMap: Hashable, Sendable, ExpressibleByDictionaryLiteral {
    /// One entry.
    struct Entry: Hashable, Sendable {
        var key: CBORValue
        var value: CBORValue
    }

    /// The entries.
    private(set) var entries: [Entry] = []

    init() {}

    package init(dictionaryLiteral elements: (CBORValue, CBORValue)...) {
        entries = elements.map { Entry(key: $0.0, value: $0.1) }
    }

    /// The value of a key.
    subscript(key: CBORValue) -> CBORValue? { entries.first { $0.key == key }?.value }
    /// The value of an integer label.
    subscript(label: Int64) -> CBORValue? { self[.integer(label)] }
    /// The value of a text label.
    subscript(label: String) -> CBORValue? { self[.text(label)] }

    /// Adds an entry whose key the caller knows to be new.
    mutating func append(_ key: CBORValue, _ value: CBORValue) { entries.append(Entry(key: key, value: value)) }
}
