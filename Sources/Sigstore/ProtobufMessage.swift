import Encoding
import FoundationEssentials
import Quotation
import StrictJSON

/// A message in JSON as protobuf writes it ("ProtoJSON Format"): names in lowerCamelCase, 64-bit integers as strings,
/// bytes in Base64, times in RFC 3339, and what has its default left out or null.
struct ProtobufMessage {
    /// What is wrong with a message: where, and what.
    struct Fault: Error {
        let path: String
        let problem: String
        /// Whether there is more of something than is accepted.
        var isLimit = false
        /// Whether a log entry is of a kind that is not known.
        var isUnknownKind = false
        /// The whole error, where it is not about a member.
        var refusal: BundleError?

        var description: String { path.isEmpty ? problem : "\(path): \(problem)" }
    }

    /// The way from the outermost message to this one: `verificationMaterial.tlogEntries[0]`.
    let path: String
    private let object: JSONObject

    init(_ value: JSONValue, path: String = "") throws(Fault) {
        guard let object = value.object else {
            throw Fault(path: path, problem: "it is \(value.kind), expected an object")
        }
        self.object = object
        self.path = path
    }

    /// Refuses members that are not among these: a later version of the format may say with one what must not be
    /// overlooked, and a signature that carries text beside itself is not the one that was made.
    func only(_ names: String...) throws(Fault) {
        if let unknown = object.names.first(where: { !names.contains($0) }) {
            throw fault("unknown member \"\(unknown.quoted)\"; known are \(names.joined(separator: ", "))")
        }
    }

    func fault(_ problem: String, isLimit: Bool = false) -> Fault {
        Fault(path: path, problem: problem, isLimit: isLimit)
    }

    private func place(_ name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }

    private func value(_ name: String) -> JSONValue? {
        guard let value = object[name], !value.isNull else { return nil }
        return value
    }

    /// Whether a member is there.
    func has(_ name: String) -> Bool { value(name) != nil }

    private func wrong(_ name: String, _ value: JSONValue, _ expected: String) -> Fault {
        Fault(path: place(name), problem: "it is \(value.kind), expected \(expected)")
    }

    private func missing(_ name: String) -> Fault { fault("the member \"\(name)\" is missing") }

    /// A text; nil when it is not there or empty, which is the same to protobuf.
    func text(_ name: String) throws(Fault) -> String? {
        guard let value = value(name) else { return nil }
        guard let text = value.string else { throw wrong(name, value, "a string") }
        return text.isEmpty ? nil : text
    }

    func requiredText(_ name: String) throws(Fault) -> String {
        guard let text = try text(name) else { throw missing(name) }
        return text
    }

    /// Bytes in Base64 with padding; nil when there are none.
    func bytes(_ name: String, maximum: Int) throws(Fault) -> [UInt8]? {
        guard let text = try text(name) else { return nil }
        // Before it is decoded: four characters are three bytes.
        guard text.utf8.count <= (maximum + 2) / 3 * 4 else {
            throw Fault(path: place(name), problem: "there are more than \(maximum) bytes", isLimit: true)
        }
        guard let bytes = Base64.decode(text) else {
            throw Fault(
                path: place(name),
                problem: "it is not Base64 (RFC 4648, section 4, with padding and without line breaks)")
        }
        return bytes
    }

    func requiredBytes(_ name: String, maximum: Int) throws(Fault) -> [UInt8] {
        guard let bytes = try bytes(name, maximum: maximum) else { throw missing(name) }
        return bytes
    }

    /// A list of bytes.
    func bytesList(_ name: String, maximum: Int, each: Int) throws(Fault) -> [[UInt8]] {
        var all: [[UInt8]] = []
        for (index, value) in try list(name, maximum: maximum).enumerated() {
            var item = JSONObject()
            item["\(name)[\(index)]"] = value
            all.append(
                try ProtobufMessage(.object(item), path: path).requiredBytes("\(name)[\(index)]", maximum: each))
        }
        return all
    }

    /// An integer of at least 0, as a string or a number; 0 when it is not there.
    func integer(_ name: String) throws(Fault) -> Int64 {
        guard let value = value(name) else { return 0 }
        let text: String
        switch value {
        case .string(let string): text = string
        case .number(let number): text = number
        default: throw wrong(name, value, "an integer")
        }
        // One spelling for each number.
        guard let number = Int64(text), number >= 0, String(number) == text else {
            throw Fault(path: place(name), problem: "\"\(text.quoted)\" is not an integer from 0 to 2^63 - 1")
        }
        return number
    }

    /// An integer of at least 0 that must be there, as a number: JSON that is not of protobuf.
    func requiredNumber(_ name: String) throws(Fault) -> Int64 {
        guard let value = value(name) else { throw missing(name) }
        guard case .number = value else { throw wrong(name, value, "a number") }
        return try integer(name)
    }

    /// A message inside this one; nil when it is not there.
    func message(_ name: String) throws(Fault) -> ProtobufMessage? {
        guard let value = value(name) else { return nil }
        return try ProtobufMessage(value, path: place(name))
    }

    func requiredMessage(_ name: String) throws(Fault) -> ProtobufMessage {
        guard let message = try message(name) else { throw missing(name) }
        return message
    }

    /// The elements of a list, none when it is not there.
    func list(_ name: String, maximum: Int) throws(Fault) -> [JSONValue] {
        guard let value = value(name) else { return [] }
        guard let array = value.array else { throw wrong(name, value, "an array") }
        guard array.count <= maximum else {
            throw Fault(
                path: place(name), problem: "there are \(array.count), at most \(maximum) are accepted", isLimit: true)
        }
        return array
    }

    /// The messages of a list.
    func messages(_ name: String, maximum: Int) throws(Fault) -> [ProtobufMessage] {
        var messages: [ProtobufMessage] = []
        for (index, value) in try list(name, maximum: maximum).enumerated() {
            messages.append(try ProtobufMessage(value, path: "\(place(name))[\(index)]"))
        }
        return messages
    }

    /// A time; nil when it is not there.
    func time(_ name: String) throws(Fault) -> Date? {
        guard let text = try text(name) else { return nil }
        guard let time = ProtobufTime.parse(text) else {
            throw Fault(
                path: place(name),
                problem: "\"\(text.quoted)\" is not a time in RFC 3339 that ends in Z: 2026-06-01T12:00:00Z")
        }
        return time
    }
}
