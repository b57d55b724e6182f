import Encoding
import StrictJSON
import TestSupport

/// One change of a JSON value.
struct Mutation: Sendable, CustomStringConvertible {
    /// What was done to it.
    enum Kind: String, Sendable {
        /// `null`, or an empty value of the same kind or another one.
        case emptied
        /// A value of another kind.
        case replaced
        /// A bit or a character of a text, or of what it encodes.
        case flipped
        /// Something cut off at the end.
        case cut
        /// Something put to the beginning or the end.
        case extended
        /// The elements of a list in the other order.
        case reversed
        /// Elements of a list more than once.
        case repeated
        /// One element of a list left out.
        case dropped
        /// A member that the format does not have.
        case unknownMember
        /// The value at the same place of another good one.
        case taken
    }

    let kind: Kind
    /// The way to what is changed: `["verificationMaterial", "tlogEntries", "0", "logIndex"]`.
    let place: [String]
    /// What is there instead.
    let value: JSONValue
    /// Where it was taken from.
    var source = ""

    /// The last name on the way, which says what it is.
    var name: String { place.last { Int($0) == nil } ?? "" }

    var description: String {
        let text = value.text
        return "\(place.joined(separator: ".")) \(kind.rawValue)\(source.isEmpty ? "" : " from \(source)"): "
            + (text.utf8.count > 120 ? String(text.prefix(120)) + "…" : text)
    }

    /// What it makes of a value.
    func applied(to value: JSONValue) -> JSONValue {
        var mutant = value
        mutant[place] = self.value
        return mutant
    }

    /// Changes of every place of a value: each of its members, elements and texts.
    ///
    /// - Parameter flips: how many bits of each encoded text, and of each other text half as many characters.
    static func all(of value: JSONValue, flips: Int, using generator: inout SeededGenerator) -> [Mutation] {
        var all: [Mutation] = []
        for place in value.places where !place.isEmpty {
            let original = value[place]
            var changed: [(Kind, JSONValue)] = [
                (.emptied, .null), (.emptied, ""), (.emptied, []), (.emptied, [:]), (.replaced, 1), (.replaced, true),
            ]
            switch original {
            case .string(let text): changed += texts(text, flips, &generator)
            case .number(let number):
                changed += [
                    (.flipped, .number(number == "1" ? "2" : "1")), (.extended, .number(number + "0")),
                    (.replaced, .string(number)),
                ]
            case .array(let elements):
                changed += [
                    (.repeated, .array(elements + elements)), (.reversed, .array(elements.reversed())),
                    (.replaced, elements.first ?? "x"),
                ]
                for index in elements.indices {
                    var fewer = elements
                    fewer.remove(at: index)
                    changed += [(.dropped, .array(fewer)), (.repeated, .array(elements + [elements[index]]))]
                }
            case .object(var object):
                object["more"] = 1
                changed += [(.unknownMember, .object(object)), (.replaced, [.object(object)])]
            default: break
            }
            all += changed.filter { $0.1 != original }.map { Mutation(kind: $0.0, place: place, value: $0.1) }
        }
        return all
    }

    private static func texts(
        _ text: String, _ flips: Int, _ generator: inout SeededGenerator
    ) -> [(Kind, JSONValue)] {
        var changed: [(Kind, JSONValue)] = [
            (.extended, .string(text + "A")), (.extended, .string(text + "\n")), (.extended, .string(" " + text)),
            (.cut, .string(String(text.dropLast()))), (.cut, .string(String(text.dropFirst()))),
        ]
        guard !text.isEmpty else { return changed }
        if var bytes = Base64.decode(text), bytes.count > 8 {
            for _ in 0..<flips {
                let index = Int.random(in: bytes.indices, using: &generator)
                let bit = UInt8(1) << UInt8.random(in: 0...7, using: &generator)
                bytes[index] ^= bit
                changed.append((.flipped, .string(Base64.encode(bytes))))
                bytes[index] ^= bit
            }
            changed += [
                (.cut, .string(Base64.encode(bytes.dropLast()))),
                (.cut, .string(Base64.encode(Array(bytes.dropFirst())))),
                (.extended, .string(Base64.encode(bytes + [0]))), (.extended, .string(Base64.encode([0] + bytes))),
            ]
        }
        for _ in 0..<max(2, flips / 2) {
            var characters = Array(text.utf8)
            let index = Int.random(in: characters.indices, using: &generator)
            // Characters of several bytes stay whole.
            guard characters[index] < 0x80 else { continue }
            characters[index] = characters[index] == 0x31 ? 0x32 : 0x31
            changed.append((.flipped, .string(String(decoding: characters, as: UTF8.self))))
        }
        return changed
    }

    /// Each part of another good value in the place where this one has its own, or none.
    static func taking(from other: JSONValue, named source: String, into value: JSONValue) -> [Mutation] {
        var places = value.places
        places += other.places.filter { !places.contains($0) }
        return places.compactMap { place in
            let mutation = Mutation(kind: .taken, place: place, value: other[place], source: source)
            // All of the other is the other, and what makes no difference is none.
            guard !place.isEmpty, other[place] != value[place], mutation.applied(to: value) != other,
                mutation.applied(to: value) != value
            else { return nil }
            return mutation
        }
    }
}

extension JSONValue {
    /// The ways to every place of a value, itself among them.
    var places: [[String]] {
        switch self {
        case .object(let object):
            [[]] + object.members.flatMap { member in member.value.places.map { [member.name] + $0 } }
        case .array(let array):
            [[]] + array.enumerated().flatMap { index, element in element.places.map { [String(index)] + $0 } }
        default: [[]]
        }
    }
}
