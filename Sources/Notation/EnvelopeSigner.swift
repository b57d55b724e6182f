import Encoding
import FoundationEssentials
import OCI
import PKI
import Quotation
import StrictJSON

/// Makes signature envelopes under the scheme ``SigningScheme/x509`` with a local key or one elsewhere (signature
/// specification; JWS and COSE envelope specifications), in the shape that the reference implementation writes.
public struct EnvelopeSigner: Sendable {
    /// The certificate chain, leaf first.
    public let chain: [Certificate]
    /// The algorithm, which the key decides.
    public let algorithm: SigningAlgorithm
    private let key: EnvelopeKey
    private let verificationKey: VerificationKey

    /// A signer with a key and the chain of its certificate.
    ///
    /// - Throws: ``SigningError`` when the key is not that of the first certificate, or the chain breaks a rule: such a
    ///   signature would not verify.
    public init(key: PrivateKey, chain: [Certificate]) throws(SigningError) {
        guard let leaf = chain.first else { throw SigningError("there is no certificate to sign with") }
        guard key.matches(leaf) else {
            throw SigningError(Self.mismatch(key, chain))
        }
        try self.init(.local(key), chain)
    }

    /// What is wrong with a chain that does not begin with the key's certificate: mostly its order.
    private static func mismatch(_ key: PrivateKey, _ chain: [Certificate]) -> String {
        guard let own = chain.firstIndex(where: key.matches) else {
            return
                "the private key is not that of any certificate of the chain; its first one, the signing certificate, is "
                + "\"\(chain[0].subject)\""
        }
        return
            "the certificates are in the wrong order: \"\(chain[own].subject)\", to which the private key belongs, is number "
            + "\(own + 1) of \(chain.count); put it first, then the certificate of its issuer, and so on up to the root"
    }

    /// A signer whose key is elsewhere.
    ///
    /// Whether the key is that of the first certificate shows when the first signature is checked.
    ///
    /// - Throws: ``SigningError`` when the chain breaks a rule.
    public init(remote key: any RemoteSigningKey, chain: [Certificate]) throws(SigningError) {
        try self.init(.remote(key), chain)
    }

    private init(_ key: EnvelopeKey, _ chain: [Certificate]) throws(SigningError) {
        guard let leaf = chain.first else { throw SigningError("there is no certificate to sign with") }
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

    /// Signs an artifact with a local key.
    ///
    /// - Parameters:
    ///   - artifact: the artifact; its media type, digest and size are signed, and of annotations those in the options.
    ///   - now: the signing time, in whole seconds: "the optional fractional second SHOULD NOT be used".
    /// - Returns: the envelope.
    public func sign(_ artifact: Descriptor, _ options: SigningOptions, now: Date) throws(SigningError) -> [UInt8] {
        let draft = try draft(artifact, options, now)
        let signature = try key.signature(over: draft.message, algorithm: algorithm)
        return try sealed(draft, signature, nil, options)
    }

    /// Signs an artifact wherever the key is, and has a timestamp authority countersign if there is one.
    ///
    /// - Parameters:
    ///   - timestamps: the authority.
    ///   - deadline: when it and the key must have answered.
    /// - Returns: the envelope, with a timestamp that verifies.
    public func sign(
        _ artifact: Descriptor, _ options: SigningOptions, now: Date, timestamps: (any Timestamping)?,
        deadline: ContinuousClock.Instant
    ) async throws(SigningError) -> [UInt8] {
        let draft = try draft(artifact, options, now)
        let signature = try await key.signature(over: draft.message, algorithm: algorithm, deadline: deadline)
        // What does not verify is not worth a timestamp either.
        let unstamped = try sealed(draft, signature, nil, options)
        guard let timestamps else { return unstamped }
        let token = try await timestamps.token(
            over: signature, hash: algorithm.hash, chain: chain, now: now, deadline: deadline)
        return try sealed(draft, signature, token, options)
    }

    /// What is signed, and how it becomes an envelope with the signature and a timestamp over that.
    private struct Draft {
        let message: [UInt8]
        let envelope: (_ signature: [UInt8], _ timestamp: [UInt8]?) -> [UInt8]
    }

    private func sealed(
        _ draft: Draft, _ signature: [UInt8], _ timestamp: [UInt8]?, _ options: SigningOptions
    ) throws(SigningError) -> [UInt8] {
        let envelope = draft.envelope(signature, timestamp)
        try check(envelope, options.format)
        return envelope
    }

    private func draft(
        _ artifact: Descriptor, _ options: SigningOptions, _ now: Date
    ) throws(SigningError) -> Draft {
        if let reserved = options.userMetadata.keys.first(where: { $0.hasPrefix(NotaryName.reservedPrefix) }) {
            throw SigningError(
                "the metadata \"\(reserved.quoted)\" begins with \(NotaryName.reservedPrefix), which is reserved; choose "
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
        case .jws: jws(payload, time, expiry, options)
        case .cose: cose(payload, time, expiry, options)
        }
    }

    /// What was made must read and verify: a key that does not fit its certificate is noticed here, not by users.
    private func check(_ bytes: [UInt8], _ format: EnvelopeFormat) throws(SigningError) {
        do {
            let envelope = try SignatureEnvelope(parsing: bytes, mediaType: format.mediaType)
            guard verificationKey.isValid(envelope.signature, over: envelope.signedParts) else {
                throw SigningError(
                    "the new signature does not verify with the key of the first certificate: the key that signed is another one"
                )
            }
        } catch let error as SigningError { throw error } catch {
            throw SigningError("the new signature cannot be read: \(error)")
        }
    }

    /// The members of the protected header are in the order of their names, as the reference implementation has them.
    private func jws(
        _ payload: SignaturePayload, _ time: Date, _ expiry: Date?, _ options: SigningOptions
    ) -> Draft {
        var critical: [JSONValue] = [.string(NotaryName.signingScheme)]
        if expiry != nil { critical.append(.string(NotaryName.expiry)) }
        var header: JSONObject = [
            "alg": .string(algorithm.jwsName), "crit": .array(critical), "cty": .string(NotaryName.payloadType),
        ]
        if let expiry { header[NotaryName.expiry] = .string(RFC3339.text(expiry)) }
        header[NotaryName.signingScheme] = .string(SigningScheme.x509.rawValue)
        header[NotaryName.signingTime] = .string(RFC3339.text(time))
        let protectedText = Base64.encodeURL(JSONValue.object(header).bytes)
        let payloadText = Base64.encodeURL(payload.json(.jws).bytes)
        return Draft(message: Array("\(protectedText).\(payloadText)".utf8)) { signature, timestamp in
            var unprotected = JSONObject()
            if let timestamp { unprotected[NotaryName.timestampSignature] = .string(Base64.encode(timestamp)) }
            unprotected["x5c"] = .array(chain.map { .string(Base64.encode($0.der)) })
            if !options.signingAgent.isEmpty { unprotected[NotaryName.signingAgent] = .string(options.signingAgent) }
            let envelope: JSONValue = [
                "payload": .string(payloadText), "protected": .string(protectedText), "header": .object(unprotected),
                "signature": .string(Base64.encodeURL(signature)),
            ]
            return envelope.bytes
        }
    }

    private func cose(
        _ payload: SignaturePayload, _ time: Date, _ expiry: Date?, _ options: SigningOptions
    ) -> Draft {
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
        let parts = COSEParser.signedParts(protected: protectedBytes, payload: payloadBytes)
        return Draft(message: Array(parts.joined())) { signature, timestamp in
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
