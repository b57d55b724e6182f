/// One JSON value (RFC 8259), as ``StrictJSON`` reads and writes it.
///
/// Objects keep the order in which their members came; a name occurs once. Numbers keep their text, so that
/// a 64-bit integer survives.
public enum JSONValue: Hashable, Sendable {
    case null
    case bool(Bool)
    /// The number's text, already checked against the grammar of RFC 8259, section 6.
    case number(String)
    case string(String)
    case array([JSONValue])
    case object(JSONObject)
}

/// The members of a JSON object, in order, each name once.
public struct JSONObject: Hashable, Sendable, ExpressibleByDictionaryLiteral {
    /// The members in the order of the text.
    public private(set) var members: [(name: String, value: JSONValue)]

    /// An object with no members.
    public init() { members = [] }

    /// An object with the given members; of members with the same name the last one stays.
    public init(dictionaryLiteral elements: (String, JSONValue)...) {
        members = []
        for (name, value) in elements { self[name] = value }
    }

    /// An object with members whose names the caller has seen to be different: a reader of another format.
    package init(uniqueMembers: [(name: String, value: JSONValue)]) { members = uniqueMembers }

    /// The value of the member with exactly this name, `nil` when there is none. Setting `nil` removes it.
    public subscript(name: String) -> JSONValue? {
        get { members.first { $0.name == name }?.value }
        set {
            if let index = members.firstIndex(where: { $0.name == name }) {
                if let newValue { members[index].value = newValue } else { members.remove(at: index) }
            } else if let newValue {
                members.append((name, newValue))
            }
        }
    }

    /// The names of the members, in order.
    public var names: [String] { members.map(\.name) }
    /// How many members there are.
    public var count: Int { members.count }
    /// Whether there are no members.
    public var isEmpty: Bool { members.isEmpty }

    /// Adds a member whose name the caller knows to be new: the parser, which has checked it.
    mutating func append(_ name: String, _ value: JSONValue) { members.append((name, value)) }

    /// Two objects are equal when they have the same members, in whatever order.
    public static func == (left: JSONObject, right: JSONObject) -> Bool {
        left.count == right.count && left.members.allSatisfy { right[$0.name] == $0.value }
    }

    /// Feeds a value that does not depend on the order of the members.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(members.count)
        for name in names.sorted() { hasher.combine(name) }
    }
}

extension JSONValue {
    /// The object, or `nil` when this is another kind of value.
    public var object: JSONObject? { if case .object(let value) = self { value } else { nil } }
    /// The array, or `nil` when this is another kind of value.
    public var array: [JSONValue]? { if case .array(let value) = self { value } else { nil } }
    /// The string, or `nil` when this is another kind of value.
    public var string: String? { if case .string(let value) = self { value } else { nil } }
    /// The Boolean, or `nil` when this is another kind of value.
    public var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
    /// The number as an integer, or `nil` when it is no number, has a fraction or exponent, or does not fit.
    public var integer: Int64? { if case .number(let text) = self { Int64(text) } else { nil } }
    /// The number as a double, or `nil` when this is another kind of value.
    public var double: Double? { if case .number(let text) = self { Double(text) } else { nil } }
    /// Whether this is `null`.
    public var isNull: Bool { self == .null }

    /// A member of this value when it is an object.
    public subscript(name: String) -> JSONValue? { object?[name] }

    /// An array of strings, or `nil` when this is not one.
    public var strings: [String]? {
        guard let array else { return nil }
        var result: [String] = []
        result.reserveCapacity(array.count)
        for element in array {
            guard let string = element.string else { return nil }
            result.append(string)
        }
        return result
    }

    /// What kind of value this is, in the words of RFC 8259: for error messages.
    public var kind: String {
        switch self {
        case .null: "null"
        case .bool: "a Boolean"
        case .number: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    /// A JSON string.
    public init(stringLiteral value: String) { self = .string(value) }
    /// A JSON Boolean.
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    /// A JSON number.
    public init(integerLiteral value: Int64) { self = .number(String(value)) }
    /// A JSON array.
    public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    /// A JSON object; of members with the same name the last one stays.
    public init(dictionaryLiteral elements: (String, JSONValue)...) {
        var object = JSONObject()
        for (name, value) in elements { object[name] = value }
        self = .object(object)
    }
}
