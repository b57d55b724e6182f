import Quotation
import StrictJSON

/// An object of a trust policy document: members by name without regard to case, of the types that they must have.
struct PolicyObject {
    private let object: JSONObject
    private let place: String

    /// - Parameter place: what the object is, for messages.
    init(_ value: JSONValue?, _ place: String) throws(TrustPolicyError) {
        self.place = place
        switch value {
        case nil, .null: object = JSONObject()
        case .object(let object): self.object = object
        case .some(let other): throw TrustPolicyError("\(place) is \(other.kind), not an object")
        }
    }

    /// The member with a name, exact or in another case; `null` is the same as none.
    private func member(_ name: String) throws(TrustPolicyError) -> JSONValue? {
        let folded = NotaryName.folded(name)
        let matches = object.members.filter { NotaryName.folded($0.name) == folded }
        guard matches.count <= 1 else {
            throw TrustPolicyError("\(place) has \"\(name.quoted)\" twice, in different cases")
        }
        guard let value = matches.first?.value, !value.isNull else { return nil }
        return value
    }

    func string(_ name: String) throws(TrustPolicyError) -> String? {
        guard let value = try member(name) else { return nil }
        guard let text = value.string else {
            throw TrustPolicyError("\"\(name)\" of \(place) is \(value.kind), not a string")
        }
        return text
    }

    func array(_ name: String) throws(TrustPolicyError) -> [JSONValue] {
        guard let value = try member(name) else { return [] }
        guard let array = value.array else {
            throw TrustPolicyError("\"\(name)\" of \(place) is \(value.kind), not an array")
        }
        return array
    }

    func strings(_ name: String) throws(TrustPolicyError) -> [String] {
        guard let value = try member(name) else { return [] }
        guard let strings = value.strings else {
            throw TrustPolicyError("\"\(name)\" of \(place) is not an array of strings")
        }
        return strings
    }

    func object(_ name: String) throws(TrustPolicyError) -> PolicyObject {
        try PolicyObject(try member(name), "\"\(name)\" of \(place)")
    }

    /// All members, whose names the caller knows to be data, as strings.
    func allStrings() throws(TrustPolicyError) -> [(name: String, value: String)] {
        var result: [(name: String, value: String)] = []
        for member in object.members {
            guard let text = member.value.string else {
                throw TrustPolicyError(
                    "\"\(member.name.quoted)\" in \(place) is \(member.value.kind), not a string")
            }
            result.append((member.name, text))
        }
        return result
    }
}
