import FoundationEssentials
import OCI
import PKI
import StrictJSON

@testable import Notation

let notationTargets = [
    FuzzTarget("jws", maximumLength: 16_384) { bytes in requireSound(bytes, .jws) },
    FuzzTarget("cose", maximumLength: 16_384) { bytes in requireSound(bytes, .cose) },
    FuzzTarget("cbor", maximumLength: 8192) { bytes in
        for allowsTags in [true, false] {
            let value: CBORValue
            do { value = try CBORDecoder.decode(bytes, allowsTags: allowsTags) } catch {
                requireReadable(error)
                continue
            }
            // The deterministic encoding decodes to the same, and is its own encoding.
            let encoded = CBOREncoder.encode(value)
            do {
                let again = CBOREncoder.encode(try CBORDecoder.decode(encoded, allowsTags: allowsTags))
                require(again == encoded, "the encoding is not deterministic")
            } catch { violated("what is encoded does not decode: \(error)") }
        }
    },
    FuzzTarget("payload", maximumLength: 8192) { bytes in
        let payload: SignaturePayload
        do { payload = try SignaturePayload(parsing: bytes) } catch {
            requireReadable(error)
            return
        }
        require(payload.isAbout(payload.targetArtifact), "a payload that is not about its own artifact")
        var other = payload.targetArtifact
        other.size = other.size == 0 ? 1 : other.size - 1
        require(!payload.isAbout(other), "a payload about an artifact of another size")
        for format in EnvelopeFormat.allCases {
            do {
                let again = try SignaturePayload(parsing: payload.json(format).bytes)
                require(again.isAbout(payload.targetArtifact), "what is written is about another artifact")
                require(again.targetArtifact.annotations == payload.targetArtifact.annotations, "other user metadata")
            } catch { violated("what is written is refused: \(error)") }
        }
    },
    FuzzTarget("trust-policy", maximumLength: 8192) { bytes in
        let document: TrustPolicyDocument
        do { document = try TrustPolicyDocument(json: bytes) } catch {
            requireReadable(error, limit: 32_768)
            return
        }
        require(!document.statements.isEmpty, "a policy without a statement")
        require(document.statements.count { $0.isGlobal } <= 1, "two global statements")
        for statement in document.statements {
            require(
                statement.level[.integrity] == (statement.level.isSkip ? .skip : .enforce), "integrity is not enforced")
            if statement.level.isSkip { continue }
            require(!statement.trustStores.isEmpty, "a statement that trusts nobody")
            for type in [ValidationType.authenticity, .expiry, .authenticTimestamp] {
                require(statement.level[type] != .skip, "\(type.rawValue) is skipped")
            }
            for scope in statement.registryScopes where scope != "*" {
                // A scope chooses its own statement, and never by way of another spelling.
                let chosen = try? document.statement(forScope: scope)
                require(chosen.map { areSame($0.name, statement.name) } == true, "\(scope) chooses another statement")
            }
        }
    },
    FuzzTarget("policy-name", maximumLength: 1024) { bytes in
        guard let text = text(bytes) else { return }
        let name: SubjectName
        do { name = try SubjectName(parsing: text) } catch {
            requireReadable(error)
            return
        }
        require(name.isSubset(of: name), "a name that does not match itself")
        for type in ["C", "ST", "O"] {
            require(name.attributes[Array(type.utf8)]?.isEmpty == false, "a name without \(type)")
        }
        // Written with every special character escaped, it is the same name.
        let written = name.attributes.map { type, value in escaped(type) + "=" + escaped(value) }.sorted()
        do {
            let again = try SubjectName(parsing: written.joined(separator: ","))
            require(again == name, "\(written) is read as another name")
        } catch { violated("\(written) is refused: \(error)") }
    },
    FuzzTarget("rfc3339", maximumLength: 64) { bytes in
        guard let text = text(bytes), let time = RFC3339.parse(text) else { return }
        guard let again = RFC3339.parse(RFC3339.text(time)) else { violated("the time is not read again") }
        let inside = (-62_167_219_200.0...253_402_300_799.0).contains(time.timeIntervalSince1970)
        require(!inside || abs(again.timeIntervalSince(time)) <= 1, "\(text) is printed as another time")
    },
]

/// Any bytes, each as a pair of hexadecimal digits (RFC 4514, section 2.4).
private func escaped(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789ABCDEF".unicodeScalars)
    var text = ""
    for byte in bytes { text += "\\\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])" }
    return text
}

/// An envelope that can be read: everything that a report or `inspect` prints of it, and its signature checked.
private func requireSound(_ bytes: [UInt8], _ format: EnvelopeFormat) {
    let envelope: SignatureEnvelope
    do { envelope = try SignatureEnvelope(parsing: bytes, mediaType: format.mediaType) } catch {
        requireReadable(error)
        return
    }
    require(!envelope.payload.isEmpty && !envelope.signature.isEmpty, "an envelope without payload or signature")
    require((1...SignatureEnvelope.maximumCertificates).contains(envelope.certificates.count), "a chain of no length")
    require(!RFC3339.text(envelope.attributes.signingTime).isEmpty, "a time without a text")
    if let expiry = envelope.attributes.expiry {
        require(expiry > envelope.attributes.signingTime, "expired before it was signed")
        require(!RFC3339.text(expiry).isEmpty, "a time without a text")
    }
    let size = envelope.payload.count + envelope.signature.count + envelope.certificates.reduce(0) { $0 + $1.count }
    require(size <= bytes.count, "more content than envelope")
    do { _ = try SignaturePayload(parsing: envelope.payload) } catch { requireReadable(error) }
    // The chain's rules and the signature, as the verifier applies them; no trust is asked.
    let verifier = SignatureVerifier(trustStore: NoTrust())
    do {
        let (again, chain) = try verifier.integrity(bytes, format.mediaType)
        require(again.payload == envelope.payload, "two readings of one envelope")
        require(chain.violation == nil && chain.key?.algorithm == again.algorithm, "a signature against the rules")
        requireBinding(again, chain)
    } catch { requireReadable(error, limit: 8192) }
}

/// A signature that is good is good for these bytes alone.
private func requireBinding(_ envelope: SignatureEnvelope, _ chain: CodeSigningChain) {
    var parts = envelope.signedParts
    require(chain.key?.isValid(envelope.signature, over: parts) == true, "good once only")
    parts[parts.count - 1][0] ^= 1
    require(chain.key?.isValid(envelope.signature, over: parts) == false, "the signature of two payloads")
    var signature = envelope.signature
    signature[signature.count / 2] ^= 1
    require(chain.key?.isValid(signature, over: envelope.signedParts) == false, "two signatures of one payload")
}

/// A trust store that has nothing.
private struct NoTrust: TrustStore {
    func certificates(type: TrustStoreType, named name: String) throws(TrustStoreError) -> [Certificate] {
        throw TrustStoreError("nothing is trusted")
    }
}
