import FoundationEssentials

/// How a signature is made.
public struct SigningOptions: Sendable {
    /// The format of the envelope.
    public var format: EnvelopeFormat
    /// When the signature expires, if it does.
    public var expiry: Date?
    /// Metadata that is signed with the artifact.
    public var userMetadata: [String: String]
    /// What signs: `countersign/1.0.0`. Not signed, for diagnosis only.
    public var signingAgent: String

    /// Options; a JWS envelope that does not expire unless told otherwise.
    public init(
        format: EnvelopeFormat = .jws, expiry: Date? = nil, userMetadata: [String: String] = [:],
        signingAgent: String = "countersign"
    ) {
        self.format = format
        self.expiry = expiry
        self.userMetadata = userMetadata
        self.signingAgent = signingAgent
    }
}
