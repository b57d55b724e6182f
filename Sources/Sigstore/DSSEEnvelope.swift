import Encoding
import Quotation

/// A signed envelope (DSSE, "Dead Simple Signing Envelope") with exactly one signature.
public struct DSSEEnvelope: Hashable, Sendable {
    /// The payload's type.
    public let payloadType: String
    /// The payload.
    public let payload: [UInt8]
    /// The signature over ``preAuthenticationEncoding``.
    public let signature: [UInt8]
    /// The key's name as the signer gave it; it proves nothing.
    public let keyIdentifier: String?

    /// The type of in-toto statements.
    public static let inTotoType = "application/vnd.in-toto+json"

    /// What is signed (DSSE, "Protocol", PAE): the type and the payload, each with its length before it, so that no
    /// part of the one can be read as the other.
    public var preAuthenticationEncoding: [UInt8] { Self.preAuthenticationEncoding(payloadType, payload) }

    static func preAuthenticationEncoding(_ payloadType: String, _ payload: [UInt8]) -> [UInt8] {
        Array("DSSEv1 \(payloadType.utf8.count) \(payloadType) \(payload.count) ".utf8) + payload
    }

    /// Reads an envelope.
    init(_ message: ProtobufMessage) throws(ProtobufMessage.Fault) {
        try message.only("payload", "payloadType", "signatures")
        payloadType = try message.requiredText("payloadType")
        payload = try message.requiredBytes("payload", maximum: SigstoreLimits.bundleBytes)
        let signatures = try message.messages("signatures", maximum: SigstoreLimits.signatures)
        // "a bundle MUST have exactly one": more of them would leave it open which one the rest of the bundle is about.
        guard signatures.count == 1 else {
            throw message.fault("there are \(signatures.count) signatures; a bundle's envelope has exactly one")
        }
        try signatures[0].only("sig", "keyid")
        signature = try signatures[0].requiredBytes("sig", maximum: SigstoreLimits.signatureBytes)
        keyIdentifier = try signatures[0].text("keyid")
    }
}
