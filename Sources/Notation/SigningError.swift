/// Why something cannot be signed.
public struct SigningError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong and what to do about it.
    public let description: String
    /// Whether it may well work in a moment: a registry that does not answer.
    public let isPassing: Bool

    /// An error with its text: for keys that sign elsewhere.
    public init(_ description: String, isPassing: Bool = false) {
        self.description = description
        self.isPassing = isPassing
    }
}
