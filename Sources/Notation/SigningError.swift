/// Why something cannot be signed.
public struct SigningError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong and what to do about it.
    public let description: String
    /// Whether it may well work in a moment: a registry that does not answer.
    public let isTransient: Bool

    /// An error with its text: for keys that sign elsewhere.
    public init(_ description: String, isTransient: Bool = false) {
        self.description = description
        self.isTransient = isTransient
    }
}
