import FoundationEssentials

/// What the signer states under the signature besides the payload (signature specification, "Signed Attributes").
public struct SignedAttributes: Sendable {
    /// The signing scheme.
    public let signingScheme: SigningScheme
    /// When it was signed. Under ``SigningScheme/x509`` by the signer's own clock, so it decides nothing; under
    /// ``SigningScheme/x509SigningAuthority`` as the trusted authority states it.
    public let signingTime: Date
    /// When the signature expires, if it does.
    public let expiry: Date?
    /// The media type of the payload.
    public let contentType: String
    /// Attributes beyond those of the specification.
    public let extended: [ExtendedAttribute]

    /// The authentic signing time: there is one under ``SigningScheme/x509SigningAuthority`` only.
    public var authenticSigningTime: Date? { signingScheme == .x509SigningAuthority ? signingTime : nil }

    /// The value of an extended attribute that demands a plugin, `nil` when there is none.
    ///
    /// The two attributes are known, and what they ask for cannot be done here: "An implementation MUST fail signature
    /// verification if it cannot perform the equivalent verification logic" (signature specification, "Guidelines for
    /// implementations").
    var requiredPlugin: String? {
        if let plugin = extended.first(where: { $0.name == NotaryName.verificationPlugin }) {
            guard let name = plugin.text, !name.isEmpty else { return "(without a name)" }
            return name
        }
        return extended.contains { $0.name == NotaryName.verificationPluginMinVersion } ? "(without a name)" : nil
    }

    /// Critical attributes that nothing here understands: "unknown critical attributes MUST cause signature
    /// verification to fail" (signature specification, "Extended attributes").
    var unknownCritical: [String] { extended.filter(\.isCritical).map(\.name) }
}

/// A signed attribute that the specification does not define, or one for plugins.
public struct ExtendedAttribute: Hashable, Sendable {
    /// The header's name; a COSE label that is a number as its digits.
    public let name: String
    /// Whether a verifier must understand it.
    public let isCritical: Bool
    /// The value when it is a text.
    public let text: String?
}
