/// The `Link` header (RFC 8288), as far as pagination needs it.
enum LinkHeader {
    /// The target of the link whose relation is `next`, in the first of the fields that has one.
    static func next(_ fields: [String]) -> String? {
        for field in fields where field.utf8.count <= 32 * 1024 {
            if let target = next(in: Array(field.utf8)) { return target }
        }
        return nil
    }

    private static func next(in bytes: [UInt8]) -> String? {
        var position = 0
        while let open = bytes[position...].firstIndex(of: UInt8(ascii: "<")),
            let close = bytes[open...].firstIndex(of: UInt8(ascii: ">"))
        {
            let target = bytes[(open + 1)..<close]
            // The parameters go on to the comma before the next link; a quoted string may have commas of its own.
            var end = close + 1
            var isQuoted = false
            while end < bytes.count, isQuoted || bytes[end] != UInt8(ascii: ",") {
                if bytes[end] == UInt8(ascii: "\"") { isQuoted.toggle() }
                end += 1
            }
            if hasRelationNext(bytes[(close + 1)..<end]) { return String(validating: target, as: UTF8.self) }
            position = end
        }
        return nil
    }

    /// `rel` may list several relations, compared without regard to case (RFC 8288, section 3.3).
    private static func hasRelationNext(_ parameters: ArraySlice<UInt8>) -> Bool {
        for parameter in String(decoding: parameters, as: UTF8.self).split(separator: ";") {
            let parts = parameter.split(separator: "=", maxSplits: 1)
            guard parts.count == 2, parts[0].trimmedOfSpaces.lowercased() == "rel" else { continue }
            let value = parts[1].trimmedOfSpaces.filter { $0 != "\"" }.lowercased()
            return value.split(separator: " ").contains("next")
        }
        return false
    }
}
