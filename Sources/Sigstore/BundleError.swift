/// Why a bundle cannot be read: the step ``VerificationStep/bundle``.
public struct BundleError: StepError {
    /// What a caller can tell apart.
    public enum Kind: String, Hashable, Sendable {
        /// It is not the JSON of a bundle.
        case malformed
        /// Its media type is not one that is known.
        case unknownVersion
        /// There is more of something than is accepted (``SigstoreLimits``).
        case limit
        /// Its signature or its key material is missing, or there is more than one of them.
        case content
    }

    /// The step.
    public static var step: VerificationStep { .bundle }
    /// What happened.
    public let kind: Kind
    /// What happened, where and what to do, for a person.
    public let description: String

    init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }

    init(_ fault: ProtobufMessage.Fault) {
        self.init(
            fault.isLimit ? .limit : .malformed,
            "the bundle cannot be read: \(fault.description)"
                + (fault.isLimit ? "" : "; a bundle is stored byte for byte as its signer wrote it"))
    }
}
