/// Why a trust policy document cannot be used, or has no statement for an artifact.
public struct TrustPolicyError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong and what is expected, for a person.
    public let description: String

    init(_ description: String) { self.description = description }

    /// The same within something larger.
    func within(_ place: String) -> TrustPolicyError { TrustPolicyError("\(place): \(description)") }
}
