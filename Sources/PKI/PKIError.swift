/// Why something of the public key infrastructure could not be read or used.
public struct PKIError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What a caller can tell apart.
    public enum Kind: String, Hashable, Sendable {
        /// The bytes are not what they should be.
        case malformed
        /// More bytes, or more items, than is accepted.
        case tooLarge
        /// Well formed, but of a kind that is not supported.
        case unsupported
        /// A private key that needs a password.
        case encrypted
        /// Nothing of the kind that was looked for.
        case missing
        /// Two things do not belong together: a key and a certificate, for example.
        case mismatch
        /// A signature is not valid.
        case badSignature
        /// OpenSSL failed for a reason of its own.
        case failed
    }

    /// What happened.
    public let kind: Kind
    /// What happened, where and what to do, for a person.
    public let description: String

    /// An error with its text.
    public init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }

    /// The same error, said of something: `context: description`.
    func within(_ context: String) -> PKIError { PKIError(kind, "\(context): \(description)") }
}
