import Encoding
import FoundationEssentials
import Quotation
import StrictJSON

/// Reads the JWS envelope (JWS envelope specification; RFC 7515, section 7.2.2, flattened JSON serialization).
enum JWSParser {
    private static let envelopeNames = ["payload", "protected", "header", "signature"]
    private static let headerNames = ["x5c", NotaryName.timestampSignature, NotaryName.signingAgent]

    static func parse(_ bytes: [UInt8]) throws(EnvelopeError) -> SignatureEnvelope {
        let envelope = try object(bytes, "the JWS envelope", names: envelopeNames)
        // RFC 7515, section 7.2.1: the general serialization has several signatures; here there is one per envelope.
        let protectedText = try string(envelope, "protected")
        let payloadText = try string(envelope, "payload")
        let signatureText = try string(envelope, "signature")
        guard let header = envelope["header"]?.object else {
            throw EnvelopeError(.certificates, "the JWS envelope has no \"header\" with the certificate chain")
        }
        try refuseCaseVariants(header, headerNames, "the JWS header")

        let protected = try JWSProtectedHeader(
            object(
                try base64URL(protectedText, "protected header"), "the JWS protected header",
                names: JWSProtectedHeader.names))
        let payload = try base64URL(payloadText, "payload")
        return try SignatureEnvelope(
            format: .jws, payload: payload, attributes: protected.attributes,
            algorithm: protected.algorithm, signature: try base64URL(signatureText, "signature"),
            certificates: try certificates(header), timestampSignature: try timestamp(header),
            signingAgent: try signingAgent(header),
            // RFC 7515, section 5.1: ASCII(BASE64URL(protected) || '.' || BASE64URL(payload)), as they came.
            signedParts: [Array(protectedText.utf8), [UInt8(ascii: ".")], Array(payloadText.utf8)],
            payloadJSON: try payloadJSON(payload))
    }

    /// The payload of a JWS envelope is a JSON object, or the envelope is broken. What comes after the object is for
    /// ``SignaturePayload`` to refuse, so that the same validation fails as in the reference verifier.
    private static func payloadJSON(_ payload: [UInt8]) throws(EnvelopeError) -> JSONValue? {
        let value: JSONValue
        do { value = try StrictJSON.parse(payload, maximumValues: SignatureEnvelope.maximumValues) } catch {
            if case .trailingBytes = error.problem { return nil }
            throw EnvelopeError(.payload, "the payload is not valid JSON: \(error)")
        }
        guard value.object != nil else {
            throw EnvelopeError(.payload, "the payload is \(value.kind), not an object")
        }
        return value
    }

    /// JWS envelope specification, "Unprotected Headers": `x5c`, an array of base64 (not base64url) DER.
    private static func certificates(_ header: JSONObject) throws(EnvelopeError) -> [[UInt8]] {
        guard let texts = header["x5c"]?.array, !texts.isEmpty else {
            throw EnvelopeError(.certificates, "the JWS header has no certificate chain (\"x5c\")")
        }
        var certificates: [[UInt8]] = []
        for (index, text) in texts.enumerated() {
            guard let text = text.string, let der = Base64.decode(text) else {
                throw EnvelopeError(.certificates, "certificate \(index + 1) of \"x5c\" is not base64")
            }
            certificates.append(der)
        }
        return certificates
    }

    private static func timestamp(_ header: JSONObject) throws(EnvelopeError) -> [UInt8]? {
        guard let value = header[NotaryName.timestampSignature], !value.isNull else { return nil }
        guard let text = value.string, let token = Base64.decode(text) else {
            throw EnvelopeError(.header, "\"\(NotaryName.timestampSignature)\" is not base64")
        }
        return token.isEmpty ? nil : token
    }

    private static func signingAgent(_ header: JSONObject) throws(EnvelopeError) -> String? {
        guard let value = header[NotaryName.signingAgent], !value.isNull else { return nil }
        guard let text = value.string else {
            throw EnvelopeError(.header, "\"\(NotaryName.signingAgent)\" is \(value.kind), not a string")
        }
        return text
    }

    private static func object(
        _ bytes: [UInt8], _ what: String, names: [String]
    ) throws(EnvelopeError) -> JSONObject {
        let value: JSONValue
        do { value = try StrictJSON.parse(bytes, maximumValues: SignatureEnvelope.maximumValues) } catch {
            throw EnvelopeError(.malformed, "\(what) is not valid JSON: \(error)")
        }
        guard let object = value.object else {
            throw EnvelopeError(.malformed, "\(what) is \(value.kind), not an object")
        }
        try refuseCaseVariants(object, names, what)
        return object
    }

    private static func refuseCaseVariants(
        _ object: JSONObject, _ names: [String], _ what: String
    ) throws(EnvelopeError) {
        if let name = NotaryName.caseVariant(in: object.names, of: names) {
            throw EnvelopeError(
                .malformed, "\(what) has the member \"\(name.quoted)\", a known name in another case")
        }
    }

    private static func string(_ object: JSONObject, _ name: String) throws(EnvelopeError) -> String {
        guard let text = object[name]?.string else {
            throw EnvelopeError(.malformed, "the JWS envelope has no \"\(name)\"")
        }
        return text
    }

    private static func base64URL(_ text: String, _ what: String) throws(EnvelopeError) -> [UInt8] {
        guard let bytes = Base64.decodeURL(text) else {
            throw EnvelopeError(.malformed, "the \(what) of the JWS envelope is not base64url")
        }
        return bytes
    }
}
