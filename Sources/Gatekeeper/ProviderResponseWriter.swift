import StrictJSON

/// Writes a `ProviderResponse` of the external-data protocol straight into one buffer: JSON by hand, because the
/// general encoder costs more than the rest of a warm answer.
package struct ProviderResponseWriter: Sendable {
    private var output: [UInt8] = []
    private var hasItems = false

    /// Opens an answer. `isIdempotent` is written only when true: a mutation must be, a verification is not.
    package init(version: ExternalDataVersion, isIdempotent: Bool, capacity: Int = 1024) {
        output.reserveCapacity(capacity)
        output.append(contentsOf: #"{"apiVersion":""#.utf8)
        output.append(contentsOf: version.rawValue.utf8)
        output.append(
            contentsOf: isIdempotent
                ? #"","kind":"ProviderResponse","response":{"idempotent":true,"items":["#.utf8
                : #"","kind":"ProviderResponse","response":{"items":["#.utf8)
    }

    /// An item whose value the closure appends as JSON.
    package mutating func item(key: String, writeValue: (inout [UInt8]) -> Void) {
        open(key)
        output.append(contentsOf: #","value":"#.utf8)
        writeValue(&output)
        output.append(UInt8(ascii: "}"))
    }

    /// An item whose value is a string.
    package mutating func item(key: String, value: String) {
        item(key: key) { JSONValue.write(value, to: &$0) }
    }

    /// An item that is a definite error. It has no value: whoever reads only values must find none.
    package mutating func item(key: String, error: String) {
        open(key)
        output.append(contentsOf: #","error":"#.utf8)
        JSONValue.write(ProviderResponseWriter.spoken(error), to: &output)
        output.append(UInt8(ascii: "}"))
    }

    /// Closes the answer; `systemError` may stand beside items.
    package consuming func finish(systemError: String? = nil) -> [UInt8] {
        output.append(UInt8(ascii: "]"))
        if let systemError {
            output.append(contentsOf: #","systemError":"#.utf8)
            JSONValue.write(ProviderResponseWriter.spoken(systemError), to: &output)
        }
        output.append(contentsOf: "}}\n".utf8)
        return output
    }

    private mutating func open(_ key: String) {
        output.append(contentsOf: hasItems ? #",{"key":"#.utf8 : #"{"key":"#.utf8)
        hasItems = true
        JSONValue.write(key, to: &output)
    }

    /// Gatekeeper takes an empty error for none, which would turn a refusal into an answer without a value.
    private static func spoken(_ error: String) -> String {
        let isBlank = error.utf8.allSatisfy { $0 == 0x20 || (0x09...0x0D).contains($0) }
        return isBlank ? "an error without a message" : error
    }
}
