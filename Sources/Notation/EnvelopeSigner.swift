import FoundationEssentials
import OCI
import PKI
import StrictJSON

/// Makes signature envelopes under the scheme ``SigningScheme/x509`` with a local key (signature specification; JWS and COSE
/// envelope specifications), in the shape that the reference implementation writes.
public struct EnvelopeSigner: Sendable {
    /// The certificate chain, leaf first.
    public let chain: [Certificate]
    /// The algorithm, which the key decides.
    public let algorithm: SigningAlgorithm
    private let key: PrivateKey
    private let verificationKey: VerificationKey

    /// A signer with a key and the chain of its certificate.
    ///
    /// - Throws: ``SigningError`` when the key is not that of the first certificate, or the chain breaks a rule: such a
    ///   signature would not verify.
    public init(key: PrivateKey, chain: [Certificate]) throws(SigningError) {
        guard let leaf = chain.first else { throw SigningError("there is no certificate to sign with") }
        guard key.matches(leaf) else {
            throw SigningError("the private key is not that of the first certificate, \"\(leaf.subject)\"")
        }
        if let violation = CodeSigningChain.violation(in: chain) {
            throw SigningError("the certificate chain breaks the rules for code signing: \(violation)")
        }
        guard chain.count <= SignatureEnvelope.maximumCertificates,
            let verificationKey = VerificationKey(leaf.publicKey)
        else { throw SigningError("the certificate chain is too long, or its key is malformed") }
        self.chain = chain
        self.key = key
        self.verificationKey = verificationKey
        algorithm = verificationKey.algorithm
    }

    /// Signs an artifact.
    ///
    /// - Parameters:
    ///   - artifact: the artifact; its media type, digest and size are signed, and of annotations those in the options.
    ///   - now: the signing time, in whole seconds: "the optional fractional second SHOULD NOT be used".
    /// - Returns: the envelope.
    public func sign(_ artifact: Descriptor, _ options: SigningOptions, now: Date) throws(SigningError) -> [UInt8] {
        try sealed(draft(artifact, options, now), nil, options)
    }

    /// Signs an artifact, and has a timestamp authority countersign.
    ///
    /// - Parameters:
    ///   - timestamps: the authority.
    ///   - deadline: when it must have answered.
    /// - Returns: the envelope with a timestamp that verifies.
    public func sign(
        _ artifact: Descriptor, _ options: SigningOptions, now: Date, timestamps: TimestampClient,
        deadline: ContinuousClock.Instant
    ) async throws(SigningError) -> [UInt8] {
        let draft = try draft(artifact, options, now)
        let token = try await timestamps.token(
            over: draft.signature, hash: algorithm.hash, chain: chain, now: now, deadline: deadline)
        return try sealed(draft, token, options)
    }

    /// A signature, and how it becomes an envelope once it is known whether there is a timestamp over it.
    private struct Draft {
        let signature: [UInt8]
        let envelope: (_ timestamp: [UInt8]?) -> [UInt8]
    }

    private func sealed(
        _ draft: Draft, _ timestamp: [UInt8]?, _ options: SigningOptions
    ) throws(SigningError) -> [UInt8] {
        let envelope = draft.envelope(timestamp)
        try check(envelope, options.format)
        return envelope
    }

    private func draft(
        _ artifact: Descriptor, _ options: SigningOptions, _ now: Date
    ) throws(SigningError) -> Draft {
        if let reserved = options.userMetadata.keys.first(where: { $0.hasPrefix(NotaryName.reservedPrefix) }) {
            throw SigningError(
                "the metadata \"\(reserved)\" begins with \(NotaryName.reservedPrefix), which is reserved; choose "
                    + "another name")
        }
        // "The certificates in the certificate chain MUST be valid at signing time."
        if let invalid = chain.first(where: { !$0.isValid(at: now) }) {
            throw SigningError(
                "the certificate \"\(invalid.subject)\" is not valid now, but from \(RFC3339.text(invalid.notBefore)) to "
                    + RFC3339.text(invalid.notAfter))
        }
        let time = Date(timeIntervalSince1970: now.timeIntervalSince1970.rounded(.down))
        let expiry = options.expiry.map { Date(timeIntervalSince1970: $0.timeIntervalSince1970.rounded(.down)) }
        if let expiry, expiry <= time {
            throw SigningError("the expiry \(RFC3339.text(expiry)) is not after the time of signing")
        }
        let payload = SignaturePayload(
            targetArtifact: Descriptor(
                mediaType: artifact.mediaType, digest: artifact.digest, size: artifact.size,
                annotations: options.userMetadata))
        return switch options.format {
        case .jws: try jws(payload, time, expiry, options)
        case .cose: try cose(payload, time, expiry, options)
        }
    }

    private func signature(_ parts: [[UInt8]]) throws(SigningError) -> [UInt8] {
        do {
            return try key.envelopeSignature(over: Array(parts.joined()), hash: algorithm.hash)
        } catch { throw SigningError("signing failed: \(error)") }
    }

    /// What was made must read and verify: a key that does not fit its certificate is noticed here, not by users.
    private func check(_ bytes: [UInt8], _ format: EnvelopeFormat) throws(SigningError) {
        do {
            let envelope = try SignatureEnvelope(parsing: bytes, mediaType: format.mediaType)
            guard verificationKey.isValid(envelope.signature, over: envelope.signedParts) else {
                throw SigningError("the new signature does not verify with the certificate's key")
            }
        } catch let error as SigningError { throw error } catch {
            throw SigningError("the new signature cannot be read: \(error)")
        }
    }

    /// The members of the protected header are in the order of their names, as the reference implementation has them.
    private func jws(
        _ payload: SignaturePayload, _ time: Date, _ expiry: Date?, _ options: SigningOptions
    ) throws(SigningError) -> Draft {
        var critical: [JSONValue] = [.string(NotaryName.signingScheme)]
        if expiry != nil { critical.append(.string(NotaryName.expiry)) }
        var header: JSONObject = [
            "alg": .string(algorithm.jwsName), "crit": .array(critical), "cty": .string(NotaryName.payloadType),
        ]
        if let expiry { header[NotaryName.expiry] = .string(RFC3339.text(expiry)) }
        header[NotaryName.signingScheme] = .string(SigningScheme.x509.rawValue)
        header[NotaryName.signingTime] = .string(RFC3339.text(time))
        let protectedText = Base64Text.encodeURL(JSONValue.object(header).bytes)
        let payloadText = Base64Text.encodeURL(payload.json(.jws).bytes)
        let signature = try signature([Array(protectedText.utf8), [UInt8(ascii: ".")], Array(payloadText.utf8)])
        return Draft(signature: signature) { timestamp in
            var unprotected = JSONObject()
            if let timestamp { unprotected[NotaryName.timestampSignature] = .string(Base64Text.encode(timestamp)) }
            unprotected["x5c"] = .array(chain.map { .string(Base64Text.encode($0.der)) })
            if !options.signingAgent.isEmpty { unprotected[NotaryName.signingAgent] = .string(options.signingAgent) }
            let envelope: JSONValue = [
                "payload": .string(payloadText), "protected": .string(protectedText), "header": .object(unprotected),
                "signature": .string(Base64Text.encodeURL(signature)),
            ]
            return envelope.bytes
        }
    }

    private func cose(
        _ payload: SignaturePayload, _ time: Date, _ expiry: Date?, _ options: SigningOptions
    ) throws(SigningError) -> Draft {
        func seconds(_ date: Date) -> CBORValue { .tagged(1, .integer(Int64(date.timeIntervalSince1970))) }
        var critical: [CBORValue] = [.text(NotaryName.signingScheme)]
        if expiry != nil { critical.append(.text(NotaryName.expiry)) }
        var header: CBORMap = [
            .integer(1): .integer(algorithm.coseLabel), .integer(2): .array(critical),
            .integer(3): .text(NotaryName.payloadType),
            .text(NotaryName.signingScheme): .text(SigningScheme.x509.rawValue),
            .text(NotaryName.signingTime): seconds(time),
        ]
        if let expiry { header.append(.text(NotaryName.expiry), seconds(expiry)) }
        let protectedBytes = CBOREncoder.encode(.map(header))
        let payloadBytes = payload.json(.cose).bytes
        let signature = try signature(COSEParser.signedParts(protected: protectedBytes, payload: payloadBytes))
        return Draft(signature: signature) { timestamp in
            var unprotected: CBORMap = [.integer(33): .array(chain.map { .bytes($0.der) })]
            if !options.signingAgent.isEmpty {
                unprotected.append(.text(NotaryName.signingAgent), .text(options.signingAgent))
            }
            if let timestamp { unprotected.append(.text(NotaryName.timestampSignature), .bytes(timestamp)) }
            return CBOREncoder.encode(
                .tagged(
                    18, .array([.bytes(protectedBytes), .map(unprotected), .bytes(payloadBytes), .bytes(signature)])))
        }
    }
}
