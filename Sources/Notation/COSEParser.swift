import FoundationEssentials

/// Reads the COSE envelope (COSE envelope specification; RFC 9052, section 4.2, COSE_Sign1).
enum COSEParser {
    static func parse(_ bytes: [UInt8]) throws(EnvelopeError) -> SignatureEnvelope {
        // Tag 18 in its shortest form before a definite array of four.
        guard bytes.starts(with: [0xD2, 0x84]) else {
            throw EnvelopeError(.malformed, "these bytes do not begin as a tagged COSE_Sign1 message does")
        }
        // RFC 9052, section 3: what is outside of the signed part has no tags here.
        var decoder = CBORDecoder(bytes, startingAt: 2, allowsTags: false)
        let protectedItem: CBORValue
        let unprotectedItem: CBORValue
        let payloadItem: CBORValue
        let signatureItem: CBORValue
        do {
            protectedItem = try decoder.decodeItem()
            unprotectedItem = try decoder.decodeItem()
            payloadItem = try decoder.decodeItem()
            signatureItem = try decoder.decodeItem()
        } catch { throw EnvelopeError(.malformed, "the COSE envelope is broken: \(error)") }
        guard decoder.isAtEnd else { throw EnvelopeError(.malformed, "there are bytes after the COSE envelope") }

        guard let protectedBytes = protectedItem.bytes else {
            throw EnvelopeError(.malformed, "the protected header of the COSE envelope is not a byte string")
        }
        guard case .map(let unprotected) = unprotectedItem else {
            throw EnvelopeError(.malformed, "the unprotected header of the COSE envelope is not a map")
        }
        // Detached payloads have no place in the specification.
        guard let payload = payloadItem.bytes else {
            throw EnvelopeError(.payload, "the payload of the COSE envelope is not a byte string")
        }
        guard let signature = signatureItem.bytes else {
            throw EnvelopeError(.malformed, "the signature of the COSE envelope is not a byte string")
        }
        let protected = try protectedMap(protectedBytes)
        try COSEHeaderRules.check(protected: protected, unprotected: unprotected)
        let header = try COSEProtectedHeader(protected)
        return try SignatureEnvelope(
            format: .cose, payload: payload, attributes: header.attributes, algorithm: header.algorithm,
            signature: signature, certificates: try certificates(unprotected),
            timestampSignature: unprotected[NotaryName.timestampSignature]?.bytes.flatMap { $0.isEmpty ? nil : $0 },
            signingAgent: unprotected[NotaryName.signingAgent]?.text,
            signedParts: signedParts(protected: protectedBytes, payload: payload))
    }

    /// Sig_structure (RFC 9052, section 4.4): context, protected header, no external data, payload.
    static func signedParts(protected: [UInt8], payload: [UInt8]) -> [[UInt8]] {
        var head = CBOREncoder()
        head.appendHead(majorType: 4, 4)
        head.append(text: "Signature1")
        head.append(bytes: protected)
        head.append(bytes: [])
        head.appendHead(majorType: 2, UInt64(payload.count))
        return [head.output, payload]
    }

    private static func protectedMap(_ bytes: [UInt8]) throws(EnvelopeError) -> CBORMap {
        // RFC 9052, section 3: no protected headers may be a byte string of length zero.
        guard !bytes.isEmpty else { return CBORMap() }
        do {
            guard case .map(let map) = try CBORDecoder.decode(bytes, allowsTags: true) else {
                throw EnvelopeError(.malformed, "the protected header of the COSE envelope is not a map")
            }
            return map
        } catch let error as EnvelopeError {
            throw error
        } catch {
            throw EnvelopeError(.malformed, "the protected header of the COSE envelope is broken: \(error)")
        }
    }

    /// COSE envelope specification, "Unprotected Headers": x5chain (label 33) as an array of byte strings. RFC 9360
    /// allows one bare byte string for a single certificate; the specification asks for the array, and the reference
    /// verifier accepts nothing else.
    private static func certificates(_ unprotected: CBORMap) throws(EnvelopeError) -> [[UInt8]] {
        guard let items = unprotected[33]?.array, !items.isEmpty else {
            throw EnvelopeError(
                .certificates, "the unprotected header has no certificate chain (an array under label 33)")
        }
        var certificates: [[UInt8]] = []
        for (index, item) in items.enumerated() {
            guard let der = item.bytes else {
                throw EnvelopeError(.certificates, "certificate \(index + 1) under label 33 is not a byte string")
            }
            certificates.append(der)
        }
        return certificates
    }
}
