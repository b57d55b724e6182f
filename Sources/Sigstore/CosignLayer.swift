import Encoding
import FoundationEssentials
import PKI
import StrictJSON

extension Bundle {
    /// Reads a signature as cosign stored it before version 3 (cosign, `specs/SIGNATURE_SPEC.md`): the content of a
    /// manifest's layer and that layer's annotations. It proves what a bundle of version 0.1 proves.
    ///
    /// An annotation that is empty counts as missing: cosign writes an empty chain. Other annotations than those of
    /// ``CosignAnnotation`` are passed over.
    ///
    /// - Parameters:
    ///   - payload: the layer's content, which is what was signed.
    ///   - annotations: the layer's annotations.
    public init(layer payload: [UInt8], annotations: [String: String]) throws(BundleError) {
        guard payload.count <= SigstoreLimits.payloadBytes else {
            throw BundleError(
                .limit,
                "the payload of the cosign signature has \(payload.count) bytes; at most \(SigstoreLimits.payloadBytes) "
                    + "are accepted")
        }
        do throws(ProtobufMessage.Fault) {
            let layer = CosignLayer(annotations: annotations)
            self.init(
                content: .simpleSigning(SignedPayload(payload: payload, signature: try layer.signature())),
                key: try layer.key(), logEntries: try layer.logEntries(), timestamps: try layer.timestamps())
        } catch {
            if let refusal = error.refusal { throw refusal }
            throw BundleError(
                error.isLimit ? .limit : .malformed,
                "the cosign signature cannot be read: annotation \(error.description)"
                    + (error.isLimit ? "" : "; a signature is stored byte for byte as its signer wrote it"))
        }
    }
}

/// The annotations of a layer, taken apart.
private struct CosignLayer {
    let annotations: [String: String]

    private func text(_ name: String) throws(ProtobufMessage.Fault) -> String? {
        guard let text = annotations[name], !text.isEmpty else { return nil }
        guard text.utf8.count <= SigstoreLimits.annotationBytes else {
            throw ProtobufMessage.Fault(
                path: name,
                problem: "it has \(text.utf8.count) bytes; at most \(SigstoreLimits.annotationBytes) are accepted",
                isLimit: true)
        }
        return text
    }

    func signature() throws(ProtobufMessage.Fault) -> [UInt8] {
        let name = CosignAnnotation.signature
        guard let text = try text(name) else {
            throw ProtobufMessage.Fault(
                .content, "the cosign signature is missing: the layer has no annotation \(name)")
        }
        return try ProtobufMessage(.object([name: .string(text)]))
            .requiredBytes(name, maximum: SigstoreLimits.signatureBytes)
    }

    // MARK: Certificates

    private func certificates(_ name: String) throws(ProtobufMessage.Fault) -> [Certificate] {
        guard let text = try text(name) else { return [] }
        let blocks: [PEM]
        do { blocks = try PEM.parse(Array(text.utf8)) } catch {
            throw ProtobufMessage.Fault(path: name, problem: "\(error)")
        }
        guard !blocks.isEmpty else {
            throw ProtobufMessage.Fault(
                path: name, problem: "there is no certificate; expected a PEM block CERTIFICATE")
        }
        guard blocks.count <= SigstoreLimits.certificates else {
            throw ProtobufMessage.Fault(
                path: name,
                problem: "there are \(blocks.count) PEM blocks, at most \(SigstoreLimits.certificates) are accepted",
                isLimit: true)
        }
        var certificates: [Certificate] = []
        for block in blocks {
            guard block.label == "CERTIFICATE" else {
                throw ProtobufMessage.Fault(path: name, problem: "expected PEM blocks CERTIFICATE, found another one")
            }
            guard block.der.count <= SigstoreLimits.certificateBytes else {
                throw ProtobufMessage.Fault(
                    path: name,
                    problem:
                        "a certificate has \(block.der.count) bytes; at most \(SigstoreLimits.certificateBytes) are "
                        + "accepted", isLimit: true)
            }
            do { certificates.append(try Certificate(der: block.der)) } catch {
                throw ProtobufMessage.Fault(path: name, problem: "\(error)")
            }
        }
        return certificates
    }

    func key() throws(ProtobufMessage.Fault) -> Bundle.KeyMaterial {
        let own = try certificates(CosignAnnotation.certificate)
        let chain = try certificates(CosignAnnotation.chain)
        guard let leaf = own.first else {
            guard chain.isEmpty else {
                throw ProtobufMessage.Fault(
                    .content,
                    "the cosign signature has a chain of certificates and no signing certificate: the annotation "
                        + "\(CosignAnnotation.certificate) is missing")
            }
            // Nothing in a layer says which key it was.
            return .publicKey(hint: "")
        }
        guard own.count == 1 else {
            throw ProtobufMessage.Fault(
                .content,
                "the cosign signature has \(own.count) signing certificates in the annotation "
                    + "\(CosignAnnotation.certificate); expected one, and those above it in \(CosignAnnotation.chain)")
        }
        // cosign writes the root as well. It is passed over: what is trusted comes from the trusted root.
        let intermediates = chain.filter { !$0.isSelfIssued }
        if let other = intermediates.first(where: { !$0.isCA }) {
            throw ProtobufMessage.Fault(
                .content,
                "the chain of the cosign signature has a certificate that is no authority's: \"\(other.subject)\"")
        }
        return .certificate(leaf, intermediates: intermediates)
    }

    // MARK: Proofs in JSON

    private func message(_ name: String) throws(ProtobufMessage.Fault) -> ProtobufMessage? {
        guard let text = try text(name) else { return nil }
        let json: JSONValue
        do { json = try StrictJSON.parse(Array(text.utf8), maximumDepth: 4, maximumValues: 32) } catch {
            throw ProtobufMessage.Fault(path: name, problem: "it is not JSON: \(error)")
        }
        return try ProtobufMessage(json, path: name)
    }

    func logEntries() throws(ProtobufMessage.Fault) -> [LogEntry] {
        guard let message = try message(CosignAnnotation.bundle) else { return [] }
        return [try LogEntry(cosign: message)]
    }

    func timestamps() throws(ProtobufMessage.Fault) -> [[UInt8]] {
        guard let message = try message(CosignAnnotation.timestamp) else { return [] }
        try message.only("SignedRFC3161Timestamp")
        return [try message.requiredBytes("SignedRFC3161Timestamp", maximum: TimestampToken.maximumBytes)]
    }
}

extension LogEntry {
    /// Reads an entry as cosign's annotation has it: the four values that Rekor v1 signed, and its signature.
    fileprivate init(cosign message: ProtobufMessage) throws(ProtobufMessage.Fault) {
        try message.only("SignedEntryTimestamp", "Payload")
        signedEntryTimestamp = try message.requiredBytes(
            "SignedEntryTimestamp", maximum: SigstoreLimits.signatureBytes)
        let entry = try message.requiredMessage("Payload")
        try entry.only("body", "integratedTime", "logIndex", "logID")
        canonicalizedBody = try entry.requiredBytes("body", maximum: SigstoreLimits.annotationBytes)
        integratedSeconds = try entry.requiredNumber("integratedTime")
        integratedTime = integratedSeconds == 0 ? nil : Date(timeIntervalSince1970: Double(integratedSeconds))
        logIndex = try entry.requiredNumber("logIndex")
        // "The SHA256 hash of the DER-encoded public key for the log", in the spelling that is signed.
        guard let identifier = ArtifactDigest(algorithm: .sha256, hex: try entry.requiredText("logID")) else {
            throw entry.fault("logID: it is not a SHA-256 in lower-case hexadecimal")
        }
        logID = identifier.bytes
        inclusionProof = nil
        // The annotation does not repeat what the body says of itself; a body that says nothing is refused later.
        let body = try? StrictJSON.parse(canonicalizedBody, maximumDepth: 16, maximumValues: 10_000)
        kind = body?["kind"]?.string ?? ""
        version = body?["apiVersion"]?.string ?? ""
    }
}
