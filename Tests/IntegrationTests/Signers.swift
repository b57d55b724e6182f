import Foundation
import Notation
import OCI
import PKI
import StrictJSON
import TestSupport

/// Who signs in these tests: made once, for keys take time.
struct Signers: Sendable {
    /// The authority that configurations trust.
    let authority: CertificateAuthority
    /// Below `authority`, with an intermediate between them.
    let release: TestSigner
    /// Below `authority`, with an elliptic key.
    let other: TestSigner
    /// An authority that nobody trusts unless told.
    let strangerAuthority: CertificateAuthority
    let stranger: TestSigner

    /// All of them, or why they cannot be made.
    static let shared = Result { try Signers() }

    private init() throws {
        authority = try CertificateAuthority(name: "release root")
        release = TestSigner(
            try authority.intermediate("release issuing").issue(.codeSigning("release"), key: .rsa(bits: 2048)))
        other = TestSigner(try authority.issue(.codeSigning("other")))
        strangerAuthority = try CertificateAuthority(name: "stranger root")
        stranger = TestSigner(try strangerAuthority.issue(.codeSigning("stranger")))
    }
}

/// Signs images with one identity, rightly and wrongly.
struct TestSigner: Sendable {
    let identity: Identity

    init(_ identity: Identity) { self.identity = identity }

    /// What is done to a signature.
    enum Way: Sendable {
        case good
        /// One byte of the signature value is another one; every digest is right.
        case tampered
        /// It expired an hour ago.
        case expired
    }

    private static var deadline: ContinuousClock.Instant { .now + .seconds(60) }

    /// Signs and pushes; gives the signature's manifest.
    @discardableResult
    func sign(
        _ image: Descriptor, in reference: ImageReference, at destination: any ArtifactPushing,
        _ format: EnvelopeFormat = .jws, _ way: Way = .good, metadata: [String: String] = [:]
    ) async throws -> Descriptor {
        let signer = try EnvelopeSigner(key: identity.key, chain: identity.chain)
        guard case .tampered = way else {
            let now = way == .expired ? Date(timeIntervalSinceNow: -7200) : Date()
            let options = SigningOptions(
                format: format, expiry: way == .expired ? now + 3600 : nil, userMetadata: metadata,
                signingAgent: "tests")
            return try await ImageSigner(signer: signer, destination: destination)
                .sign(image, in: reference, options, now: now, deadline: Self.deadline).manifest
        }
        let envelope = try Self.spoiled(
            try signer.sign(image, SigningOptions(format: format, userMetadata: metadata), now: Date()), format)
        return try await Self.push(envelope, format.mediaType, for: image, in: reference, at: destination)
    }

    /// Pushes any bytes as the signature of an image.
    @discardableResult
    static func push(
        _ envelope: [UInt8], _ mediaType: String, for image: Descriptor, in reference: ImageReference,
        at destination: any ArtifactPushing
    ) async throws -> Descriptor {
        let layer = try await destination.pushBlob(
            envelope, mediaType: mediaType, to: reference, deadline: deadline)
        let config = try await destination.pushBlob(
            Array("{}".utf8), mediaType: MediaType.notationSignature, to: reference, deadline: deadline)
        let annotations = ["io.cncf.notary.x509chain.thumbprint#S256": "[]"]
        let manifest = Manifest(config: config, layers: [layer], subject: image, annotations: annotations)
        return try await destination.pushReferrer(
            manifest.json.bytes, mediaType: MediaType.ociManifest, subject: image,
            artifactType: MediaType.notationSignature, annotations: annotations, to: reference, deadline: deadline)
    }

    /// The envelope with one bit of its signature value changed.
    static func spoiled(_ envelope: [UInt8], _ format: EnvelopeFormat) throws -> [UInt8] {
        var envelope = envelope
        switch format {
        case .cose:
            // The signature is the last item of the array.
            envelope[envelope.count - 20] ^= 1
        case .jws:
            guard var object = try StrictJSON.parse(envelope).object, let value = object["signature"]?.string else {
                throw CocoaError(.coderInvalidValue)
            }
            var characters = Array(value)
            characters[20] = characters[20] == "A" ? "B" : "A"
            object["signature"] = .string(String(characters))
            envelope = JSONValue.object(object).bytes
        }
        return envelope
    }
}
