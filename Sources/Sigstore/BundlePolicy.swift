/// What a bundle must prove.
///
/// ```swift
/// let policy = BundlePolicy(identities: [
///     CertificateIdentity(
///         name: .exactly("https://github.com/example/app/.github/workflows/release.yaml@refs/heads/main"),
///         issuer: .exactly("https://token.actions.githubusercontent.com"))
/// ])
/// ```
public struct BundlePolicy: Sendable {
    /// Who may have signed with a certificate: one of these. None lets no certificate pass.
    public var identities: [CertificateIdentity]
    /// Which keys may have signed. None lets no key pass.
    public var keys: [SigningKey]
    /// Which predicate types a statement may have; nil for any. A signature over the artifact itself has none, and does
    /// not pass where types are asked for.
    public var predicateTypes: Set<String>?
    /// Annotations that must be signed with the image, by name and text: those of ``SimpleSigningPayload/optional``, or
    /// of the image among a statement's subjects. A signature over the artifact itself has none, and does not pass
    /// where annotations are asked for.
    public var annotations: [String: String] = [:]
    /// In how many different transparency logs the signature must be. With 0 the step is skipped, and what logs state
    /// is not used for anything, times included.
    public var logThreshold = 1
    /// By how many different certificate transparency logs the certificate must have been logged. With 0 the step is
    /// skipped.
    public var certificateLogThreshold = 1
    /// By how many different timestamp authorities of the trusted root the signature must have been timestamped.
    public var timestampThreshold = 0
    /// Who may have witnessed a log's checkpoints.
    public var witnesses: [Witness] = []
    /// How many of ``witnesses`` must have signed the checkpoint of each log entry.
    public var witnessThreshold = 0

    /// A policy with one log of each kind, which is what the public instance gives.
    public init(
        identities: [CertificateIdentity] = [], keys: [SigningKey] = [], predicateTypes: Set<String>? = nil
    ) {
        self.identities = identities
        self.keys = keys
        self.predicateTypes = predicateTypes
    }
}
