/// The media types and artifact types that cosign's signatures have in registries.
public enum CosignMediaType {
    /// The artifact type of a manifest whose layers are signatures of cosign before version 3: that of its referrers,
    /// and the one that the tag `sha256-<hex>.sig` stands for.
    public static let signatureArtifact = "application/vnd.dev.cosign.artifact.sig.v1+json"
    /// The type of such a layer: a simple signing payload (``SimpleSigningPayload``), with the signature in the layer's
    /// annotations (``CosignAnnotation``).
    public static let simpleSigning = "application/vnd.dev.cosign.simplesigning.v1+json"
    /// The artifact type of a bundle as cosign 3 and GitHub store it, and the type of its one layer.
    public static let bundle = Bundle.mediaType
    /// All the spellings of the types of bundles that are read (``Bundle/Version``).
    public static let bundles: Set<String> = Set(Bundle.Version.allCases.map(\.mediaType) + [Bundle.mediaType])
    /// The predicate type of a statement that says nothing but that its subject is signed: what cosign 3 signs images
    /// with.
    public static let signaturePredicate = "https://sigstore.dev/cosign/sign/v1"
}

/// The annotations that cosign's signatures have. Nobody signs annotations: they carry proofs, and are none.
public enum CosignAnnotation {
    /// Of a layer: the signature over the layer's content, in Base64.
    public static let signature = "dev.cosignproject.cosign/signature"
    /// Of a layer: the signing certificate, in PEM.
    public static let certificate = "dev.sigstore.cosign/certificate"
    /// Of a layer: the certificates above the signing certificate, in PEM.
    public static let chain = "dev.sigstore.cosign/chain"
    /// Of a layer: the entry of Rekor v1 and its signed entry timestamp, in JSON.
    public static let bundle = "dev.sigstore.cosign/bundle"
    /// Of a layer: a signed timestamp over the signature, in JSON.
    public static let timestamp = "dev.sigstore.cosign/rfc3161timestamp"
    /// Of a manifest with a bundle: `dsse-envelope` or `message-signature`.
    public static let bundleContent = "dev.sigstore.bundle.content"
    /// Of a manifest with a bundle: the predicate type of its statement.
    public static let bundlePredicateType = "dev.sigstore.bundle.predicateType"
}
