/// The limits of what is accepted. Bundles come from a registry that a stranger may write to: everything is bounded
/// before it is read.
public enum SigstoreLimits {
    /// The bytes of a bundle.
    public static let bundleBytes = 5 << 20
    /// The bytes of a simple signing payload; cosign's have some 250 and the annotations that the signer adds.
    public static let payloadBytes = 64 << 10
    /// The bytes of each of the annotations that a cosign signature is in.
    public static let annotationBytes = 512 << 10
    /// The bytes of a trusted root.
    public static let trustedRootBytes = 5 << 20
    /// The signatures of a DSSE envelope that are read. The envelope of a bundle must have exactly one.
    public static let signatures = 10
    /// The entries of transparency logs in a bundle.
    public static let logEntries = 10
    /// The signed timestamps in a bundle.
    public static let timestamps = 10
    /// The bytes of one certificate.
    public static let certificateBytes = 32 << 10
    /// The certificates in a bundle's chain.
    public static let certificates = 10
    /// The hashes of one inclusion proof: a log of 2^64 entries needs 64.
    public static let proofHashes = 64
    /// The bytes of a signature: RSA with 16,384 bits has 2,048.
    public static let signatureBytes = 4 << 10
    /// The bytes of a checkpoint.
    public static let checkpointBytes = 64 << 10
    /// The signatures below a checkpoint: a log's own, and those of its witnesses.
    public static let checkpointSignatures = 100
    /// The signed certificate timestamps in a certificate.
    public static let certificateTimestamps = 10
    /// The logs, authorities and keys of each kind in a trusted root.
    public static let trustedRootItems = 256
    /// The subjects of an in-toto statement.
    public static let statementSubjects = 10_000
}
