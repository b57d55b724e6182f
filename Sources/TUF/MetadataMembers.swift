import Encoding
import FoundationEssentials
import PKI
import Quotation
import StrictJSON

/// The members of an object of metadata, read with what is expected of them.
struct MetadataMembers {
    let object: JSONObject
    /// What the object is, for messages.
    let place: String

    init(_ value: JSONValue?, _ place: String) throws(TUFError.Problem) {
        guard let object = value?.object else { throw .malformed("\(place) is missing, or no object") }
        self.object = object
        self.place = place
    }

    init(_ object: JSONObject, _ place: String) {
        self.object = object
        self.place = place
    }

    func fault(_ name: String, _ what: String) -> TUFError.Problem { .malformed("\"\(name)\" of \(place) \(what)") }

    func string(_ name: String) throws(TUFError.Problem) -> String {
        guard let text = object[name]?.string else { throw fault(name, "is missing, or no string") }
        return text
    }

    func object(_ name: String) throws(TUFError.Problem) -> JSONObject {
        guard let value = object[name]?.object else { throw fault(name, "is missing, or no object") }
        return value
    }

    func array(_ name: String) throws(TUFError.Problem) -> [JSONValue] {
        guard let value = object[name]?.array else { throw fault(name, "is missing, or no array") }
        return value
    }

    func strings(_ name: String) throws(TUFError.Problem) -> [String] {
        guard let value = object[name]?.strings else { throw fault(name, "is missing, or no array of strings") }
        return value
    }

    func bool(_ name: String) throws(TUFError.Problem) -> Bool {
        guard let value = object[name]?.bool else { throw fault(name, "is missing, or neither true nor false") }
        return value
    }

    /// An integer from 1 on. The greatest one is not accepted, so that there always is a next one.
    func positive(_ name: String) throws(TUFError.Problem) -> Int64 {
        guard let value = object[name]?.integer, value > 0, value < Int64.max else {
            throw fault(name, "is missing, or no integer from 1 on")
        }
        return value
    }

    /// A length in bytes.
    func length(_ name: String) throws(TUFError.Problem) -> Int {
        guard let value = object[name]?.integer, value >= 0, let length = Int(exactly: value) else {
            throw fault(name, "is missing, or no length")
        }
        return length
    }

    /// A time as section 4.2.3 of the specification writes it: `YYYY-MM-DDTHH:MM:SSZ`, nothing else.
    func date(_ name: String) throws(TUFError.Problem) -> Date {
        let text = Array(try string(name).utf8)
        let form = Array("dddd-dd-ddTdd:dd:ddZ".utf8)
        let digit = UInt8(ascii: "d")
        let isOfForm =
            text.count == form.count
            && zip(text, form).allSatisfy { $1 == digit ? (0x30...0x39).contains($0) : $0 == $1 }
        func number(_ range: Range<Int>) -> Int { text[range].reduce(0) { $0 * 10 + Int($1 - 0x30) } }
        guard isOfForm,
            let seconds = UTC.seconds(
                year: number(0..<4), month: number(5..<7), day: number(8..<10), hour: number(11..<13),
                minute: number(14..<16), second: number(17..<19))
        else { throw fault(name, "is no time of the form 2030-01-01T00:00:00Z") }
        return Date(timeIntervalSince1970: Double(seconds))
    }
}

/// What all metadata begins with.
struct MetadataHeader: Hashable, Sendable {
    let version: Int64
    let expires: Date

    /// - Parameter type: what `_type` must be.
    init(_ members: MetadataMembers, type: String) throws(TUFError.Problem) {
        let found = try members.string("_type")
        guard found == type else { throw .wrongType(expected: type, found: found) }
        // Section 4.3: what matches is the client's choice. Sigstore's roots say "1.0", which is no semantic version.
        let specification = try members.string("spec_version")
        let parts = specification.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        let isNumbers = parts.allSatisfy { part in
            !part.isEmpty && part.allSatisfy { (0x30...0x39).contains($0) }
        }
        guard (2...3).contains(parts.count), isNumbers, parts[0].elementsEqual("1".utf8) else {
            throw .unsupportedSpecification(specification)
        }
        version = try members.positive("version")
        expires = try members.date("expires")
    }

    /// Whether it is not valid any more: the expiry must be later than the time of the update.
    func isExpired(at time: Date) -> Bool { !(expires > time) }
}
