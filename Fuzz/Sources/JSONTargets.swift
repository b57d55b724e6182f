import FoundationEssentials
import StrictJSON

let jsonTargets = [
    FuzzTarget("json", maximumLength: 16_384) { bytes in
        let value: JSONValue
        do throws(JSONError) { value = try StrictJSON.parse(bytes) } catch {
            requireReadable(error)
            require((0...bytes.count).contains(error.offset), "an error at byte \(error.offset) of \(bytes.count)")
            return
        }
        let written = value.bytes
        // Six bytes for a control character that came as six; nothing else grows.
        require(written.count <= bytes.count, "the compact text is longer than the input")
        requireSame(written, as: value, "compact")
        requireSame(Array(value.prettyText.utf8), as: value, "pretty")
        // A second reader, of other people: what is accepted here means the same there.
        guard let other = try? JSONDecoder().decode(OtherJSON.self, from: Data(bytes)) else {
            violated("JSONDecoder refuses what StrictJSON accepts")
        }
        require(other.isSame(as: value), "JSONDecoder reads something else")
    }
]

/// What is written parses again, to the same bytes when written once more.
private func requireSame(_ written: [UInt8], as value: JSONValue, _ form: String) {
    do {
        let again = try StrictJSON.parse(written)
        require(again == value, "the \(form) text parses to another value")
        require(again.bytes == value.bytes, "the \(form) text parses to a value with another text")
    } catch { violated("the \(form) text does not parse: \(error)") }
}

/// JSON as `JSONDecoder` reads it.
private indirect enum OtherJSON: Decodable {
    case null, number
    case bool(Bool)
    case string(String)
    case array([OtherJSON])
    case object([String: OtherJSON])

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(String.self) {
            self = .string(value)
        } else if let value = try? container.decode([OtherJSON].self) {
            self = .array(value)
        } else if let value = try? container.decode([String: OtherJSON].self) {
            self = .object(value)
        } else {
            // A number of any size: JSONDecoder has no type that holds every one.
            self = .number
        }
    }

    func isSame(as value: JSONValue) -> Bool {
        switch (self, value) {
        case (.null, .null), (.number, .number): true
        case (.bool(let left), .bool(let right)): left == right
        case (.string(let left), .string(let right)): areSame(left, right)
        case (.array(let left), .array(let right)):
            left.count == right.count && zip(left, right).allSatisfy { $0.isSame(as: $1) }
        case (.object(let left), .object(let right)):
            left.count == right.count
                && right.members.allSatisfy { member in left[member.name]?.isSame(as: member.value) == true }
        default: false
        }
    }
}
