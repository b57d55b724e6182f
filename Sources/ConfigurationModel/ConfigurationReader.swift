import Quotation
import StrictJSON

/// Why a configuration cannot come into force.
package struct ConfigurationError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The member at fault, `verifier.plugins[0].trustPolicyDoc` for instance; empty for the file as a whole.
    package let path: String
    /// What is wrong with it and what is expected.
    package let problem: String
    /// Whether it says nothing of the file: there were no means to look at it.
    package var isShortage = false

    /// A fault at a member.
    package init(path: String, problem: String) {
        self.path = path
        self.problem = problem
    }

    /// Where and what.
    package var description: String { path.isEmpty ? "the configuration \(problem)" : "\(path) \(problem)" }
}

extension JSONValue {
    /// This value as messages quote it: a text between quotation marks, anything else as it is written.
    package var shown: String { string.map { "\"\($0.quoted)\"" } ?? text.quoted }
}

/// Reads the members of one object of a configuration, and knows which were never asked for: an option that is parsed
/// and has no effect would deceive whoever set it.
package struct ConfigurationReader: Sendable {
    /// The object.
    package let object: JSONObject
    /// Where it stands in the file.
    package let path: String
    /// What was found to have no effect in sections read from this one.
    package var warnings: [String] = []
    private var used: Set<String> = []

    /// A reader of a value, which must be an object.
    package init(_ value: JSONValue, path: String) throws(ConfigurationError) {
        guard let object = value.object else {
            throw ConfigurationError(path: path, problem: "is \(value.kind): expected an object")
        }
        self.init(object, path: path)
    }

    /// A reader of an object.
    package init(_ object: JSONObject, path: String) {
        self.object = object
        self.path = path
    }

    /// Where a member is, for messages. Its name is what somebody wrote: a key that slipped to the left is not shown.
    package func memberPath(_ name: String) -> String { path.isEmpty ? name.quoted : "\(path).\(name.quoted)" }

    /// A member, `nil` when it is absent or `null`.
    package mutating func value(_ name: String) -> JSONValue? {
        used.insert(name)
        guard let value = object[name], !value.isNull else { return nil }
        return value
    }

    private func fault(_ name: String, _ value: JSONValue, expected: String) -> ConfigurationError {
        ConfigurationError(path: memberPath(name), problem: "is \(value.kind): expected \(expected)")
    }

    /// A member that is a string.
    package mutating func string(_ name: String) throws(ConfigurationError) -> String? {
        guard let value = value(name) else { return nil }
        guard let string = value.string else { throw fault(name, value, expected: "a string") }
        return string
    }

    /// A member that is a string and must be there, not empty.
    package mutating func requiredString(_ name: String) throws(ConfigurationError) -> String {
        guard let string = try string(name), !string.isEmpty else {
            throw ConfigurationError(path: memberPath(name), problem: "is missing or empty")
        }
        return string
    }

    /// A member that is a Boolean; the strings "true" and "false" are understood, as Helm's `--set-string` makes them.
    package mutating func bool(_ name: String) throws(ConfigurationError) -> Bool? {
        guard let value = value(name) else { return nil }
        switch value {
        case .bool(let bool): return bool
        case .string("true"): return true
        case .string("false"): return false
        default: throw fault(name, value, expected: "true or false")
        }
    }

    /// A member that is a whole number within bounds.
    package mutating func integer(_ name: String, in bounds: ClosedRange<Int64>) throws(ConfigurationError) -> Int64? {
        guard let value = value(name) else { return nil }
        guard let integer = value.integer, bounds.contains(integer) else {
            throw ConfigurationError(
                path: memberPath(name),
                problem: "is \(value.shown): expected a whole number from \(bounds.lowerBound) to \(bounds.upperBound)")
        }
        return integer
    }

    /// A member that is a list of strings.
    package mutating func strings(_ name: String) throws(ConfigurationError) -> [String]? {
        guard let value = value(name) else { return nil }
        guard let strings = value.strings else { throw fault(name, value, expected: "a list of strings") }
        return strings
    }

    /// A member that is an object.
    package mutating func section(_ name: String) throws(ConfigurationError) -> ConfigurationReader? {
        guard let value = value(name) else { return nil }
        return try ConfigurationReader(value, path: memberPath(name))
    }

    /// A member that is a list of objects; empty when it is absent.
    package mutating func sections(_ name: String) throws(ConfigurationError) -> [ConfigurationReader] {
        guard let value = value(name) else { return [] }
        guard let array = value.array else { throw fault(name, value, expected: "a list of objects") }
        var readers: [ConfigurationReader] = []
        for (index, element) in array.enumerated() {
            readers.append(try ConfigurationReader(element, path: "\(memberPath(name))[\(index)]"))
        }
        return readers
    }

    /// Marks members as known although nothing reads them.
    package mutating func ignore(_ names: String...) { used.formUnion(names) }

    /// A sentence for each member that was not asked for, and those of sections read from this one.
    package func unused() -> [String] {
        warnings + object.names.filter { !used.contains($0) }.map { "\(memberPath($0)) is not known and has no effect" }
    }
}
