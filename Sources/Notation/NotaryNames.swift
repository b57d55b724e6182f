/// Names that the Notary Project's specifications give: header names, media types, annotations.
enum NotaryName {
    /// Signing scheme (critical).
    static let signingScheme = "io.cncf.notary.signingScheme"
    /// Time of signing, as the signer's clock had it.
    static let signingTime = "io.cncf.notary.signingTime"
    /// Authentic time of signing (critical).
    static let authenticSigningTime = "io.cncf.notary.authenticSigningTime"
    /// Expiry (critical).
    static let expiry = "io.cncf.notary.expiry"
    /// The plugin that a verifier must run (critical).
    static let verificationPlugin = "io.cncf.notary.verificationPlugin"
    /// The version that the plugin must have at least (critical).
    static let verificationPluginMinVersion = "io.cncf.notary.verificationPluginMinVersion"
    /// RFC 3161 countersignature (unsigned).
    static let timestampSignature = "io.cncf.notary.timestampSignature"
    /// The software that signed (unsigned).
    static let signingAgent = "io.cncf.notary.signingAgent"
    /// Media type of the payload.
    static let payloadType = "application/vnd.cncf.notary.payload.v1+json"
    /// Annotation of a signature manifest: SHA-256 of the chain's certificates.
    static let thumbprintAnnotation = "io.cncf.notary.x509chain.thumbprint#S256"
    /// Annotation of a manifest: when it was made.
    static let createdAnnotation = "org.opencontainers.image.created"
    /// Prefix of annotation keys that users may not set (signature specification, "Payload").
    static let reservedPrefix = "io.cncf.notary"

    /// A name as encoding/json of Go compares member names: without regard to case, with the two characters outside of
    /// ASCII that fold to ASCII letters.
    static func folded(_ name: String) -> String {
        var text = ""
        for scalar in name.unicodeScalars {
            switch scalar.value {
            case 0x41...0x5A: text.unicodeScalars.append(Unicode.Scalar(UInt8(scalar.value) + 0x20))
            case 0x17F: text += "s"
            case 0x212A: text += "k"
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text
    }

    /// The first of some member names that differs from a known name in case only. To the reference implementation it
    /// is that name, to a reader that compares names as JSON does (RFC 7515, section 5.3) it is another: what has one
    /// is refused, so that no two readers disagree.
    static func caseVariant(in names: [String], of known: [String]) -> String? {
        names.first { name in
            !known.contains(name) && known.contains { $0.utf8.count <= name.utf8.count && folded($0) == folded(name) }
        }
    }
}
