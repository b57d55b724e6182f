import Quotation
import StrictJSON

/// Canonical JSON of the OLPC project, which TUF signs (specification, section 4.1): members sorted by name, no white
/// space, in strings only quotation marks and backslashes escaped, no numbers but integers.
enum CanonicalJSON {
    static func bytes(_ value: JSONValue) throws(TUFError.Problem) -> [UInt8] {
        var output: [UInt8] = []
        try write(value, to: &output)
        return output
    }

    private static func write(_ value: JSONValue, to output: inout [UInt8]) throws(TUFError.Problem) {
        switch value {
        case .null, .bool: value.write(to: &output)
        case .number(let text):
            // `-0` is the only integer of JSON's grammar that has another spelling.
            guard text != "-0", text.utf8.allSatisfy({ $0 == UInt8(ascii: "-") || (0x30...0x39).contains($0) }) else {
                throw .malformed("the number \(text.quoted) has no canonical form: only integers have")
            }
            output.append(contentsOf: text.utf8)
        case .string(let text): write(text, to: &output)
        case .array(let elements):
            output.append(UInt8(ascii: "["))
            for (index, element) in elements.enumerated() {
                if index > 0 { output.append(UInt8(ascii: ",")) }
                try write(element, to: &output)
            }
            output.append(UInt8(ascii: "]"))
        case .object(let object):
            output.append(UInt8(ascii: "{"))
            // By code points, which is the order of their UTF-8; Swift's own order of strings is another one.
            let members = object.members.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
            for (index, member) in members.enumerated() {
                if index > 0 { output.append(UInt8(ascii: ",")) }
                write(member.name, to: &output)
                output.append(UInt8(ascii: ":"))
                try write(member.value, to: &output)
            }
            output.append(UInt8(ascii: "}"))
        }
    }

    private static func write(_ text: String, to output: inout [UInt8]) {
        output.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { output.append(UInt8(ascii: "\\")) }
            output.append(byte)
        }
        output.append(UInt8(ascii: "\""))
    }
}
