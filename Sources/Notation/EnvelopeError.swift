/// Why bytes are not a signature envelope that can be verified.
public struct EnvelopeError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The kinds of fault.
    public enum Kind: String, Hashable, Sendable {
        /// A media type that is neither that of JWS nor that of COSE.
        case mediaType
        /// Larger than the limit.
        case tooLarge
        /// Not the syntax that the media type promises.
        case malformed
        /// A header that is missing, that may not be there, or that has a wrong value.
        case header
        /// A certificate chain that is missing or that cannot be read.
        case certificates
        /// A payload that is not a Notary Project payload.
        case payload
    }

    /// What kind of fault.
    public let kind: Kind
    /// What is wrong, for a person.
    public let description: String

    init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }
}
