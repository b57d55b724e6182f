import StrictJSON

/// Reads YAML into JSON values as `kubectl` does (sigs.k8s.io/yaml), from untrusted text.
///
/// What a plain scalar means is YAML 1.1, as Kubernetes has it: `yes`, `on`, `y` are true; `0755` and `0o755` are
/// octal; dates are strings. Tests compare with a real `kubectl`. Stricter than it in four things, because two
/// readers of one manifest must not disagree: a key occurs once; unknown tags are refused (`kubectl` ignores them);
/// everything is bounded, with aliases expanded; all documents are read before any is used.
package enum YAML {
    /// Bounds of what is read.
    package struct Limits: Sendable, Hashable {
        /// The longest text.
        package var bytes = 4 << 20
        /// The deepest nesting, with aliases expanded.
        package var depth = 64
        /// The most values, keys included, with aliases expanded.
        package var values = 200_000
        /// The most bytes of scalars, with aliases expanded: what the value would take when it is written.
        package var expandedBytes = 16 << 20

        /// Usual bounds: more than the largest object that Kubernetes stores.
        package init() {}
    }

    /// Parses every document of a text. Documents that are empty or `null` are left out, as `kubectl` does.
    ///
    /// A text that begins with `{` and is JSON is read as JSON: YAML 1.1 refuses some of it, as surrogate pairs.
    ///
    /// - Parameters:
    ///   - bytes: UTF-8.
    ///   - limits: what is refused as too large.
    /// - Throws: ``YAMLError`` with line and column of the fault.
    package static func parse(_ bytes: [UInt8], limits: Limits = Limits()) throws(YAMLError) -> [JSONValue] {
        guard bytes.count <= limits.bytes else {
            throw YAMLError(problem: .tooLarge(limits.bytes), line: 0, column: 0)
        }
        guard String(validating: bytes, as: UTF8.self) != nil else {
            let place = TextPlace(of: StrictJSON.lengthOfValidUTF8(bytes), in: bytes)
            throw YAMLError(problem: .invalidUTF8, line: place.line, column: place.column)
        }
        if bytes.first(where: { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }) == UInt8(ascii: "{"),
            let value = try? StrictJSON.parse(bytes, maximumDepth: limits.depth, maximumValues: limits.values)
        {
            return [value]
        }
        var result: Result<[JSONValue], YAMLError> = .success([])
        bytes.withUnsafeBufferPointer { buffer in
            result = Result { () throws(YAMLError) -> [JSONValue] in
                var composer = try Composer(EventReader(buffer), limits: limits)
                return try composer.documents()
            }
        }
        return try result.get()
    }

    /// Parses a text of one document at most; `nil` when there is none.
    package static func parseOne(_ bytes: [UInt8], limits: Limits = Limits()) throws(YAMLError) -> JSONValue? {
        let documents = try parse(bytes, limits: limits)
        guard documents.count < 2 else {
            throw YAMLError(problem: .syntax("one document expected, there are \(documents.count)"), line: 0, column: 0)
        }
        return documents.first
    }
}
