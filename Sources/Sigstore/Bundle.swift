import Encoding
import FoundationEssentials
import PKI
import Quotation
import StrictJSON

/// A Sigstore bundle (`dev.sigstore.bundle.v1`): a signature with all that is needed to verify it without a network.
/// Nothing in it is believed before ``BundleVerifier`` has verified it.
///
/// Members that the format does not have are refused: a bundle's version says what may be in it, and nothing signs what
/// is beside the known members.
public struct Bundle: Sendable {
    /// The versions of the format.
    public enum Version: String, Hashable, Sendable, CaseIterable {
        /// A signed entry timestamp is what proves that the signature was logged.
        case v0_1 = "0.1"
        /// An inclusion proof with its checkpoint is required.
        case v0_2 = "0.2"
        /// As 0.2, with the signing certificate alone in place of a chain.
        case v0_3 = "0.3"

        /// The media type with a parameter, which all three have.
        var mediaType: String { "application/vnd.dev.sigstore.bundle+json;version=\(rawValue)" }
    }

    /// What was signed.
    public enum Content: Hashable, Sendable {
        /// The artifact itself.
        case message(MessageSignature)
        /// A statement about it in an envelope.
        case envelope(DSSEEnvelope)
        /// cosign's payload about an image (``SimpleSigningPayload``): in layers only, never in a bundle.
        case simpleSigning(SignedPayload)
    }

    /// A signature over the artifact.
    public struct MessageSignature: Hashable, Sendable {
        /// The digest of the artifact as the signer saw it, if it was stated.
        public let digest: ArtifactDigest?
        /// The signature.
        public let signature: [UInt8]
    }

    /// A signature over a simple signing payload.
    public struct SignedPayload: Hashable, Sendable {
        /// The payload.
        public let payload: [UInt8]
        /// The signature over it, byte for byte.
        public let signature: [UInt8]
    }

    /// Who is said to have signed.
    public enum KeyMaterial: Sendable {
        /// A certificate, and intermediate ones, which need no trust.
        case certificate(Certificate, intermediates: [Certificate])
        /// A key that the verifier must have, with a hint which one it is.
        case publicKey(hint: String)
    }

    /// The media type of the format without a parameter, which 0.3 has beside the one with it.
    public static let mediaType = "application/vnd.dev.sigstore.bundle.v0.3+json"

    /// The version of the format; nil for the layer of a cosign signature, which is no bundle.
    public let version: Version?
    /// What was signed.
    public let content: Content
    /// Who is said to have signed.
    public let key: KeyMaterial
    /// The entries of transparency logs.
    public let logEntries: [LogEntry]
    /// Signed timestamps: TimeStampResp (RFC 3161, section 2.4.2), in DER.
    public let timestamps: [[UInt8]]

    /// The signature, of whatever it is over.
    public var signature: [UInt8] {
        switch content {
        case .message(let message): message.signature
        case .envelope(let envelope): envelope.signature
        case .simpleSigning(let layer): layer.signature
        }
    }

    /// What it is, for messages.
    var name: String { version == nil ? "the cosign signature" : "the bundle" }

    /// Reads a bundle.
    public init(parsing bytes: [UInt8]) throws(BundleError) {
        guard bytes.count <= SigstoreLimits.bundleBytes else {
            throw BundleError(
                .limit,
                "the bundle has \(bytes.count) bytes; at most \(SigstoreLimits.bundleBytes) are accepted")
        }
        let json: JSONValue
        do { json = try StrictJSON.parse(bytes, maximumDepth: 16, maximumValues: 20_000) } catch {
            if case .tooManyValues = error.problem { throw BundleError(.limit, "the bundle has \(error)") }
            throw BundleError(.malformed, "the bundle is not JSON: \(error)")
        }
        do throws(ProtobufMessage.Fault) {
            try self.init(ProtobufMessage(json))
        } catch {
            if let refusal = error.refusal { throw refusal }
            throw BundleError(error)
        }
    }

    /// The layer of a cosign signature.
    init(content: Content, key: KeyMaterial, logEntries: [LogEntry], timestamps: [[UInt8]]) {
        version = nil
        self.content = content
        self.key = key
        self.logEntries = logEntries
        self.timestamps = timestamps
    }

    private init(_ message: ProtobufMessage) throws(ProtobufMessage.Fault) {
        // The version first: what another one holds is not ours to judge.
        let version = try Self.version(message.requiredText("mediaType"))
        try message.only("mediaType", "verificationMaterial", "messageSignature", "dsseEnvelope")
        self.version = version
        content = try Self.content(message)
        let material = try message.requiredMessage("verificationMaterial")
        try material.only(
            "publicKey", "x509CertificateChain", "certificate", "tlogEntries", "timestampVerificationData")
        key = try Self.key(material, version)
        var entries: [LogEntry] = []
        for entry in try material.messages("tlogEntries", maximum: SigstoreLimits.logEntries) {
            entries.append(try LogEntry(entry, version: version))
        }
        logEntries = entries
        var timestamps: [[UInt8]] = []
        if let data = try material.message("timestampVerificationData") {
            try data.only("rfc3161Timestamps")
            for timestamp in try data.messages("rfc3161Timestamps", maximum: SigstoreLimits.timestamps) {
                try timestamp.only("signedTimestamp")
                timestamps.append(
                    try timestamp.requiredBytes("signedTimestamp", maximum: TimestampToken.maximumBytes))
            }
        }
        self.timestamps = timestamps
    }

    private static func version(_ text: String) throws(ProtobufMessage.Fault) -> Version {
        if text == mediaType { return .v0_3 }
        if let version = Version.allCases.first(where: { $0.mediaType == text }) { return version }
        throw ProtobufMessage.Fault(
            .unknownVersion,
            "the media type of the bundle is \"\(text.quoted)\"; known are versions 0.1, 0.2 and 0.3, for "
                + "example \(mediaType)")
    }

    private static func content(_ message: ProtobufMessage) throws(ProtobufMessage.Fault) -> Content {
        let signature = try message.message("messageSignature")
        let envelope = try message.message("dsseEnvelope")
        switch (signature, envelope) {
        case (let signature?, nil):
            try signature.only("messageDigest", "signature")
            var digest: ArtifactDigest?
            if let stated = try signature.message("messageDigest") { digest = try ArtifactDigest(stated) }
            return .message(
                MessageSignature(
                    digest: digest,
                    signature: try signature.requiredBytes("signature", maximum: SigstoreLimits.signatureBytes)))
        case (nil, let envelope?): return .envelope(try DSSEEnvelope(envelope))
        case (nil, nil):
            throw ProtobufMessage.Fault(
                .content, "the bundle has no signature: neither messageSignature nor dsseEnvelope is there")
        case (_?, _?):
            throw ProtobufMessage.Fault(
                .content,
                "the bundle has a messageSignature and a dsseEnvelope: exactly one of them may be there")
        }
    }

    private static func key(
        _ material: ProtobufMessage, _ version: Version
    ) throws(ProtobufMessage.Fault) -> KeyMaterial {
        let names = ["publicKey", "x509CertificateChain", "certificate"].filter { material.has($0) }
        guard names.count == 1 else {
            throw ProtobufMessage.Fault(
                .content,
                names.isEmpty
                    ? "the bundle names no key: verificationMaterial has none of certificate, x509CertificateChain and "
                        + "publicKey"
                    : "the bundle names its key \(names.count) times: \(names.joined(separator: " and "))")
        }
        if let hint = try material.message("publicKey") {
            try hint.only("hint")
            return .publicKey(hint: try hint.text("hint") ?? "")
        }
        if let single = try material.message("certificate") {
            return .certificate(try certificate(single), intermediates: [])
        }
        let chain = try material.requiredMessage("x509CertificateChain")
        guard version != .v0_3 else {
            throw ProtobufMessage.Fault(
                .content, "a bundle of version 0.3 has its certificate alone, not an x509CertificateChain")
        }
        try chain.only("certificates")
        var certificates: [Certificate] = []
        for item in try chain.messages("certificates", maximum: SigstoreLimits.certificates) {
            certificates.append(try certificate(item))
        }
        guard let leaf = certificates.first else {
            throw ProtobufMessage.Fault(.content, "the bundle's certificate chain is empty")
        }
        // "SHOULD NOT include the root" of the signer is a MUST of the verifier here: trust comes from the trusted
        // root.
        if let root = certificates.first(where: \.isSelfIssued) {
            throw ProtobufMessage.Fault(
                .content,
                "the bundle's certificate chain has the root certificate \"\(root.subject)\": what is trusted comes from "
                    + "the trusted root, never with the signature")
        }
        let intermediates = Array(certificates.dropFirst())
        if let other = intermediates.first(where: { !$0.isCA }) {
            throw ProtobufMessage.Fault(
                .content,
                "the bundle's certificate chain has a second certificate that is no authority's: \"\(other.subject)\"")
        }
        return .certificate(leaf, intermediates: intermediates)
    }

    private static func certificate(_ message: ProtobufMessage) throws(ProtobufMessage.Fault) -> Certificate {
        try message.only("rawBytes")
        let der = try message.requiredBytes("rawBytes", maximum: SigstoreLimits.certificateBytes)
        do { return try Certificate(der: der) } catch { throw message.fault("\(error)") }
    }
}

extension ProtobufMessage.Fault {
    /// A fault that says what it is by itself.
    init(_ kind: BundleError.Kind, _ description: String) {
        self.init(path: "", problem: description, refusal: BundleError(kind, description))
    }
}
