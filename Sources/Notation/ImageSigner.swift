import FoundationEssentials
import OCI
import PKI
import StrictJSON

/// Signs images and pushes the signatures next to them (signature specification, "OCI Signatures").
public struct ImageSigner: Sendable {
    /// A signature that was pushed.
    public struct Signed: Sendable {
        /// The signature's manifest.
        public let manifest: Descriptor
        /// The envelope.
        public let envelope: Descriptor
    }

    /// What makes the envelopes.
    public let signer: EnvelopeSigner
    /// Where signatures are pushed to.
    public let destination: any ArtifactPushing
    /// The authority that countersigns; `nil` for none.
    public let timestamps: (any Timestamping)?

    /// A signer of images.
    public init(signer: EnvelopeSigner, destination: any ArtifactPushing, timestamps: (any Timestamping)? = nil) {
        self.signer = signer
        self.destination = destination
        self.timestamps = timestamps
    }

    /// Signs an image and pushes the signature.
    ///
    /// - Parameters:
    ///   - image: the image's manifest.
    ///   - reference: the repository that it is in.
    ///   - now: the signing time.
    ///   - deadline: when the push must have come to its end.
    public func sign(
        _ image: Descriptor, in reference: ImageReference, _ options: SigningOptions = SigningOptions(), now: Date,
        deadline: ContinuousClock.Instant
    ) async throws(SigningError) -> Signed {
        let envelope = try await signer.sign(
            image, options, now: now, timestamps: timestamps, deadline: deadline)
        let annotations = [
            NotaryName.thumbprintAnnotation: Self.thumbprints(signer.chain),
            NotaryName.createdAnnotation: RFC3339.text(now),
        ]
        do {
            let layer = try await destination.pushBlob(
                envelope, mediaType: options.format.mediaType, to: reference, deadline: deadline)
            let config = try await destination.pushBlob(
                Array("{}".utf8), mediaType: MediaType.notationSignature, to: reference, deadline: deadline)
            let manifest = SignatureManifest.make(
                envelope: layer, config: config, subject: image, annotations: annotations)
            let pushed = try await destination.pushReferrer(
                manifest.json.bytes, mediaType: MediaType.ociManifest, subject: image,
                artifactType: MediaType.notationSignature, annotations: annotations, to: reference, deadline: deadline)
            return Signed(manifest: pushed, envelope: layer)
        } catch {
            throw SigningError("the signature was made but not pushed: \(error)", isTransient: error.isTransient)
        }
    }

    /// The SHA-256 of each certificate as a JSON array: the annotation `io.cncf.notary.x509chain.thumbprint#S256`.
    static func thumbprints(_ chain: [Certificate]) -> String {
        JSONValue.array(chain.map { .string($0.sha256Hex) }).text
    }
}
