import OCI
import Quotation

/// The manifest of a signature: an OCI image manifest, or an OCI artifact manifest, with the signed artifact as its
/// subject and the envelope as its only layer (signature specification, "OCI Signatures").
public struct SignatureManifest: Sendable {
    /// The envelope.
    public let envelope: Descriptor

    /// How large a signature manifest may be.
    public static let maximumBytes = 4 << 20

    /// Checks a manifest that a store listed as a signature of a subject.
    ///
    /// The reference verifier believes a registry's listing; here the manifest itself must name the subject
    /// ("`subject`: A REQUIRED artifact descriptor referencing the signed manifest") and say that it is a signature, by
    /// `artifactType` or in the older form by `config.mediaType` ("OCI Signature Verification Forward and Backward
    /// Compatibility").
    ///
    /// - Throws: ``ValidationFailure`` when it is not that.
    public init(
        parsing content: [UInt8], descriptor: Descriptor, subject: Descriptor, maximumEnvelopeBytes: Int
    ) throws(ValidationFailure) {
        let manifest: Manifest
        do { manifest = try Manifest(parsing: content, mediaType: descriptor.mediaType) } catch {
            throw ValidationFailure("the signature manifest \(descriptor.digest) is broken: \(error)")
        }
        func fault(_ problem: String, contradictsDescriptor: Bool = false) -> ValidationFailure {
            ValidationFailure(
                "the signature manifest \(descriptor.digest) \(problem)", contradictsDescriptor: contradictsDescriptor)
        }
        guard manifest.effectiveArtifactType == MediaType.notationSignature else {
            throw fault("is not of the type \(MediaType.notationSignature)")
        }
        guard let stated = manifest.subject else { throw fault("has no subject") }
        guard stated.digest == subject.digest, stated.size == subject.size,
            stated.mediaType.utf8.elementsEqual(subject.mediaType.utf8)
        else {
            throw fault(
                "is about another artifact, \(stated.digest) (\(stated.mediaType.quotedMediaType), \(stated.size) bytes), not "
                    + "\(subject.digest) (\(subject.mediaType.quotedMediaType), \(subject.size) bytes)",
                contradictsDescriptor: stated.digest == subject.digest)
        }
        guard let envelope = manifest.layers.first, manifest.layers.count == 1 else {
            throw fault("has \(manifest.layers.count) layers; it must have exactly one, the signature envelope")
        }
        guard envelope.size <= maximumEnvelopeBytes else {
            throw fault("has an envelope of \(envelope.size) bytes; at most \(maximumEnvelopeBytes) are accepted")
        }
        self.envelope = envelope
    }

    /// The media types that a signature manifest may have.
    static func isPossible(_ mediaType: String) -> Bool {
        mediaType == MediaType.ociManifest || mediaType == MediaType.artifactManifest
    }

    /// The manifest of a new signature, in the shape that notation 1.3 writes: `config.mediaType` says what it is,
    /// which every registry and every version of notation understands; `artifactType` is not used.
    static func make(
        envelope: Descriptor, config: Descriptor, subject: Descriptor, annotations: [String: String]
    ) -> Manifest {
        Manifest(
            config: config, layers: [envelope],
            subject: Descriptor(mediaType: subject.mediaType, digest: subject.digest, size: subject.size),
            annotations: annotations)
    }
}
