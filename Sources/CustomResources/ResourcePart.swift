import ConfigurationModel
import StrictJSON

/// What one resource was made into, and the last version of it that could be.
struct ResourcePart<Value> {
    private(set) var value: Value?
    /// Tells values apart: a new one has a new number.
    private(set) var version: UInt64 = 0
    /// Why the newest version is not in force; `nil` when it is.
    private(set) var failure: String?
    private var uid = ""
    private var resource: CustomResource?

    /// Makes the newest version, unless it is what is in force already. One that failed is tried again: what it names
    /// may be there by now.
    ///
    /// - Returns: what in it has no effect, when it was made.
    mutating func update(
        _ newest: CustomResource, number: () -> UInt64, _ make: (inout [String]) throws(ConfigurationError) -> Value
    ) -> [String] {
        if uid != newest.uid {
            // Another object of the same name: what the former one said is over.
            self = ResourcePart()
            uid = newest.uid
        }
        guard value == nil || resource?.spec != newest.spec else {
            failure = nil
            return []
        }
        var warnings: [String] = []
        do throws(ConfigurationError) {
            value = try make(&warnings)
            resource = newest
            version = number()
            failure = nil
            return warnings
        } catch {
            failure = error.description
            return []
        }
    }

    /// What the value was made from.
    var spec: JSONObject? { value == nil ? nil : resource?.spec }

    /// The failure with what it means.
    var complaint: String? {
        failure.map { value == nil ? $0 : "\($0); the version before it stays in force" }
    }
}
