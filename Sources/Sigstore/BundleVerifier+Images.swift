/// Signatures of images, in the two forms that cosign stores them in. Both are about the digest of a manifest, and both
/// go through all steps of ``VerificationStep``.
extension BundleVerifier {
    /// Verifies a signature that cosign stored before version 3: one layer of the manifest that the tag
    /// `sha256-<hex>.sig` names.
    ///
    /// - Parameters:
    ///   - payload: the layer's content, a simple signing payload.
    ///   - annotations: the layer's annotations (``CosignAnnotation``).
    ///   - image: the digest of the image's manifest, computed from the manifest that is to run.
    ///   - policy: who must have signed it, and what must be proven.
    public func verify(
        layer payload: [UInt8], annotations: [String: String], image: ArtifactDigest, policy: BundlePolicy
    ) -> BundleOutcome {
        verify(.digest(image), policy) { () throws(BundleError) in
            try Bundle(layer: payload, annotations: annotations)
        }
    }

    /// Verifies a bundle that signs an image: a statement of the predicate type
    /// ``CosignMediaType/signaturePredicate`` with the image among its subjects. An attestation of another type is
    /// refused: who says something about an image has not signed it.
    ///
    /// - Parameters:
    ///   - bytes: the bundle, in JSON.
    ///   - image: the digest of the image's manifest, computed from the manifest that is to run.
    ///   - policy: who must have signed it, and what must be proven. Its ``BundlePolicy/predicateTypes`` play no part.
    public func verify(imageBundle bytes: [UInt8], image: ArtifactDigest, policy: BundlePolicy) -> BundleOutcome {
        var policy = policy
        policy.predicateTypes = [CosignMediaType.signaturePredicate]
        return verify(bundle: bytes, artifact: .digest(image), policy: policy)
    }
}

extension Bundle {
    /// The predicate type of the bundle's statement as the bundle has it: nothing is verified. It tells attestations
    /// from signatures of images before either is verified.
    ///
    /// Nil where there is no statement, or none that can be read: such a bundle verifies as nothing.
    public var statedPredicateType: String? {
        guard case .envelope(let envelope) = content, isSame(envelope.payloadType, DSSEEnvelope.inTotoType) else {
            return nil
        }
        return try? InTotoStatement(parsing: envelope.payload).predicateType
    }
}
