import PKI

/// What Fulcio writes into certificates beside the identity (object identifiers below 1.3.6.1.4.1.57264.1): where the
/// signed thing was built, from what, and by whom. The names are those that other Sigstore clients use.
public enum FulcioExtension: String, Hashable, Sendable, CaseIterable {
    case issuer
    case githubWorkflowTrigger, githubWorkflowSHA, githubWorkflowName, githubWorkflowRepository, githubWorkflowRef
    case buildSignerURI, buildSignerDigest, runnerEnvironment
    case sourceRepositoryURI, sourceRepositoryDigest, sourceRepositoryRef, sourceRepositoryIdentifier
    case sourceRepositoryOwnerURI, sourceRepositoryOwnerIdentifier
    case buildConfigURI, buildConfigDigest, buildTrigger, runInvocationURI, sourceRepositoryVisibilityAtSigning
    case deploymentEnvironment

    /// All of Sigstore's object identifiers begin so.
    private static let arc = "1.3.6.1.4.1.57264.1."
    /// The issuer as it was written first: a text without DER.
    static let oldIssuer = arc + "1"

    /// The object identifier.
    public var oid: String { Self.arc + String(number) }

    private var number: Int {
        switch self {
        case .issuer: 8
        case .githubWorkflowTrigger: 2
        case .githubWorkflowSHA: 3
        case .githubWorkflowName: 4
        case .githubWorkflowRepository: 5
        case .githubWorkflowRef: 6
        case .buildSignerURI: 9
        case .buildSignerDigest: 10
        case .runnerEnvironment: 11
        case .sourceRepositoryURI: 12
        case .sourceRepositoryDigest: 13
        case .sourceRepositoryRef: 14
        case .sourceRepositoryIdentifier: 15
        case .sourceRepositoryOwnerURI: 16
        case .sourceRepositoryOwnerIdentifier: 17
        case .buildConfigURI: 18
        case .buildConfigDigest: 19
        case .buildTrigger: 20
        case .runInvocationURI: 21
        case .sourceRepositoryVisibilityAtSigning: 22
        case .deploymentEnvironment: 23
        }
    }

    /// Whether the value is a text without DER around it, as the first ones were.
    private var isRaw: Bool { (2...6).contains(number) }

    /// The value in a certificate; nil when it has none.
    func value(in certificate: Certificate) throws(PKIError) -> String? {
        if self == .issuer, certificate.extensionValue(oid) == nil {
            // Only where the newer one is absent: a certificate has one issuer.
            return try certificate.extensionValue(Self.oldIssuer).map(Self.raw)
        }
        guard let source = certificate.extensionValue(oid) else { return nil }
        guard !isRaw else { return try Self.raw(source) }
        var reader = DERReader(source.value)
        let element = try reader.element(DER.utf8String)
        try reader.end()
        return try Self.text(element.content)
    }

    private static func raw(_ source: CertificateExtension) throws(PKIError) -> String {
        try text(source.value[...])
    }

    private static func text(_ bytes: ArraySlice<UInt8>) throws(PKIError) -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw PKIError(.malformed, "the text is not UTF-8")
        }
        return text
    }
}
