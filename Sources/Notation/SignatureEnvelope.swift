import FoundationEssentials
import Quotation
import StrictJSON

/// A signature envelope (signature specification, "Signature Envelope"), read strictly and not yet verified: whoever
/// made the bytes made all of this. ``SignatureVerifier`` says what of it holds.
public struct SignatureEnvelope: Sendable {
    /// The format that it came in.
    public let format: EnvelopeFormat
    /// The payload's bytes.
    public let payload: [UInt8]
    /// The signed attributes.
    public let attributes: SignedAttributes
    /// The algorithm that the signed header names.
    public let algorithm: SigningAlgorithm
    /// The signature itself.
    public let signature: [UInt8]
    /// The certificate chain, leaf first, each as DER.
    public let certificates: [[UInt8]]
    /// The RFC 3161 countersignature, not signed by the signer; `nil` when there is none.
    public let timestampSignature: [UInt8]?
    /// What signed, as that says of itself; not signed.
    public let signingAgent: String?

    /// The bytes that the signature is over, in pieces.
    let signedParts: [[UInt8]]
    /// The payload as JSON, when reading the envelope needed it already.
    let payloadJSON: JSONValue?

    /// How large an envelope may be unless told otherwise: 10 MiB.
    public static let defaultMaximumBytes = 10 << 20
    /// How many certificates a chain may have.
    public static let maximumCertificates = 32
    /// How large a certificate of the chain may be: 64 KiB.
    public static let maximumCertificateBytes = 64 << 10
    /// How many JSON values the envelope, its protected header and its payload may have each: far more than any use,
    /// and few enough that memory and the time for looking names up stay small whatever the envelope's size.
    static let maximumValues = 10_000

    /// Reads an envelope.
    ///
    /// - Parameters:
    ///   - bytes: the layer's content.
    ///   - mediaType: the layer's media type, which alone decides the format.
    public init(
        parsing bytes: [UInt8], mediaType: String, maximumBytes: Int = defaultMaximumBytes
    ) throws(EnvelopeError) {
        guard let format = EnvelopeFormat(mediaType: mediaType) else {
            throw EnvelopeError(
                .mediaType,
                "\"\(mediaType.quotedMediaType)\" is not the media type of a signature envelope: expected "
                    + EnvelopeFormat.allCases.map(\.mediaType).joined(separator: " or "))
        }
        guard bytes.count <= maximumBytes else {
            throw EnvelopeError(
                .tooLarge, "the signature envelope has \(bytes.count) bytes; at most \(maximumBytes) are accepted")
        }
        switch format {
        case .jws: self = try JWSParser.parse(bytes)
        case .cose: self = try COSEParser.parse(bytes)
        }
    }

    init(
        format: EnvelopeFormat, payload: [UInt8], attributes: SignedAttributes, algorithm: SigningAlgorithm,
        signature: [UInt8], certificates: [[UInt8]], timestampSignature: [UInt8]?, signingAgent: String?,
        signedParts: [[UInt8]], payloadJSON: JSONValue? = nil
    ) throws(EnvelopeError) {
        // What both formats share: notation's checks of an envelope's content.
        guard !payload.isEmpty else { throw EnvelopeError(.payload, "the envelope has no payload") }
        guard !signature.isEmpty else { throw EnvelopeError(.malformed, "the envelope has no signature") }
        guard !certificates.isEmpty else {
            throw EnvelopeError(.certificates, "the envelope has no certificate chain")
        }
        guard certificates.count <= Self.maximumCertificates else {
            throw EnvelopeError(
                .certificates,
                "the certificate chain has \(certificates.count) certificates; at most \(Self.maximumCertificates) "
                    + "are accepted")
        }
        if let size = certificates.map(\.count).max(), size > Self.maximumCertificateBytes {
            throw EnvelopeError(
                .certificates,
                "the certificate chain has a certificate of \(size) bytes; at most \(Self.maximumCertificateBytes) are "
                    + "accepted")
        }
        guard attributes.signingTime != RFC3339.zero else {
            throw EnvelopeError(.header, "the signing time is missing")
        }
        if let expiry = attributes.expiry, expiry <= attributes.signingTime {
            throw EnvelopeError(.header, "the expiry is not after the signing time")
        }
        // Signature specification, "Standard attributes": the one content type that is supported.
        guard attributes.contentType.utf8.elementsEqual(NotaryName.payloadType.utf8) else {
            throw EnvelopeError(
                .header,
                "the content type \"\(attributes.contentType.quotedMediaType)\" is not supported; expected "
                    + NotaryName.payloadType)
        }
        self.format = format
        self.payload = payload
        self.attributes = attributes
        self.algorithm = algorithm
        self.signature = signature
        self.certificates = certificates
        self.timestampSignature = timestampSignature
        self.signingAgent = signingAgent
        self.signedParts = signedParts
        self.payloadJSON = payloadJSON
    }
}
